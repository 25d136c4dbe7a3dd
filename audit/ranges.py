"""Prove that entries which follow each other are in a tree, all of them and nothing else. Pure.

The proof is what stands around them: the complete subtrees before the first and behind the last, at most 63 of each.
Whoever has the entries grows the tree through all three, and comes to the root or does not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .errors import BadNote, NotProven
from .merkle import Frontier, node_hash
from .notes import LARGEST_NOTE, Checkpoint, Note, base64, decimal
from .proofs import Nodes, hashes_of

FIRST_LINE = "remit/range-proof@v1"


@dataclass(frozen=True, slots=True)
class RangeProof:
    """That the entries `first` to `last` (from 1, both of them) are those of the checkpoint in `note`."""

    first: int
    last: int
    before: tuple[bytes, ...]
    after: tuple[bytes, ...]
    note: Note

    @classmethod
    def made(cls, first: int, last: int, note: Note, node: Nodes) -> "RangeProof":
        """The proof, from complete subtrees. Raises `ValueError` where the checkpoint has no such entries."""
        size = Checkpoint.parse(note.text).size
        if not 0 < first <= last <= size:
            raise ValueError(f"a checkpoint of {size} entries has no entries {first} to {last}")
        before = tuple(node(level, index) for level, index in _complete(0, first - 1))
        return cls(first, last, before, tuple(node(level, index) for level, index in _complete(last, size)), note)

    def check(self, leaves: Iterable[bytes]) -> None:
        """Raises `NotProven` where these leaf hashes are not exactly those of its entries."""
        checkpoint = Checkpoint.parse(self.note.text)
        tree = Frontier(self.first - 1, self.before).extended(leaves)
        if tree.size != self.last:
            raise NotProven(f"there are {tree.size - self.first + 1} entries, not {self.last - self.first + 1}")
        places = list(_complete(self.last, checkpoint.size))
        for (level, _), root in zip(places, self.after, strict=True):
            tree = _grown(tree, level, root)
        if tree.root() != checkpoint.root:
            raise NotProven(f"the entries {self.first} to {self.last} are not those that were signed")

    @classmethod
    def parse(cls, text: bytes) -> "RangeProof":
        """What `bytes` writes. Raises `BadNote`; no signature is looked at."""
        head, gap, rest = text.partition(b"\n\n")
        if not gap or len(text) > 2 * LARGEST_NOTE or not head.isascii():
            raise BadNote("a range proof is its lines, an empty line and a checkpoint")
        title, *lines = head.decode().split("\n")
        if title != FIRST_LINE or len(lines) < 2 or not lines[0].startswith("first ") or not lines[1][:5] == "last ":
            raise BadNote(f"a range proof begins with `{FIRST_LINE}`, `first` and `last`")
        first, last = decimal(lines[0].removeprefix("first ")), decimal(lines[1].removeprefix("last "))
        note = Note.parse(rest)
        size = Checkpoint.parse(note.text).size
        if not 0 < first <= last <= size:
            raise BadNote(f"a checkpoint of {size} entries has no entries {first} to {last}")
        split = 2 + len(list(_complete(0, first - 1)))
        before, after = hashes_of(lines[2:split]), hashes_of(lines[split:])
        if len(before) != split - 2 or len(after) != len(list(_complete(last, size))):
            raise BadNote("a range proof has one hash for each subtree around its entries")
        return cls(first, last, before, after, note)

    def __bytes__(self) -> bytes:
        head = [FIRST_LINE, f"first {self.first}", f"last {self.last}", *map(base64, self.before + self.after)]
        return "\n".join(head).encode() + f"\n\n{self.note}".encode()


def _complete(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Level and index of the largest complete subtrees over the leaves from `start` up to `end`, from left to right."""
    while start < end:
        fitting = (end - start).bit_length() - 1
        level = min(fitting, (start & -start).bit_length() - 1) if start else fitting
        yield level, start >> level
        start += 1 << level


def _grown(tree: Frontier, level: int, root: bytes) -> Frontier:
    """The tree with a complete subtree behind it, whose size divides the tree's."""
    subtrees, filled = list(tree.subtrees), tree.size >> level
    while filled & 1:
        root = node_hash(subtrees.pop(), root)
        filled >>= 1
    return Frontier(tree.size + (1 << level), (*subtrees, root))
