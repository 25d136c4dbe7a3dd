"""The Merkle tree over the ledger's entries: RFC 9162 §2.1, kept as the frontier of complete subtrees."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

EMPTY_ROOT = sha256().digest()
HASH_BYTES = 32


def leaf_hash(canonical: bytes) -> bytes:
    """The 32-byte hash of one entry (RFC 9162 §2.1.1)."""
    return sha256(b"\x00" + canonical).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The 32-byte hash of two subtrees (RFC 9162 §2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` leaves: the roots of its complete subtrees, largest first, one for each bit set in `size`."""

    size: int = 0
    subtrees: tuple[bytes, ...] = ()

    def extended(self, leaves: Iterable[bytes]) -> "Frontier":
        """The tree with these leaf hashes (32 bytes each) after its own."""
        size, subtrees = self.size, list(self.subtrees)
        for leaf in leaves:
            node, filled = leaf, size
            while filled & 1:
                node = node_hash(subtrees.pop(), node)
                filled >>= 1
            subtrees.append(node)
            size += 1
        return Frontier(size, tuple(subtrees))

    def root(self) -> bytes:
        """The tree's 32-byte root; of an empty tree the hash of nothing (RFC 9162 §2.1.1)."""
        if not self.subtrees:
            return EMPTY_ROOT
        *larger, node = self.subtrees
        for subtree in reversed(larger):
            node = node_hash(subtree, node)
        return node

    def packed(self) -> bytes:
        """The subtrees' hashes one after the other, as `audit_head` keeps them."""
        return b"".join(self.subtrees)

    @classmethod
    def unpacked(cls, size: int, packed: bytes) -> "Frontier":
        """The tree that `packed` describes. Raises `ValueError` where it is not that of a tree of `size` leaves."""
        if len(packed) != HASH_BYTES * size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} subtrees, not {len(packed)} bytes")
        return cls(size, tuple(packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)))
