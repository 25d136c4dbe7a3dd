"""Whose rows a read contained is the same whether each row was looked at, or a read before it told."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import Shelf, Shown

from authz import meeting, rosters
from authz.errors import StoreFailed
from authz.meeting import Looking, Recalling
from authz.reader import RowStream
from policy.values import Treatment

WHO = st.sampled_from(["ana", "Ana", "ben", "", " ", "é", "e\u0301", "\x00", "nan", None])
NUMBERS = st.sampled_from([0, 1, -1, 2**40, None]) | st.integers(-3, 3)
FILES = st.lists(st.lists(st.tuples(WHO, NUMBERS), max_size=40), min_size=1, max_size=3)
MANY = 1_000

Whose = tuple[list[object], int, list[int]]
"""Who was met, in order; how many rows are nobody's; and how many rows each batch had."""


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    made.put({"who": [f"e{n % 7}" if n % 11 else None for n in range(MANY)], "x": list(range(MANY))})
    yield made
    made.reader.close()


def whose(stream: RowStream) -> Whose:
    """What is counted of a read, of all its rows."""
    who: list[object] = []
    nameless, sizes = 0, []
    try:
        while (rows := stream.read_next()) is not None:
            met = stream.meeting.meet(rows.num_rows, stream.subjects)
            who += met.values.to_pylist()
            nameless += met.nameless
            sizes.append(rows.num_rows)
        stream.meeting.last()
    finally:
        stream.close()
    return who, nameless, sizes


def read(
    shelf: Shelf, columns: Shown | Sequence[str] = ("x",), batch_rows: int = 100, **asked: object
) -> tuple[Whose, bool]:
    """What is counted of such a read, and whether a read before it told."""
    stream = shelf.open(columns, batch_rows, **asked)
    return whose(stream), isinstance(stream.meeting, Recalling)


@settings(max_examples=60, deadline=None)
@given(files=FILES, batch_rows=st.sampled_from([1, 7, 64]), least=st.integers(-2, 2), by_number=st.booleans())
def test_who_is_remembered_is_who_is_found(
    files: list[list[tuple[str | None, int | None]]], batch_rows: int, least: int, by_number: bool
) -> None:
    with TemporaryDirectory() as name:
        shelf = Shelf(Path(name))
        who = (lambda row: row[1]) if by_number else (lambda row: row[0])
        type_ = pa.int64() if by_number else pa.string()
        for number, rows in enumerate(files):
            columns = {
                "who": pa.array([who(row) for row in rows], type_),
                "n": pa.array([n for _, n in rows], pa.int64()),
            }
            shelf.put(pa.table(columns), f"data/{number}.parquet")
        kept = [who(row) for rows in files for row in rows if row[1] is not None and row[1] >= least]
        for filter_, expected in ((f"n >= {least}", kept), ("", [who(row) for rows in files for row in rows])):
            first, was_told = read(shelf, ["n"], batch_rows, rows=filter_)
            assert not was_told
            for columns in (["n"], ["n", "who"], ["who"]):
                (met, nameless, sizes), was_told = read(shelf, columns, batch_rows, rows=filter_)
                assert was_told is bool(expected), "of no rows there is nothing to tell"
                assert (sorted(map(str, met)), nameless, sizes) == (sorted(map(str, first[0])), *first[1:])
            assert (set(met), nameless, sum(sizes)) == ({*expected} - {None}, expected.count(None), len(expected))
            assert len(met) == len(set(met))
        shelf.reader.close()


@pytest.mark.parametrize("rows", ["", "x < 300000", "x in (7, 70007, 140007)"])
def test_what_is_remembered_of_many_rows_holds_however_threads_share_them(shelf: Shelf, rows: str) -> None:
    for part in range(2):
        x = range(part * 200_000, (part + 1) * 200_000)
        columns = {"who": [f"e{n // 977 % 400}" for n in x], "x": list(x), "y": [n % 89 for n in x]}
        shelf.put(columns, f"data/{part}.parquet", row_group_size=9_000)
    (shelf.folder / "data/part.parquet").unlink()
    read(shelf, ["y"], 4_096, rows=rows)
    for columns_ in (["x"], ["y", "x"], ["x"]):
        stream = shelf.open(columns_, 4_096, rows=rows)
        assert isinstance(stream.meeting, Recalling)
        met: set[str] = set()
        while (batch := stream.read_next()) is not None:
            found = {f"e{n // 977 % 400}" for n in batch["x"].to_pylist()}
            assert set(stream.meeting.meet(batch.num_rows, stream.subjects).values.to_pylist()) == found - met
            met |= found
        stream.meeting.last()


def test_a_read_of_rows_that_were_read_before_does_not_read_whose_they_are(shelf: Shelf) -> None:
    read(shelf)
    stream = shelf.open(["x"], 100)
    assert stream.read_next().column_names == ["x"]
    assert len(stream.subjects) == 0
    stream.close()


def test_rows_whose_columns_are_all_hidden_are_as_many_as_before(shelf: Shelf) -> None:
    hidden = {"x": Treatment.HIDDEN}
    first, _ = read(shelf, hidden)
    again, was_told = read(shelf, hidden)
    assert was_told
    assert (again[1:], set(again[0])) == (first[1:], set(first[0]))


@pytest.mark.parametrize("other", [{"rows": "x >= 0"}, {"scope": "x >= 0"}, {"batch_rows": 99}, {"limit": 5}])
def test_other_rows_or_other_batches_are_looked_at(shelf: Shelf, other: dict[str, object]) -> None:
    read(shelf)
    _, was_told = read(shelf, **other)  # type: ignore[arg-type]
    assert not was_told


@pytest.mark.parametrize(("limit", "is_told"), [(MANY - 1, False), (MANY, True), (MANY + 1, True)])
def test_a_limit_that_cuts_nothing_off_changes_nothing(shelf: Shelf, limit: int, is_told: bool) -> None:
    first, _ = read(shelf)
    again, was_told = read(shelf, limit=limit)
    assert was_told is is_told
    assert sum(again[2]) == min(limit, MANY)
    assert set(again[0]) == set(first[0])


@pytest.mark.parametrize("limit", [MANY - 1, MANY])
def test_a_read_that_ended_at_its_limit_tells_the_next_one_nothing(shelf: Shelf, limit: int) -> None:
    read(shelf, limit=limit)
    _, was_told = read(shelf)
    assert not was_told


def test_a_read_that_broke_off_tells_the_next_one_nothing(shelf: Shelf) -> None:
    stream = shelf.open(["x"], 100)
    rows = stream.read_next()
    stream.meeting.meet(rows.num_rows, stream.subjects)
    stream.close()
    _, was_told = read(shelf)
    assert not was_told


def test_a_file_that_was_replaced_or_written_over_is_looked_at(shelf: Shelf) -> None:
    read(shelf)
    path = shelf.put({"who": ["new"] * MANY, "x": list(range(MANY))})
    (met, *_), was_told = read(shelf)
    assert (met, was_told) == (["new"], False)
    before = path.stat()
    changed = path.read_bytes().replace(b"new", b"old")
    path.write_bytes(changed)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as somebody who wants it not to be seen
    (met, *_), was_told = read(shelf)
    assert (met, was_told) == (["old"], False)


@pytest.mark.parametrize("batches", [9, 11])
def test_a_store_that_gives_other_rows_of_the_same_files_than_before_fails_the_read(shelf: Shelf, batches: int) -> None:
    learned: list[rosters.Roster] = []
    looking = Looking(learned.append)
    for _ in range(batches):
        looking.meet(100, pa.array(["e1"] * 100))
    looking.last()
    stream = shelf.open(["x"], 100)
    stream.meeting = Recalling(learned[0])
    with pytest.raises(StoreFailed, match="other rows of the same files"):
        whose(stream)


def test_a_batch_whose_rows_are_said_to_be_nobodys_is_no_batch_of_which_nobody_said_whose(shelf: Shelf) -> None:
    looking = Looking(lambda _: None)
    assert looking.meet(2, pa.nulls(2, pa.string())).nameless == 2
    with pytest.raises(StoreFailed, match="did not say whose"):
        looking.meet(2, pa.nulls(0, pa.string()))


def test_what_is_remembered_is_bounded(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rosters, "MOST", 2)
    for least in (0, 1, 2):
        read(shelf, rows=f"x >= {least}")
    assert [read(shelf, rows=f"x >= {least}")[1] for least in (2, 1, 0)] == [True, True, False]
    monkeypatch.setattr(rosters, "KEPT", 0)
    assert [read(shelf, rows="x >= 9")[1] for _ in range(2)] == [False, False]
    monkeypatch.setattr(rosters, "LARGEST", 0)
    monkeypatch.setattr(rosters, "KEPT", 8_000_000)
    assert [read(shelf, rows="x >= 8")[1] for _ in range(2)] == [False, False]


def test_more_people_than_are_remembered_are_all_met(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "REMEMBERED", 3)
    for _ in range(2):
        (met, nameless, _), was_told = read(shelf)
        assert (set(met), nameless, was_told) == ({f"e{n}" for n in range(7)}, 91, False)
