"""The one-row head of the ledger, and the writing of entries under its lock. Nothing else writes `audit_entries`."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from .drafts import Draft, stamp
from .entries import Kind
from .errors import ClockBehind, NotRecorded
from .merkle import Frontier, leaf_hash

Session = psycopg.Connection[Any]
Cursor = psycopg.Cursor[Any]
ENDS = frozenset({Kind.READ_COMPLETED, Kind.READ_INTERRUPTED})
TOLERANCE = timedelta(seconds=60)
"""How far the clock may be behind the last entry."""

HEAD = "SELECT size, frontier, epoch, at FROM audit_head"
# Whatever the role or the database have it set to. One message with the lock: each round trip is paid by all who wait.
LOCK = f"SET LOCAL synchronous_commit = on; {HEAD} FOR UPDATE"
MOVE = """
    UPDATE audit_head SET size = %s, frontier = %s, epoch = %s, at = %s
    RETURNING pg_notify('remit_entries', size::text), CASE WHEN %s THEN pg_notify('remit_control', epoch::text) END
"""
COPY = "COPY audit_entries (seq, canonical, leaf) FROM STDIN (FORMAT BINARY)"
COPY_START, COPY_END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
BEFORE_TEXT, BEFORE_LEAF = struct.Struct(">hiqi"), struct.pack(">i", 32)
OPEN = """
    INSERT INTO open_reads (read, seq, gateway) SELECT read, seq, %s FROM unnest(%s::text[], %s::bigint[]) o (read, seq)
    ON CONFLICT (read) DO NOTHING
"""
CLOSE = "DELETE FROM open_reads WHERE read = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Head:
    """The ledger's end: how many entries, the tree over them, the control epoch, the time of the last entry."""

    tree: Frontier
    epoch: int
    at: datetime

    @property
    def size(self) -> int:
        """How many entries there are; also the `seq` of the last one, 0 where there is none."""
        return self.tree.size

    @property
    def root(self) -> bytes:
        """The root of the tree over all entries, 32 bytes (RFC 9162 §2.1.1)."""
        return self.tree.root()

    def moment(self, now: datetime) -> datetime:
        """The time of an entry written at `now`: never before the last. Raises `ClockBehind` beyond 60 seconds."""
        if self.at - now > TOLERANCE:
            behind = (self.at - now).total_seconds()
            raise ClockBehind(f"this machine's clock is {behind:.0f} s behind the ledger's last entry; set the clock")
        return max(now, self.at)


def read_head(session: Session) -> Head:
    """The head as this transaction sees it."""
    return _head(session.execute(HEAD))


def lock_head(session: Session, *, begins: bool) -> Head:
    """The head, locked until the transaction ends, which this begins where `begins`; until then nobody else writes."""
    cursor = session.execute(f"BEGIN; {LOCK}" if begins else LOCK)
    while cursor.nextset():
        pass
    return _head(cursor)


def _head(cursor: Cursor) -> Head:
    row = cursor.fetchone()
    if row is None:
        raise NotRecorded("audit_head has lost its row; run `remit audit verify`")
    size, frontier, epoch, at = row
    try:
        return Head(Frontier.unpacked(size, frontier), epoch, at.astimezone(UTC))
    except ValueError as problem:
        raise NotRecorded(f"audit_head was changed: {problem}; run `remit audit verify`") from problem


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction writes: entries of `gateway` at one moment, after a head, and perhaps a new epoch."""

    drafts: Sequence[Draft]
    gateway: str
    at: datetime
    raises_epoch: bool = False


def write(session: Session, head: Head, batch: Batch, *, commits: bool) -> Head:
    """Writes `batch` after `head`, which the caller has locked, and moves the head. Returns the new one.

    Whoever listens to `remit_entries` and, where the epoch was raised, `remit_control` hears of it at the commit,
    which is part of the last message where `commits`.
    """
    moment = stamp(batch.at)
    texts = [draft.sealed(moment) for draft in batch.drafts]
    leaves = [leaf_hash(text) for text in texts]
    with session.cursor().copy(COPY) as copy:
        copy.write(_rows(head.size + 1, texts, leaves))
    grown = Head(head.tree.extended(leaves), head.epoch + batch.raises_epoch, batch.at)
    last = [
        *_keep_open_reads(batch, head.size + 1),
        (MOVE, (grown.size, grown.tree.packed(), grown.epoch, grown.at, batch.raises_epoch)),
        *([("COMMIT", ())] if commits else []),
    ]
    statements, values = ";".join(statement for statement, _ in last), [value for _, own in last for value in own]
    psycopg.ClientCursor(session).execute(statements, values)
    return grown


def _rows(first: int, texts: Sequence[bytes], leaves: Sequence[bytes]) -> bytes:
    parts = [COPY_START]
    for seq, (text, leaf) in enumerate(zip(texts, leaves, strict=True), first):
        parts += (BEFORE_TEXT.pack(3, 8, seq, len(text)), text, BEFORE_LEAF, leaf)
    return b"".join((*parts, COPY_END))


def begun(drafts: Iterable[Draft]) -> list[str]:
    """The reads that these entries authorise."""
    return [draft.read for draft in drafts if draft.kind is Kind.READ_AUTHORIZED and draft.read is not None]


def _keep_open_reads(batch: Batch, first: int) -> list[tuple[str, tuple[Any, ...]]]:
    ended = [draft.read for draft in batch.drafts if draft.kind in ENDS]
    opened = {read: seq for seq, draft in enumerate(batch.drafts, first) for read in begun([draft])}
    for read in ended:
        opened.pop(read or "", None)
    opening = [(OPEN, (batch.gateway, list(opened), list(opened.values())))] if opened else []
    return opening + ([(CLOSE, (ended,))] if ended else [])
