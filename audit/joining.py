"""Join what was found in the spans, in order, to one tree, one history and one list of what is wrong."""

from dataclasses import dataclass, field

from policy.amounts import amount

from .active import said_of_keys
from .head import Session
from .merkle import Frontier
from .notes import COSIGNED, Checkpoint, Verifier
from .proofs import Nodes
from .replay import Control, Replay
from .signed import signed_beyond
from .spans import SPAN, Problem, Span
from .tiles import BITS, WIDTH, Edge, Place, Tile
from .tilestore import StoredTree, tiles_at
from .vouching import Vouching

SPAN_LEVEL = SPAN.bit_length() - 1
COUNTED = "SELECT level, index FROM audit_tiles WHERE NOT (level = 0 AND index < %s)"


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin: `at` is the first span's start, `after` the last entry that was verified before.

    `units` is the tree of whole spans before, `above` the edge of the levels above the lowest tiles. `signers` of
    `since` are whom the verifier trusts, or the ledger's; `said` is what entries under it say of keys.
    """

    at: int = 0
    after: int = 0
    units: Frontier = field(default_factory=Frontier)
    above: Edge = field(default_factory=Edge)
    since: Checkpoint | None = None
    signers: tuple[Verifier, ...] = ()
    said: tuple[Control, ...] = ()

    @classmethod
    def of(
        cls,
        session: Session,
        tree: StoredTree,
        since: Checkpoint | None,
        signers: tuple[Verifier, ...],
    ) -> "Start":
        """From `since`, as the stored tiles have it: they are proven by its root, see `Joined`. None: the beginning."""
        if since is None or since.size > tree.edge.size:
            return cls(since=since, signers=signers)
        count = since.size // SPAN
        units = Frontier(count, tuple(tree.work(session, lambda node: _units(count, node))))
        above = _edge_above(session, tree, count * SPAN >> BITS)
        return cls(count * SPAN, since.size, units, above, since, signers, said_of_keys(session, tree, since))


def _units(count: int, node: Nodes) -> list[bytes]:
    levels = [level for level in reversed(range(count.bit_length())) if count >> level & 1]
    return [node(SPAN_LEVEL + level, (count >> level) - 1) for level in levels]


def _edge_above(session: Session, tree: StoredTree, blocks: int) -> Edge:
    """The edge over the first `blocks` roots of the lowest tiles, as the tiles above them have it."""
    wanted = dict[int, tuple[Place, int]]()
    level = 0
    while blocks >> BITS * level:
        count = blocks >> BITS * level
        wanted[level] = (level + 1, count >> BITS), count % WIDTH
        level += 1
    edge = {place: tree.edge.rows[place[0]] for place, _ in wanted.values() if tree.edge.holds(place)}
    tiles = edge | tiles_at(session, [place for place, _ in wanted.values() if place not in edge])
    return Edge(blocks, tuple(tiles.get(place, b"")[: count * 32] for place, count in wanted.values()))


@dataclass(slots=True)
class Joined:
    """Everything that is known so far. `root` is that of all `size` entries; None while it is not known."""

    tree: StoredTree
    size: int
    start: Start
    given: tuple[Verifier, ...]
    changed: list[Problem]
    gone: list[Problem] = field(default_factory=list)
    replay: Replay = field(default_factory=Replay)
    vouching: Vouching = field(init=False)
    units: Frontier | None = field(init=False)
    above: Edge = field(init=False)
    full: list[Tile] = field(default_factory=list)
    head: Frontier | None = None
    last_at: str = ""

    def __post_init__(self) -> None:
        self.units, self.above = self.start.units, self.start.above
        self.head = Frontier() if not self.size else None
        witnesses = dict.fromkeys((str(key) for key in self.given if key.algorithm == COSIGNED), 0)
        trusted = set(map(str, self.given))
        self.vouching = Vouching(self.tree.origin, trusted, witnesses, bool(self.given))
        self.vouching.recall(self.start.said, self.start.signers)
        since = self.start.since
        if since is not None and (since.origin != self.tree.origin or since.size > min(self.tree.edge.size, self.size)):
            checkpoint = f"the checkpoint of {amount(since.size, 'entry')}"
            what = f"{checkpoint} is not of this ledger, or the ledger has lost some of them"
            self.changed.append(Problem(min(since.size, self.size) + 1, what))

    @property
    def root(self) -> bytes | None:
        return None if self.head is None else self.head.root()

    def join(self, span: Span) -> None:
        """The next span."""
        self.changed += span.changed
        self.gone += span.gone
        if span.first_at and span.first_at < self.last_at:
            self.changed.append(Problem(span.task.read_from + 1, "its time is before that of the entry before it"))
        self.last_at = span.last_at or self.last_at
        self.replay.join(span.events)
        trees = {size: tree for size in span.cuts if (tree := self._tree_at(span, size)) is not None}
        self.head = trees.get(self.size, self.head)
        self._check_since(trees)
        roots = [(row, trees[row.size].root() if row.size in trees else None) for row in span.signed]
        self.vouching.join(span.events.controls, roots)
        self._grow(span)

    def check_head(self, frontier: bytes) -> None:
        """The head is that of the entries."""
        if self.head is not None and self.head.packed() != frontier:
            what = "the tree over the entries is not the head's: something before changed"
            self.changed.append(Problem(self.size, what))

    def check_stored(self, session: Session) -> None:
        """The stored tree is that of the entries, above the lowest level, which each span has compared."""
        self.changed += [Problem(*wrong) for wrong in signed_beyond(session, self.size)]
        if self.tree.edge.size != (self.vouching.last or self.start.after):
            what = "the stored tree does not end at the last checkpoint"
            self.changed.append(Problem(self.tree.edge.size, what))
        if self.units is None or self.size < self.tree.edge.size:
            return
        lowest = self.tree.edge.size >> BITS
        expected = {(tile.level + 1, tile.index): tile.hashes for tile in self.full}
        stored = {(level, index) for level, index in session.execute(COUNTED, (lowest,))}
        before = {place for place in stored if place[0] > 0 and place[1] < self.start.at >> BITS * (place[0] + 1)}
        hashes = tiles_at(session, expected)
        wrong = [place for place in expected if hashes.get(place) != expected[place]]
        wrong += list(stored - expected.keys() - before)
        for level, index in sorted(wrong):
            what = f"tile {index} of level {level} of the stored tree is not the tree's"
            self.changed.append(Problem((index << BITS * (level + 1)) + 1, what))
        rows = self.tree.edge.rows[1:]
        if self.above.size == lowest and b"".join(rows) != self.above.packed():
            self.changed.append(Problem(self.tree.edge.size, "the edge of the stored tree is not the tree's"))

    def _tree_at(self, span: Span, size: int) -> Frontier | None:
        if self.units is None:
            return None
        if size - span.task.start == SPAN:
            grown = self.units.extended(span.cuts[size].subtrees)
            return Frontier(size, grown.subtrees)
        return Frontier(size, (*self.units.subtrees, *span.cuts[size].subtrees))

    def _check_since(self, trees: dict[int, Frontier]) -> None:
        since = self.start.since
        if since is None or since.size not in trees:
            return
        if trees[since.size].root() != since.root:
            what = f"the ledger did not grow out of the checkpoint of {amount(since.size, 'entry')}"
            self.changed.append(Problem(since.size, what))
        elif self.start.signers:
            self.vouching.go_on(since.size, self.start.signers)

    def _grow(self, span: Span) -> None:
        if self.units is None:
            return
        if span.has_hole:
            self.units = None
            return
        stored = self.tree.edge.size >> BITS
        blocks = span.blocks[: max(0, stored - (span.task.start >> BITS))]
        self.above, full = self.above.extended(blocks)
        self.full += full
        if len(span.blocks) * WIDTH == SPAN:
            subtree = Frontier().extended(span.blocks).subtrees[0]
            self.units = self.units.extended([subtree])
