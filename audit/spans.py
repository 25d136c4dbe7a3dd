"""Recompute one span of the ledger from its raw rows: the part of verification that can be done for many at once.

A span begins at a multiple of its size, so that what is found in it is a complete subtree, and joins the others'
without anybody reading twice. The leaf of each place is the stored tile's where there is one: an entry that differs
from it is told once, at the entry, and what was signed is still compared with what was stored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .copying import entries
from .head import Session
from .merkle import HASH_BYTES, Frontier, leaf_hash
from .notes import Verifier
from .replay import Events
from .signed import SignedRow, signed_rows
from .tiles import BITS, WIDTH, folded
from .tilestore import StoredTree, tiles_at
from .wording import Said, Wordings

SPAN = 1 << 12
"""Entries of a span: a power of two, and whole tiles."""
ROWS = "COPY (SELECT seq, canonical, leaf, doc FROM audit_entries WHERE {} ORDER BY seq) TO STDOUT (FORMAT BINARY)"
WITHIN = "seq > {} AND seq <= {}"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at entry `seq`, in words."""

    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Task:
    """The entries `start` < seq ≤ `end` are to be looked at; those up to `read_from` were verified before."""

    start: int
    end: int
    read_from: int


@dataclass(slots=True)
class Span:
    """What was found in one span. `cuts` has the tree over the span's first leaves, up to each signed size in it."""

    task: Task
    blocks: list[bytes] = field(default_factory=list)
    cuts: dict[int, Frontier] = field(default_factory=dict)
    signed: list[SignedRow] = field(default_factory=list)
    changed: list[Problem] = field(default_factory=list)
    gone: list[Problem] = field(default_factory=list)
    has_hole: bool = False
    events: Events = field(default_factory=Events)
    first_at: str = ""
    last_at: str = ""


def read_span(
    session: Session, tree: StoredTree, task: Task, keys: Sequence[Verifier], sizes: Iterable[int], known: Wordings
) -> Span:
    """Everything about one span; `sizes` are further sizes at which the tree is wanted, `known` grows."""
    signed, wrong = signed_rows(session, task.read_from, task.end, keys)
    span = Span(task, signed=signed, changed=[Problem(*found) for found in wrong])
    leaves = _stored_leaves(session, tree, task, span)
    _read_entries(session, span, leaves, tree.edge.size, known)
    _grow(span, leaves, {row.size for row in span.signed} | {size for size in sizes if task.start <= size <= task.end})
    return span


def _stored_leaves(session: Session, tree: StoredTree, task: Task, span: Span) -> list[bytes | None]:
    """The leaf of each entry, as the stored tiles have it."""
    end = min(task.end, tree.edge.size)
    wanted = {(0, index) for index in range(task.start >> BITS, (end + WIDTH - 1) >> BITS)}
    edge = {place for place in wanted if tree.edge.holds(place)}
    tiles = tiles_at(session, wanted - edge) | {place: tree.edge.rows[place[0]] for place in edge}
    leaves: list[bytes | None] = [None] * (task.end - task.start)
    for place in sorted(wanted):
        first, hashes = place[1] << BITS, tiles.get(place, b"")
        if len(hashes) != min(WIDTH, tree.edge.size - first) * HASH_BYTES:
            what = f"tile {place[1]} of level 0 of the stored tree is {'not whole' if hashes else 'missing'}"
            span.changed.append(Problem(first + 1, what))
            continue
        at = first - task.start
        own = [hashes[start : start + HASH_BYTES] for start in range(0, len(hashes), HASH_BYTES)]
        leaves[at : at + len(own)] = own[: len(leaves) - at]
    return leaves


def _read_entries(session: Session, span: Span, leaves: list[bytes | None], stored: int, known: Wordings) -> None:
    """Looks at every entry of the span; the first `stored` leaves are stored ones, the others become the entries'."""
    last, start = span.task.read_from, span.task.start + 1
    for seq, canonical, leaf, doc in entries(session, ROWS.format(WITHIN.format(last, span.task.end))):
        if seq != last + 1:
            _misplaced(span, last, seq)
        last = seq
        recomputed = leaf_hash(canonical or b"")
        if recomputed != leaf:
            span.changed.append(Problem(seq, "its text is not what was hashed"))
        if leaves[seq - start] is None:
            leaves[seq - start] = recomputed
        elif recomputed != leaves[seq - start] and seq <= stored:
            span.changed.append(Problem(seq, "it is not the entry of which the stored tree has the hash"))
        _look_into(span, seq, known.said(canonical, doc))
    if last != span.task.end:
        _misplaced(span, last, span.task.end + 1)


def _misplaced(span: Span, last: int, seq: int) -> None:
    if seq == last:
        span.changed.append(Problem(seq, f"entry {seq} is there more than once"))
    else:
        span.gone.append(Problem(last + 1, gap(last + 1, seq)))


def gap(first: int, end: int) -> str:
    """In words, that the entries from `first` up to `end` are not there."""
    return f"entry {first} is missing" if end == first + 1 else f"entries {first} to {end - 1} are missing"


def _look_into(span: Span, seq: int, said: Said) -> None:
    meaning, at, read = said
    if not meaning.agrees:
        span.changed.append(Problem(seq, "what is searched is not what was hashed"))
    if meaning.role is None:
        return
    if at < span.last_at:
        span.changed.append(Problem(seq, "its time is before that of the entry before it"))
    if not span.first_at:
        span.first_at = at
    span.last_at = at
    span.events.take(seq, meaning.role, read)


def _grow(span: Span, leaves: Sequence[bytes | None], sizes: set[int]) -> None:
    """The span's subtrees of 256 leaves, and the tree at each of `sizes`; none from the first hole on."""
    known = leaves.index(None) if None in leaves else len(leaves)
    span.has_hole = known < len(leaves)
    roots, cuts = Frontier(), sorted(size - span.task.start for size in sizes)
    for at in range(0, known + 1, WIDTH):
        block = [leaf for leaf in leaves[at : min(at + WIDTH, known)] if leaf]
        grown, before = Frontier(), at
        for cut in [cut for cut in cuts if at <= cut < at + WIDTH and cut <= known]:
            grown, before = grown.extended(block[before - at : cut - at]), cut
            span.cuts[span.task.start + cut] = Frontier(cut, (*roots.subtrees, *grown.subtrees))
        if len(block) == WIDTH:
            span.blocks.append(folded(b"".join(block)))
            roots = roots.extended(span.blocks[-1:])
