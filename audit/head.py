"""The one-row head of the ledger, and the writing of entries under its lock. Nothing else writes `audit_entries`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.numeric import Int8

from .arrays import blobs, texts
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
WRITE = """
    WITH moved AS (
        UPDATE audit_head SET size = %(grown)s, frontier = %(tree)s, epoch = %(new_epoch)s, at = %(now)s
        WHERE (size, frontier, epoch, at) = (%(size)s, %(frontier)s, %(epoch)s, %(at)s)
        RETURNING pg_notify('remit_entries', size::text),
            CASE WHEN epoch <> %(epoch)s THEN pg_notify('remit_control', epoch::text) END
    ), written AS (
        INSERT INTO audit_entries (seq, canonical, leaf) SELECT %(size)s + place, text, leaf
        FROM moved, unnest(%(texts)s, %(leaves)s) WITH ORDINALITY new (text, leaf, place)
    ), opened AS (
        INSERT INTO open_reads (read, seq, gateway) SELECT read, seq, %(gateway)s
        FROM moved, unnest(%(opened)s::text[], %(opened_at)s::bigint[]) new (read, seq) ON CONFLICT (read) DO NOTHING
    ), closed AS (
        DELETE FROM open_reads USING moved WHERE read = ANY(%(closed)s::text[])
    )
    SELECT FROM moved
"""
"""Compares the head and moves it; all else hangs on that: where there is another head, nothing is written."""


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
            raise ClockBehind(
                f"this machine's clock is {behind:.0f} s behind the ledger's last entry; "
                "set the clock, or, where it is right, wait: another was ahead"
            )
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


def write(session: Session, head: Head, batch: Batch) -> Head | None:
    """Writes `batch` after `head` and moves the head, all or nothing, in one round trip. Returns the new head.

    None where the head is not `head` any more: then nothing was written, which cannot be under its lock. Whoever
    listens to `remit_entries` and, where the epoch was raised, `remit_control` hears of it at the commit.
    """
    moment = stamp(batch.at)
    sealed = [draft.sealed(moment) for draft in batch.drafts]
    leaves = [leaf_hash(text) for text in sealed]
    grown = Head(head.tree.extended(leaves), head.epoch + batch.raises_epoch, batch.at)
    opened, closed = _open_reads(batch, head.size + 1)
    values = {
        "size": Int8(head.size),
        "frontier": head.tree.packed(),
        "epoch": Int8(head.epoch),
        "at": head.at,
        "grown": Int8(grown.size),
        "tree": grown.tree.packed(),
        "new_epoch": Int8(grown.epoch),
        "now": grown.at,
        "texts": texts(sealed),
        "leaves": blobs(leaves),
        "gateway": batch.gateway,
        "opened": list(opened),
        "opened_at": list(opened.values()),
        "closed": closed,
    }
    return grown if session.execute(WRITE, values, prepare=True).rowcount else None


def begun(drafts: Iterable[Draft]) -> list[str]:
    """The reads that these entries authorise."""
    return [draft.read for draft in drafts if draft.kind is Kind.READ_AUTHORIZED and draft.read is not None]


def _open_reads(batch: Batch, first: int) -> tuple[dict[str, int], list[str]]:
    """The reads that the batch leaves open, each with its `seq`, and those that it ends."""
    ended = [draft.read for draft in batch.drafts if draft.kind in ENDS and draft.read is not None]
    opened = {read: seq for seq, draft in enumerate(batch.drafts, first) for read in begun([draft])}
    for read in ended:
        opened.pop(read, None)
    return opened, ended
