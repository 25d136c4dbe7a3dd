"""Entries that follow each other are proven to be those of a checkpoint, all of them, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import BadNote, NotProven
from audit.merkle import EMPTY_ROOT, Frontier, leaf_hash
from audit.notes import SIGNED, Checkpoint, Note, Signer
from audit.ranges import RangeProof

MOST = 90
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(MOST)]
LOG = Signer("log.example/remit", SIGNED, b"l" * 32)


def node(level: int, index: int) -> bytes:
    return Frontier().extended(LEAVES[index << level : (index + 1) << level]).root()


def note(size: int) -> Note:
    text = str(Checkpoint(LOG.name, size, Frontier().extended(LEAVES[:size]).root()))
    return Note(text, (LOG.sign(text),))


ranges = st.integers(1, MOST).flatmap(
    lambda size: st.tuples(st.integers(1, size), st.integers(1, size), st.just(size)).map(
        lambda drawn: (min(drawn[:2]), max(drawn[:2]), drawn[2])
    )
)


@given(ranges)
def test_every_range_is_proven_by_its_entries_and_what_is_around_them(drawn: tuple[int, int, int]) -> None:
    first, last, size = drawn
    proof = RangeProof.made(first, last, note(size), node)
    proof.check(LEAVES[first - 1 : last])
    assert RangeProof.parse(bytes(proof)) == proof
    assert len(proof.before) + len(proof.after) <= 2 * size.bit_length()


@given(ranges, st.data())
def test_nothing_but_the_entries_is_proven(drawn: tuple[int, int, int], data: st.DataObject) -> None:
    first, last, size = drawn
    proof = RangeProof.made(first, last, note(size), node)
    own = LEAVES[first - 1 : last]
    at = data.draw(st.integers(0, len(own) - 1))
    for wrong in (
        own[:at] + own[at + 1 :],
        [*own[:at], EMPTY_ROOT, *own[at + 1 :]],
        [*own, EMPTY_ROOT],
        [own[0], *own],
        *([[*own[1:], own[0]]] if len(own) > 1 else []),
    ):
        with pytest.raises(NotProven):
            proof.check(wrong)


@given(ranges.filter(lambda drawn: drawn[1] < drawn[2]))
def test_entries_are_not_proven_to_be_in_another_place(drawn: tuple[int, int, int]) -> None:
    first, last, size = drawn
    moved = RangeProof.made(first + 1, last + 1, note(size), node)
    with pytest.raises(NotProven):
        moved.check(LEAVES[first - 1 : last])


WHOLE = bytes(RangeProof.made(6, 9, note(12), node))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        WHOLE.replace(b"@v1", b"@v2"),
        WHOLE.replace(b"first 6", b"first 8"),
        WHOLE.replace(b"first 6", b"first 06"),
        WHOLE.replace(b"last 9", b"last 13"),
        WHOLE.replace(b"last 9", b"last 5"),
        WHOLE.replace(b"last 9\n", b"last 9\n\n"),
        WHOLE.replace(b"first 6\n", b""),
        WHOLE[:-1],
    ],
)
def test_what_is_no_proof_of_a_range_is_refused(text: bytes) -> None:
    with pytest.raises(BadNote):
        RangeProof.parse(text)


def test_a_checkpoint_proves_no_entries_that_it_does_not_have() -> None:
    for first, last in ((0, 3), (3, 2), (1, 13)):
        with pytest.raises(ValueError, match="has no entries"):
            RangeProof.made(first, last, note(12), node)
