"""The one-row head of the ledger, and the writing of entries under its lock. Nothing else writes `audit_entries`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from .drafts import Draft, stamp
from .entries import Kind
from .errors import ClockBehind
from .merkle import Frontier, leaf_hash

Cursor = psycopg.Cursor[Any]
ENDS = frozenset({Kind.READ_COMPLETED, Kind.READ_INTERRUPTED})
TOLERANCE = timedelta(seconds=60)
"""How far the clock may be behind the last entry."""

READ = "SELECT size, frontier, epoch, at FROM audit_head"
# `synchronous_commit` holds for this transaction, whatever the role or the database have it set to.
LOCK = "SELECT size, frontier, epoch, at, set_config('synchronous_commit', 'on', true) FROM audit_head FOR UPDATE"
WRITE = """
    UPDATE audit_head SET size = %s, frontier = %s, epoch = %s, at = %s
    RETURNING pg_notify('remit_entries', size::text), CASE WHEN %s THEN pg_notify('remit_control', epoch::text) END
"""
COPY = "COPY audit_entries (seq, canonical, leaf) FROM STDIN (FORMAT BINARY)"
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


def read_head(cursor: Cursor) -> Head:
    """The head as this transaction sees it."""
    return _head(cursor.execute(READ).fetchone())


def lock_head(cursor: Cursor) -> Head:
    """The head, locked until the transaction ends; from here to the commit, nobody else writes."""
    return _head(cursor.execute(LOCK).fetchone())


def _head(row: tuple[Any, ...] | None) -> Head:
    if row is None:
        raise psycopg.DataError("audit_head has lost its row")
    size, frontier, epoch, at = row[:4]
    return Head(Frontier.unpacked(size, frontier), epoch, at.astimezone(UTC))


def write(
    cursor: Cursor, head: Head, drafts: Sequence[Draft], *, at: datetime, gateway: str, raises_epoch: bool = False
) -> Head:
    """Writes `drafts` after `head`, which the caller has locked, and moves the head. Returns the new one.

    Whoever listens to `remit_entries` and, where the epoch was raised, `remit_control` hears of it at the commit.
    """
    moment = stamp(at)
    texts = [draft.sealed(moment) for draft in drafts]
    leaves = [leaf_hash(text) for text in texts]
    with cursor.copy(COPY) as copy:
        copy.set_types(("int8", "bytea", "bytea"))  # binary text is its bytes
        for seq, (text, leaf) in enumerate(zip(texts, leaves, strict=True), head.size + 1):
            copy.write_row((seq, text, leaf))
    _keep_open_reads(cursor, head, drafts, gateway)
    grown = replace(head, tree=head.tree.extended(leaves), epoch=head.epoch + raises_epoch, at=at)
    cursor.execute(WRITE, (grown.size, grown.tree.packed(), grown.epoch, at, raises_epoch))
    return grown


def begun(drafts: Iterable[Draft]) -> list[str]:
    """The reads that these entries authorise."""
    return [draft.read for draft in drafts if draft.kind is Kind.READ_AUTHORIZED and draft.read is not None]


def _keep_open_reads(cursor: Cursor, head: Head, drafts: Sequence[Draft], gateway: str) -> None:
    ended = [draft.read for draft in drafts if draft.kind in ENDS]
    opened = {
        read: seq for seq, draft in enumerate(drafts, head.size + 1) for read in begun([draft]) if read not in ended
    }
    if opened:
        cursor.execute(OPEN, (gateway, list(opened), list(opened.values())))
    if ended:
        cursor.execute(CLOSE, (ended,))
