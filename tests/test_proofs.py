"""Proofs over the tree, beside another implementation and RFC 9162's own example; none holds for anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from audit.errors import BadNote, NotProven
from audit.merkle import EMPTY_ROOT, Frontier, leaf_hash, node_hash
from audit.proofs import (
    Proof,
    check_consistency,
    check_inclusion,
    prove_consistency,
    prove_inclusion,
    root_of,
)

MOST = 140
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(MOST)]


def node(level: int, index: int) -> bytes:
    """The root of a complete subtree, straight from the leaves."""
    return Frontier().extended(LEAVES[index << level : (index + 1) << level]).root()


ROOTS = [Frontier().extended(LEAVES[:size]).root() for size in range(MOST + 1)]

sizes = st.integers(1, MOST)
places = sizes.flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size)))
growths = sizes.flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size)))


@given(st.integers(0, MOST))
def test_the_root_of_complete_subtrees_is_the_trees(size: int) -> None:
    assert root_of(size, node) == ROOTS[size]


def test_the_example_of_rfc_9162() -> None:
    """§2.1.5: the paths of d0, d3, d4, d6 in a tree of 7, and the proofs from 3, 4 and 6 to 7, by their names there."""
    a, b, c, d, e, f, j = LEAVES[:7]
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, l = node_hash(g, h), node_hash(i, j)  # noqa: E741 - the RFC's names
    assert ROOTS[7] == node_hash(k, l)
    assert [prove_inclusion(at, 7, node) for at in (0, 3, 4, 6)] == [[b, h, l], [c, g, l], [f, j, k], [i, k]]
    assert [prove_consistency(at, 7, node) for at in (3, 4, 6)] == [[c, d, g, l], [l], [i, j, k]]


def test_another_implementation_makes_the_same_paths() -> None:
    tree = InmemoryTree(algorithm="sha256")
    for number in range(40):
        tree.append_entry(b"entry %d" % number)
    for size in range(1, 41):
        for index in range(size):
            proof = tree.prove_inclusion(index + 1, size).serialize()["path"]
            leaf, *path = map(bytes.fromhex, proof)
            assert (leaf, path) == (LEAVES[index], prove_inclusion(index, size, node))


def subproof(first: int, leaves: list[bytes], known: bool) -> list[bytes]:
    """RFC 9162 §2.1.4.1, word for word."""
    if first == len(leaves):
        return [] if known else [Frontier().extended(leaves).root()]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if first <= split:
        return [*subproof(first, leaves[:split], known), Frontier().extended(leaves[split:]).root()]
    return [*subproof(first - split, leaves[split:], False), Frontier().extended(leaves[:split]).root()]


def test_growth_is_proven_as_the_rfc_says_between_the_roots_of_another_implementation() -> None:
    tree = InmemoryTree(algorithm="sha256")
    for number in range(40):
        tree.append_entry(b"entry %d" % number)
    for second in range(1, 41):
        for first in range(1, second + 1):
            path = prove_consistency(first, second, node)
            assert path == subproof(first, LEAVES[:second], True)
            check_consistency(first, second, tree.get_root(first), tree.get_root(second), path)


@given(places)
def test_each_leaf_is_proven_to_be_where_it_is(place: tuple[int, int]) -> None:
    index, size = place
    path = prove_inclusion(index, size, node)
    check_inclusion(LEAVES[index], index, size, path, ROOTS[size])
    assert len(path) <= size.bit_length()


@given(places, st.data())
def test_no_path_holds_for_another_leaf_place_size_or_path(place: tuple[int, int], data: st.DataObject) -> None:
    index, size = place
    path = prove_inclusion(index, size, node)
    other = data.draw(st.integers(0, MOST - 1).filter(lambda at: at != index))
    for wrong in (
        (LEAVES[other], index, size, path, ROOTS[size]),
        (LEAVES[index], other, size, path, ROOTS[size]),
        (LEAVES[index], index, size, [*path, ROOTS[size]], ROOTS[size]),
        (LEAVES[index], index, size, path, EMPTY_ROOT),
        (LEAVES[index], -1, size, path, ROOTS[size]),
        *((LEAVES[index], index, size, path[:at] + path[at + 1 :], ROOTS[size]) for at in range(len(path))),
        *(
            (LEAVES[index], index, size, [*path[:at], EMPTY_ROOT, *path[at + 1 :]], ROOTS[size])
            for at in range(len(path))
        ),
    ):
        with pytest.raises(NotProven):
            check_inclusion(*wrong)


@given(growths)
def test_each_tree_is_proven_to_begin_with_those_before_it(growth: tuple[int, int]) -> None:
    first, second = growth
    path = prove_consistency(first, second, node)
    check_consistency(first, second, ROOTS[first], ROOTS[second], path)
    assert len(path) <= second.bit_length() + 1


@given(growths, st.data())
def test_no_tree_is_proven_to_begin_with_another(growth: tuple[int, int], data: st.DataObject) -> None:
    first, second = growth
    path = prove_consistency(first, second, node)
    forged = Frontier().extended([leaf_hash(b"forged"), *LEAVES[1:second]]).root()
    for wrong in (
        (first, second, forged, ROOTS[second], path),
        *([(first, second, ROOTS[first], forged, path)] if first else []),
        (first, second, ROOTS[first], ROOTS[second], [*path, ROOTS[first]]),
        *((first, second, ROOTS[first], ROOTS[second], path[:at] + path[at + 1 :]) for at in range(len(path))),
        *(
            (first, second, ROOTS[first], ROOTS[second], [*path[:at], EMPTY_ROOT, *path[at + 1 :]])
            for at in range(len(path))
        ),
        (second + 1, second, ROOTS[first], ROOTS[second], path),
    ):
        with pytest.raises(NotProven):
            check_consistency(*wrong)


@given(places, st.none() | st.binary(max_size=40))
def test_a_proof_to_hand_out_is_read_as_it_was_written(place: tuple[int, int], extra: bytes | None) -> None:
    index, size = place
    proof = Proof(index, tuple(prove_inclusion(index, size, node)), b"log\n1\nroot\n\nsignatures\n", extra)
    assert Proof.parse(bytes(proof)) == proof


def test_a_proof_to_hand_out_is_written_as_its_specification_says() -> None:
    assert bytes(Proof(5, (b"a" * 32,), b"checkpoint\n", b"more")) == (
        b"c2sp.org/tlog-proof@v1\nextra bW9yZQ==\nindex 5\nYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=\n\ncheckpoint\n"
    )
    assert bytes(Proof(0, (), b"checkpoint\n")) == b"c2sp.org/tlog-proof@v1\nindex 0\n\ncheckpoint\n"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"c2sp.org/tlog-proof@v1\n\nx\n",
        b"c2sp.org/tlog-proof@v2\nindex 0\n\nx\n",
        b"c2sp.org/tlog-proof@v1\nindex 00\n\nx\n",
        b"c2sp.org/tlog-proof@v1\nindex -1\n\nx\n",
        b"c2sp.org/tlog-proof@v1\nindex 0\nextra AAAA\n\nx\n",
        b"c2sp.org/tlog-proof@v1\nextra A\nindex 0\n\nx\n",
        b"c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nx\n",
        b"c2sp.org/tlog-proof@v1\nindex 0",
        b"c2sp.org/tlog-proof@v1\nindex 0\n" + b"YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=\n" * 64 + b"\nx\n",
        "c2sp.org/tlog-proof@v1\nindex ٣\n\nx\n".encode(),
    ],
)
def test_what_is_no_proof_is_refused(text: bytes) -> None:
    with pytest.raises(BadNote):
        Proof.parse(text)
