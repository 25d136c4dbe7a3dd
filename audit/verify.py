"""Recompute the ledger from its raw rows, here: nothing is believed that the database or a gateway says of itself.

Integrity is that nothing changed since it was written: the sequence has no gap, each leaf is the hash of its entry,
the searched document is the hashed one, time never runs back, and the tree over it all is the head's. Whoever can
rewrite all of these at once is found by checkpoints that a witness keeps, not here. Completeness is that each
authorised read has its end, or a gateway that still lives.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import psycopg

from .entries import Kind
from .errors import NotReadable
from .head import ENDS, Session
from .instances import held_locks, lock_key
from .merkle import Frontier, leaf_hash

ROWS = "COPY (SELECT seq, canonical, leaf, doc::text FROM audit_entries ORDER BY seq) TO STDOUT (FORMAT BINARY)"
HEAD = "SELECT size, frontier FROM audit_head"
ENTRIES_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at entry `seq`, in words."""

    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`size` entries under `root` (32 bytes, recomputed), and every problem, first bad entry first."""

    size: int
    root: bytes
    problems: tuple[Problem, ...]
    integrity: bool
    completeness: bool


@dataclass(slots=True)
class Reading:
    """What has been found so far, entry by entry."""

    tree: Frontier = field(default_factory=Frontier)
    last_seq: int = 0
    last_at: str = ""
    leaves: list[bytes] = field(default_factory=list)
    changed: list[Problem] = field(default_factory=list)
    missing: list[Problem] = field(default_factory=list)
    gone: list[Problem] = field(default_factory=list)
    begun: dict[str, tuple[int, str]] = field(default_factory=dict)

    def take(self, seq: int, canonical: str, leaf: bytes, doc: str | None) -> None:
        """The next row, in the order of `seq`."""
        if seq != self.last_seq + 1:
            self.gone.append(Problem(self.last_seq + 1, _gap(self.last_seq + 1, seq)))
        self.last_seq = seq
        recomputed = leaf_hash(canonical.encode())
        if recomputed != leaf:
            self.changed.append(Problem(seq, "its text is not what was hashed"))
        self._grow(recomputed)
        hashed = _parsed(canonical)
        if hashed is None or hashed != _parsed(doc):
            self.changed.append(Problem(seq, "what is searched is not what was hashed"))
        if hashed is not None:
            self._follow(seq, hashed)

    def finish(self, size: int, frontier: bytes, held: frozenset[int]) -> Verdict:
        """The verdict, given the head and the locks that living gateways hold."""
        self._grow()
        if self.last_seq < size:
            self.gone.append(Problem(self.last_seq + 1, _gap(self.last_seq + 1, size + 1)))
        if self.last_seq > size:
            self.changed.append(Problem(size + 1, f"entries {size + 1} to {self.last_seq} are not in the head's tree"))
        if self.tree.size == size and self.tree.packed() != frontier:
            self.changed.append(Problem(size, "the tree over the entries is not the head's: something before changed"))
        self.missing += [
            Problem(seq, f"read `{read}` was authorised and has no end, and its gateway `{gateway}` is gone")
            for read, (seq, gateway) in self.begun.items()
            if lock_key(gateway) not in held
        ]
        problems = sorted(self.changed + self.missing + self.gone, key=lambda problem: problem.seq)
        # An entry that is gone breaks both: the sequence is not what was written, and something is missing.
        integrity, completeness = not (self.changed or self.gone), not (self.missing or self.gone)
        return Verdict(self.tree.size, self.tree.root(), tuple(problems), integrity, completeness)

    def _grow(self, *leaves: bytes) -> None:
        self.leaves += leaves
        if len(self.leaves) >= ENTRIES_AT_ONCE or not leaves:
            self.tree, self.leaves = self.tree.extended(self.leaves), []

    def _follow(self, seq: int, entry: dict[str, Any]) -> None:
        at = str(entry.get("at"))
        if at < self.last_at:
            self.changed.append(Problem(seq, "its time is before that of the entry before it"))
        self.last_at = at
        read = entry.get("read")
        if entry.get("kind") == Kind.READ_AUTHORIZED:
            if read in self.begun:
                self.missing.append(Problem(seq, f"read `{read}` is authorised again while it has no end"))
            self.begun[str(read)] = (seq, str(entry.get("gateway")))
        elif entry.get("kind") in ENDS:
            self.begun.pop(str(read), None)


def verify(url: str) -> Verdict:
    """Reads the whole ledger at the libpq URL `url` in one snapshot; it may grow meanwhile. Changes nothing.

    Raises `NotReadable` where the database does not answer or has no ledger.
    """
    try:
        with psycopg.connect(url) as session:
            held = held_locks(session)
            session.rollback()
            session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            head = session.execute(HEAD).fetchone()
            # Before and after the snapshot: a gateway that came or went meanwhile is not taken for gone.
            held |= held_locks(session)
            reading = _read(session)
    except psycopg.Error as fault:
        raise NotReadable(f"the ledger cannot be read: {str(fault).strip().splitlines()[0]}") from fault
    size, frontier = head or (0, b"")
    return reading.finish(size, frontier, held)


def _read(session: Session) -> Reading:
    reading = Reading()
    with session.cursor().copy(ROWS) as copy:
        copy.set_types(("int8", "text", "bytea", "text"))
        for seq, canonical, leaf, doc in copy.rows():
            reading.take(seq, canonical, leaf, doc)
    return reading


def _gap(first: int, end: int) -> str:
    return f"entry {first} is missing" if end == first + 1 else f"entries {first} to {end - 1} are missing"


def _parsed(text: str | None) -> dict[str, Any] | None:
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
