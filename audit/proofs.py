"""Proofs over the Merkle tree, made and checked: RFC 9162 §2.1.3 and §2.1.4, and c2sp.org/tlog-proof to hand them out.

Made from the roots of complete subtrees alone, so that no proof reads the entries; checked from the proof alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .errors import BadNote, NotProven
from .merkle import EMPTY_ROOT, HASH_BYTES, node_hash
from .notes import LARGEST_NOTE, base64, decimal, unbase64

Nodes = Callable[[int, int], bytes]
"""`(level, index)` → the 32-byte root of the leaves from index·2^level up to (index + 1)·2^level, which are all there;
level 0 is the leaves."""
FIRST_LINE = "c2sp.org/tlog-proof@v1"
LONGEST_PROOF = 63


def root_of(size: int, node: Nodes) -> bytes:
    """The root of the first `size` leaves."""
    return subtree(0, size, node) if size else EMPTY_ROOT


def subtree(start: int, end: int, node: Nodes) -> bytes:
    """The root of the leaves from `start` up to `end`, where `start` is a multiple of a power of two ≥ their number."""
    split = _split(end - start)
    if 2 * split == end - start or end - start == 1:
        level = (end - start).bit_length() - 1
        return node(level, start >> level)
    return node_hash(subtree(start, start + split, node), subtree(start + split, end, node))


def prove_inclusion(index: int, size: int, node: Nodes) -> list[bytes]:
    """The path from leaf `index` (from 0) to the root of `size` leaves, lowest first (RFC 9162 §2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        left = index < middle
        path.append(subtree(middle, end, node) if left else subtree(start, middle, node))
        start, end = (start, middle) if left else (middle, end)
    return path[::-1]


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Raises `NotProven` where `path` does not lead from `leaf` at `index` to `root` (RFC 9162 §2.1.3.2)."""
    if root_from(leaf, index, size, path) != root:
        raise NotProven(f"leaf {index} is not in this tree of {size}")


def root_from(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that `path` leads to; raises `NotProven` where it is not as long as it has to be."""
    if not 0 <= index < size:
        raise NotProven(f"there is no leaf {index} in a tree of {size}")
    at, last, root = index, size - 1, leaf
    for hash in path:
        if not last:
            raise NotProven("the path is too long")
        if at & 1 or at == last:
            root = node_hash(hash, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node_hash(root, hash)
        at, last = at >> 1, last >> 1
    if last:
        raise NotProven("the path is too short")
    return root


def prove_consistency(first: int, second: int, node: Nodes) -> list[bytes]:
    """That the tree of `second` leaves begins with that of `first` (RFC 9162 §2.1.4.1); empty from 0 or to the same."""
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {second} does not grow out of one of {first}")
    if first in (0, second):
        return []
    path: list[bytes] = []
    start, end, whole = 0, second, True
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            path.append(subtree(middle, end, node))
            end = middle
        else:
            path.append(subtree(start, middle, node))
            start, whole = middle, False
    return [*([] if whole else [subtree(start, end, node)]), *reversed(path)]


def check_consistency(first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]) -> None:
    """Raises `NotProven` where the second tree does not begin with the first (RFC 9162 §2.1.4.2)."""
    if not 0 <= first <= second:
        raise NotProven(f"a tree of {second} does not grow out of one of {first}")
    if first in (0, second):
        known = EMPTY_ROOT if first == 0 else second_root
        if path or first_root != known:
            raise NotProven(f"two trees of {first} and {second} leaves are not consistent")
        return
    # Where the first tree is one complete subtree of the second, its root is known and not in the proof.
    hashes = [first_root, *path] if first & (first - 1) == 0 else list(path)
    if (old := _folded(first, second, hashes)) != (first_root, second_root):
        which = "the earlier" if old[0] != first_root else "the later"
        raise NotProven(f"two trees of {first} and {second} leaves are not consistent: the proof leads not to {which}")


def _folded(first: int, second: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Both roots that a consistency proof leads to."""
    if not hashes:
        raise NotProven("the proof is too short")
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = hashes[0]
    for hash in hashes[1:]:
        if not last:
            raise NotProven("the proof is too long")
        if at & 1 or at == last:
            old, new = node_hash(hash, old), node_hash(hash, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, hash)
        at, last = at >> 1, last >> 1
    if last:
        raise NotProven("the proof is too short")
    return old, new


@dataclass(frozen=True, slots=True)
class Proof:
    """That an entry is in a log, to hand out: its index (from 0), its path, and the checkpoint's note, as it came.

    Whoever checks it brings the entry and the keys. `extra` is proven by nothing.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    @classmethod
    def parse(cls, text: bytes) -> "Proof":
        """The proof that a file of c2sp.org/tlog-proof writes. Raises `BadNote`; the checkpoint is not looked at."""
        head, gap, checkpoint = text.partition(b"\n\n")
        if not gap or len(text) > 2 * LARGEST_NOTE or not head.isascii():
            raise BadNote("a proof is its lines, an empty line and a checkpoint")
        first, *lines = head.decode().split("\n")
        if first != FIRST_LINE:
            raise BadNote(f"a proof begins with `{FIRST_LINE}`")
        extra = unbase64(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else None
        if not lines or not lines[0].startswith("index "):
            raise BadNote("a proof names the `index` of its entry")
        return cls(decimal(lines[0].removeprefix("index ")), hashes_of(lines[1:]), checkpoint, extra)

    def __bytes__(self) -> bytes:
        extra = [] if self.extra is None else [f"extra {base64(self.extra)}"]
        head = [FIRST_LINE, *extra, f"index {self.index}", *map(base64, self.path)]
        return "\n".join(head).encode() + b"\n\n" + self.checkpoint


def hashes_of(lines: Sequence[str]) -> tuple[bytes, ...]:
    """At most 63 hashes, one for each line. Raises `BadNote`."""
    hashes = tuple(map(unbase64, lines[: LONGEST_PROOF + 1]))
    if len(hashes) > LONGEST_PROOF or any(len(hash) != HASH_BYTES for hash in hashes):
        raise BadNote(f"a proof has at most {LONGEST_PROOF} hashes of {HASH_BYTES} bytes")
    return hashes


def _split(leaves: int) -> int:
    """The largest power of two smaller than `leaves`; of one leaf it is 0."""
    return 1 << (leaves - 1).bit_length() - 1 if leaves > 1 else 0
