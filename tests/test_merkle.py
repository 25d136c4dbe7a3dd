import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from audit.merkle import EMPTY_ROOT, Frontier, leaf_hash, node_hash

entries = st.lists(st.binary(max_size=40), max_size=70)


def root_by_definition(leaves):
    """RFC 9162 §2.1.1, word for word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(root_by_definition(leaves[:split]), root_by_definition(leaves[split:]))


@given(entries)
def test_the_root_is_the_one_of_rfc_9162(texts):
    leaves = [leaf_hash(text) for text in texts]
    assert Frontier().extended(leaves).root() == root_by_definition(leaves)


@given(entries, st.integers(0, 70))
def test_a_tree_grown_in_two_steps_is_the_tree_grown_in_one(texts, split):
    leaves = [leaf_hash(text) for text in texts]
    grown = Frontier().extended(leaves[:split]).extended(leaves[split:])
    assert grown == Frontier().extended(leaves)
    assert Frontier.unpacked(grown.size, grown.packed()) == grown


def test_another_implementation_finds_the_same_roots():
    other, own = InmemoryTree(algorithm="sha256"), Frontier()
    for number in range(1, 200):
        text = b"entry %d" % number
        other.append_entry(text)
        own = own.extended([leaf_hash(text)])
        assert own.root() == other.get_root()


def test_a_leaf_is_never_taken_for_a_node():
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


def test_a_frontier_of_another_size_is_refused():
    with pytest.raises(ValueError, match="3 leaves has 2 subtrees"):
        Frontier.unpacked(3, bytes(32))
