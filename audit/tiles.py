"""The tree as it is stored: tiles of 256 hashes, as c2sp.org/tlog-tiles cuts them. Pure.

The tile `index` of a level L holds the roots of 256 neighbouring subtrees of 256^L leaves each. A full tile never
changes again; those at the right edge of each level are kept apart until they are full.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from .merkle import HASH_BYTES, Frontier

BITS = 8
WIDTH = 1 << BITS
"""Hashes of a full tile."""
TILE_BYTES = WIDTH * HASH_BYTES

Place = tuple[int, int]
"""Level and index of a tile."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A full tile."""

    level: int
    index: int
    hashes: bytes


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a tree of `size` leaves: for each level, lowest first, the hashes after its last full tile."""

    size: int = 0
    rows: tuple[bytes, ...] = ()

    def extended(self, leaves: Iterable[bytes]) -> tuple["Edge", list[Tile]]:
        """The edge with these leaf hashes (32 bytes each) after its own, and the tiles that this filled."""
        rows, full, arriving, level = list(self.rows), list[Tile](), b"".join(leaves), 0
        size = self.size + len(arriving) // HASH_BYTES
        while arriving:
            rows += [b""] * (level == len(rows))
            row, first = rows[level] + arriving, self.size >> BITS * (level + 1)
            cut = len(row) - len(row) % TILE_BYTES
            tiles = [row[at : at + TILE_BYTES] for at in range(0, cut, TILE_BYTES)]
            full += [Tile(level, index, hashes) for index, hashes in enumerate(tiles, first)]
            rows[level], arriving, level = row[cut:], b"".join(map(folded, tiles)), level + 1
        return Edge(size, tuple(rows)), full

    def holds(self, place: Place) -> bool:
        """Whether the tile at this place is not full yet."""
        level, index = place
        return index == self.size >> BITS * (level + 1)

    def node(self, level: int, index: int) -> bytes:
        """The root of a complete subtree that begins in the edge (see `proofs.Nodes`)."""
        return node_in(self.rows[level // BITS], level, index)

    def frontier(self) -> Frontier:
        """The same tree, as the ledger's head keeps it."""
        levels = [level for level in reversed(range(self.size.bit_length())) if self.size >> level & 1]
        return Frontier(self.size, tuple(self.node(level, (self.size >> level) - 1) for level in levels))

    def packed(self) -> bytes:
        """The rows one after the other, as `audit_tree` keeps them."""
        return b"".join(self.rows)

    @classmethod
    def unpacked(cls, size: int, packed: bytes) -> "Edge":
        """The edge that `packed` describes. Raises `ValueError` where it is not that of a tree of `size` leaves."""
        rows, at, level = list[bytes](), 0, 0
        while size >> BITS * level:
            end = at + (size >> BITS * level) % WIDTH * HASH_BYTES
            rows.append(packed[at:end])
            at, level = end, level + 1
        if at != len(packed):
            raise ValueError(f"the edge of a tree of {size} leaves has {at} bytes, not {len(packed)}")
        return cls(size, tuple(rows))


def tile_of(level: int, index: int) -> Place:
    """The tile from which the root of the complete subtree `index` of `level` follows (see `proofs.Nodes`)."""
    return level // BITS, index << level % BITS >> BITS


def node_in(hashes: bytes, level: int, index: int) -> bytes:
    """The root of a complete subtree, from the hashes of its tile."""
    start, width = (index << level % BITS) % WIDTH, 1 << level % BITS
    return folded(hashes[start * HASH_BYTES : (start + width) * HASH_BYTES])


def folded(hashes: bytes) -> bytes:
    """The root over a power of two of hashes: all of one level at once, because a ledger has many."""
    while len(hashes) > HASH_BYTES:
        pairs = range(0, len(hashes), 2 * HASH_BYTES)
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + 2 * HASH_BYTES]).digest() for at in pairs])
    return hashes
