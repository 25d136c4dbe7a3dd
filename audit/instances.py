"""Which gateways live: each holds an advisory lock on the session it appends with; what a dead one left is closed."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

from .entries import Entry, Json, Kind
from .head import Session

# Shared, so that a gateway that reconnects does not wait until its own old session is noticed to be gone.
CLAIM = "SELECT pg_advisory_lock_shared(%s)"
IS_FREE = "SELECT pg_try_advisory_xact_lock(%s)"
WITH_OPEN_READS = "SELECT DISTINCT gateway FROM open_reads WHERE gateway <> %s"
HELD = """
    SELECT classid::bigint << 32 | objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
LEFT_OPEN = """
    SELECT doc, coalesce(subjects, 0), bitmap
    FROM open_reads JOIN audit_entries USING (seq) LEFT JOIN read_subjects ON read_subjects.read = open_reads.read
    WHERE gateway = ANY(%s) OR open_reads.read = ANY(%s) ORDER BY seq
"""


def lock_key(gateway: str) -> int:
    """The advisory lock of a gateway instance: 64 bits, signed."""
    return int.from_bytes(sha256(b"remit gateway " + gateway.encode()).digest()[:8], "big", signed=True)


def claim(session: Session, gateway: str) -> None:
    """Holds the lock of `gateway` for as long as this session lives, which from now on waits for each commit's disk."""
    session.execute("SET synchronous_commit = on")  # whatever the role or the database have it set to
    session.execute(CLAIM, (lock_key(gateway),))


def held_locks(session: Session) -> frozenset[int]:
    """The instance locks that are held just now, by whatever session."""
    return frozenset(key for (key,) in session.execute(HELD))


def left_open(session: Session, read: str) -> bool:
    """Whether `read` was authorised and has no end."""
    return session.execute("SELECT FROM open_reads WHERE read = %s", (read,)).fetchone() is not None


def missing(session: Session, gateway: str) -> frozenset[str]:
    """The gateways beside `gateway` that left reads open and whose lock nobody holds just now."""
    held = held_locks(session)
    others = {name for (name,) in session.execute(WITH_OPEN_READS, (gateway,))}
    return frozenset(name for name in others if lock_key(name) not in held)


def orphans(session: Session, gateways: Iterable[str]) -> tuple[Entry, ...]:
    """The ends that `gateways`, gone without a word, left out; costs what is open, not what was ever written.

    Their locks are held until the transaction ends, so of two gateways that look at once one closes.
    """
    return interruptions(session, gateways=[name for name in sorted(gateways) if _is_free(session, name)])


def interruptions(session: Session, *, gateways: Sequence[str] = (), reads: Sequence[str] = ()) -> tuple[Entry, ...]:
    """An end for each open read of `gateways`, and for each of `reads` that is open."""
    return tuple(_interrupted(*row) for row in session.execute(LEFT_OPEN, (list(gateways), list(reads))))


def _is_free(session: Session, gateway: str) -> bool:
    row = session.execute(IS_FREE, (lock_key(gateway),)).fetchone()
    return row is not None and bool(row[0])


def _interrupted(doc: dict[str, Any], subjects: int, bitmap: bytes | None) -> Entry:
    """The end of a read that nobody ended: how many rows left is lost, whose they were at most is not."""
    digest: dict[str, Json] = (
        {} if bitmap is None else {"subjects_digest": f"sha256:{sha256(bitmap).hexdigest()}", "at_most": True}
    )
    return Entry(
        Kind.READ_INTERRUPTED,
        doc["actor"],
        teams=tuple(doc.get("teams", ())),
        read=doc["read"],
        dataset=doc.get("dataset"),
        purpose=doc.get("purpose"),
        grant=doc.get("grant"),
        digest=doc.get("digest"),
        details={"ended_by": "lost", "authorized_by": doc["gateway"], "subjects": subjects, **digest},
    )
