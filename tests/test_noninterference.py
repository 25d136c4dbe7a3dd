"""What a reader may not see changes nothing that they get: neither values, nor order, nor a byte between them."""

import tempfile
from pathlib import Path

import noninterference
import noninterference_app
import numpy as np
import pyarrow as pa
import pytest
from conftest import NUMBERS, made_database
from reading import Shelf

from audit.postgres import Embedded
from authz.blanks import blanked

VALUES = [
    pa.array([1, None, 3], pa.int64()),
    pa.array([1.5, None, -0.0], pa.float32()),
    pa.array([True, None, False]),
    pa.array([None, "b", ""]),
    pa.array([None, [None, 5], []], pa.list_(pa.int32())),
    pa.array([None, {"a": None}, {"a": 7}], pa.struct({"a": pa.int16()})),
    pa.array([None, [("k", None)], []], pa.map_(pa.string(), pa.int64())),
    pa.array([[{"a": [None, 3]}], None, [None]], pa.list_(pa.struct({"a": pa.list_(pa.int64())}))),
    pa.array([None, None], pa.null()),
]


def test_a_thousand_pairs_of_reads_through_the_application_are_alike_byte_for_byte(
    server: Embedded, folder: Path
) -> None:
    one, other = f"test_{next(NUMBERS)}", f"test_{next(NUMBERS)}"
    place = Path(tempfile.mkdtemp(dir=folder))
    with made_database(server, one) as first, made_database(server, other) as second:
        outcome = noninterference_app.compare(1000, 7, place, (first.url(), second.url()))
    assert outcome.kinds["rows"] > 250
    assert outcome.kinds["refused"] > 50
    assert not outcome.differences


def test_the_same_holds_of_the_reader_alone_in_batches_of_any_size() -> None:
    outcome = noninterference.compare(200, seed=7)
    assert outcome.kinds["rows"] > 50
    assert not outcome.differences


@pytest.mark.parametrize("values", VALUES, ids=lambda values: str(values.type))
def test_blanking_changes_no_value_whole_or_in_part(values: pa.Array) -> None:
    for part in (values, values.slice(1), values.slice(0, 0)):
        clean = blanked(part)
        clean.validate(full=True)
        assert clean.equals(part)
        assert clean.type == part.type


def test_nothing_lies_beneath_a_null_that_was_there_before() -> None:
    slots, validity = np.array([700_001, 700_002, 700_003], np.int64), pa.py_buffer(b"\x05")
    dirty = pa.Array.from_buffers(pa.int64(), 3, [validity, pa.py_buffer(slots)])
    inside = pa.Array.from_buffers(pa.struct({"a": pa.int64()}), 3, [validity], children=[dirty])
    listed = pa.ListArray.from_arrays(pa.array([0, 1, 3], pa.int32()), inside)
    for clean in (blanked(dirty), blanked(inside).field("a"), blanked(listed).values.field("a")):
        assert clean.to_pylist() == [700_001, None, 700_003]
        assert np.frombuffer(clean.buffers()[1], np.int64)[:3].tolist() == [700_001, 0, 700_003]


def test_a_long_list_of_values_keeps_the_order_of_rows_however_many_are_hidden(shelf: Shelf) -> None:
    """A store that makes a join of it gives the rows of the smallest file first."""
    for number, rows in enumerate((1900, 1200, 90, 800)):
        shelf.put({"n": range(number * 2000, number * 2000 + rows)}, f"data/{number}.parquet", row_group_size=95)
    wanted = [n for n in range(8000) if n % 2000 < 90]
    listed = ", ".join(map(str, wanted))
    assert shelf.read(["n"], rows=f"n in ({listed})")["n"].to_pylist() == wanted
    assert shelf.read(["n"], rows=f"n in ({listed})", limit=7)["n"].to_pylist() == wanted[:7]


@pytest.fixture
def shelf(tmp_path) -> Shelf:  # type: ignore[no-untyped-def]
    return Shelf(tmp_path)
