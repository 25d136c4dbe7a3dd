"""Whether a database is the one that somebody saw, or how much of it is lost: from its raw rows and what was signed.

Nothing is believed that the database says of itself: each text is hashed again and the tree grown anew.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import psycopg

from .engines import settings_of
from .errors import BadNote, NotProven, NotReadable
from .head import Session
from .merkle import Frontier, leaf_hash
from .notes import COSIGNED, Checkpoint, Note, Verifier

ROWS = "COPY (SELECT seq, canonical FROM audit_entries ORDER BY seq) TO STDOUT (FORMAT BINARY)"
COSIGNATURES = (
    "SELECT c.note || s.line FROM audit_checkpoints c JOIN audit_cosignatures s USING (size) WHERE witness = %s"
)
NOTES = "SELECT note FROM audit_checkpoints"
ENTRIES_AT_ONCE = 4_096


class Outcome(StrEnum):
    """What became of a ledger, by what somebody saw of it."""

    SAME = "same"
    AHEAD = "ahead"
    LOST = "lost"
    FORKED = "forked"


@dataclass(frozen=True, slots=True)
class Seen:
    """A checkpoint, the key that signed it, and when (None: the signature does not say)."""

    checkpoint: Checkpoint
    key: Verifier
    at: datetime | None

    @classmethod
    def of(cls, note: Note, keys: Iterable[Verifier]) -> "Seen":
        """What the first of `keys` that signed it says. Raises `NotProven` where none did, `BadNote`."""
        signed = note.verified(keys)
        if not signed:
            raise NotProven("none of the keys signed this checkpoint")
        key = next((key for key in signed if key.algorithm == COSIGNED), signed[0])
        stamp = next(signature.at for signature in note.signatures if signature.is_by(key))
        at = datetime.fromtimestamp(stamp, UTC) if key.algorithm == COSIGNED else None
        return cls(Checkpoint.parse(note.text), key, at)


@dataclass(frozen=True, slots=True)
class Found:
    """How a database of `size` entries compares: of what was `seen` it has the first `proven` ones, unchanged.

    Where it lost its end, the last of those that it has may be others, written since: what signed the lost ones proves
    nothing of them, and only what the same key had signed before does. `last_at` is the time of the last that may be
    what was seen, None before the first.
    """

    outcome: Outcome
    seen: Seen
    size: int
    proven: int
    last_at: str | None

    @property
    def lost(self) -> int:
        """How many of the entries that were seen are not there, or not proven to be what they were; at the least."""
        return self.seen.checkpoint.size - (self.size if self.outcome is Outcome.LOST else self.proven)

    @property
    def unknown(self) -> int:
        """How many of those that are there may be what was seen, or written since: as many more may be lost."""
        return self.seen.checkpoint.size - self.lost - self.proven


def origin_of(url: str) -> str:
    """The name of the ledger in a database. Raises `NotReadable`."""
    with _session(url) as session:
        row = session.execute("SELECT origin FROM audit_tree").fetchone()
    if not row or not row[0]:
        raise NotReadable("there is no ledger with a name in this database; nothing was ever signed of it")
    return str(row[0])


def compare(url: str, seen: Seen) -> Found:
    """How the ledger at `url` compares with what was seen of it; reads it whole. Raises `NotReadable`."""
    wanted = seen.checkpoint
    with _session(url) as session:
        tree = _grown(session, {wanted.size})
        if (there := tree.points.get(wanted.size)) and there.root == wanted.root:
            outcome = Outcome.SAME if tree.size == wanted.size else Outcome.AHEAD
            return Found(outcome, seen, tree.size, wanted.size, there.at)
        earlier = _earlier(session, seen)
        points = _grown(session, set(earlier)).points
    refuted = [size for size, root in earlier.items() if size in points and points[size].root != root]
    held = (size for size, root in earlier.items() if size in points and points[size].root == root)
    proven = max((size for size in held if size < min(refuted, default=wanted.size)), default=0)
    if tree.size < wanted.size and not refuted:
        # Nothing that was signed contradicts what is there.
        return Found(Outcome.LOST, seen, tree.size, proven, points[tree.size].at)
    return Found(Outcome.FORKED, seen, tree.size, proven, points[proven].at)


def _earlier(session: Session, seen: Seen) -> Mapping[int, bytes]:
    """Size and root of every checkpoint in the database that the same key signed, which nobody else could make up."""
    rows = session.execute(COSIGNATURES, (str(seen.key),)) if seen.key.algorithm == COSIGNED else session.execute(NOTES)
    found: dict[int, bytes] = {}
    for (text,) in rows:
        try:
            note = Note.parse(text.encode())
            checkpoint = Checkpoint.parse(note.text)
            if note.verified([seen.key]) and checkpoint.origin == seen.checkpoint.origin:
                found[checkpoint.size] = checkpoint.root
        except (BadNote, NotProven):
            continue
    return found


@dataclass(frozen=True, slots=True)
class _Point:
    """The tree at one size: its root, and the time of its last entry."""

    root: bytes
    at: str | None


@dataclass(frozen=True, slots=True)
class _Tree:
    """The tree over the entries up to the first gap: its size, and its points at that size and at those asked for."""

    size: int
    points: Mapping[int, _Point]


def _grown(session: Session, sizes: set[int]) -> _Tree:
    tree, leaves, canonical = Frontier(), list[bytes](), ""
    points = {0: _Point(tree.root(), None)}
    with session.cursor().copy(ROWS) as copy:
        copy.set_types(("int8", "text"))
        for seq, text in copy.rows():
            if seq != tree.size + len(leaves) + 1:
                break
            canonical = text
            leaves.append(leaf_hash(canonical.encode()))
            if seq in sizes or len(leaves) == ENTRIES_AT_ONCE:
                tree, leaves = tree.extended(leaves), []
            if seq in sizes:
                points[seq] = _Point(tree.root(), _time(canonical))
        for _ in copy:  # what is behind a gap: a copy has to be read to its end
            pass
    tree = tree.extended(leaves)
    if tree.size:
        points[tree.size] = _Point(tree.root(), _time(canonical))
    return _Tree(tree.size, points)


def _time(canonical: str) -> str | None:
    try:
        return str(json.loads(canonical)["at"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


@contextmanager
def _session(url: str) -> Iterator[Session]:
    """A snapshot that changes nothing; what the database says is wrong is `NotReadable`."""
    settings_of(url)
    try:
        with psycopg.connect(url) as session:
            session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield session
    except psycopg.Error as fault:
        raise NotReadable(f"the ledger cannot be read: {str(fault).strip().splitlines()[0]}") from fault
