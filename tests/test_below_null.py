"""What lies below a NULL never leaves, for it may be a value of a row that the reader may not see."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import ipc
from reading import Shelf

from authz.blanks import blanked

SECRET = 0x5EC2E75EC2E75EC2
BYTES = SECRET.to_bytes(8, "little")


def stream(array: pa.Array) -> bytes:
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, pa.schema([("a", array.type)])) as writer:
        writer.write_batch(pa.record_batch([array], ["a"]))
    return bytes(sink.getvalue())


def hiding() -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x02"), pa.array([SECRET, 5]).buffers()[1]])


MASK = pa.array([True, False])


@pytest.mark.parametrize(
    "array",
    [
        hiding(),
        hiding().view(pa.timestamp("us")),
        hiding().view(pa.float64()),
        pa.StructArray.from_arrays([hiding()], ["x"]),
        pa.StructArray.from_arrays([pa.array([SECRET, 5])], ["x"], mask=MASK),
        pa.ListArray.from_arrays([0, 2], hiding()),
        pa.ListArray.from_arrays([0, 1, 2], pa.array([SECRET, 5]), mask=MASK),
        pa.FixedSizeListArray.from_arrays(hiding(), 1),
        pa.FixedSizeListArray.from_arrays(pa.array([SECRET, 5]), 1, mask=MASK),
        pa.LargeListArray.from_arrays([0, 1, 2], pa.array([SECRET, 5]), mask=MASK),
    ],
    ids=lambda array: str(array.type),
)
def test_clearing_takes_what_is_hidden_and_nothing_else(array: pa.Array) -> None:
    assert BYTES in stream(array)
    assert BYTES not in stream(blanked(array))
    assert pa.types.is_timestamp(array.type) or blanked(array).to_pylist() == array.to_pylist()


BEHIND = pa.py_buffer(b"\x05"), pa.py_buffer(b"\xfd")


def with_bits(bitmap: pa.Buffer, type_: pa.DataType) -> pa.Array:
    """Three values of which the second is NULL, or is false; the other bits of the byte are of no row."""
    if pa.types.is_boolean(type_):
        return pa.Array.from_buffers(type_, 3, [None, bitmap])
    whole = pa.array(["a", "", "b"], type_) if type_ == pa.string() else pa.array([1, 0, 3], type_)
    return pa.Array.from_buffers(type_, 3, [bitmap, *whole.buffers()[1:]])


@pytest.mark.parametrize("type_", [pa.bool_(), pa.int32(), pa.string()], ids=str)
@pytest.mark.parametrize("nest", [None, "list", "struct"])
def test_bits_behind_the_last_row_tell_nothing(type_: pa.DataType, nest: str | None) -> None:
    def made(bitmap: pa.Buffer) -> pa.Array:
        array = with_bits(bitmap, type_)
        if nest == "list":
            return pa.ListArray.from_arrays([0, 1, 1, 3], array, mask=with_bits(bitmap, pa.bool_()))
        return array if nest is None else pa.StructArray.from_arrays([array], ["a"], mask=with_bits(bitmap, pa.bool_()))

    one, other = map(made, BEHIND)
    assert one.equals(other)
    if nest is None:
        assert stream(one) != stream(other)
    assert stream(blanked(one)) == stream(blanked(other))
    assert blanked(one).equals(one)


@pytest.mark.parametrize(
    "values",
    [
        ["a", None, ""],
        [b"a", None],
        [True, None, False],
        [date(2026, 11, 2), None],
        [datetime(2026, 11, 2, 9), None],  # noqa: DTZ001  # without a zone on purpose
        [Decimal("1.50"), None],
        [{"x": [1, None]}, None, {"x": None}],
        [None, None],
        [],
    ],
)
def test_every_type_comes_back_as_it_was(values: list[object]) -> None:
    assert blanked(pa.array(values)).equals(pa.array(values))


@pytest.mark.parametrize("kept", ["in turn", "in blocks", "at the end"])
def test_no_value_of_a_row_that_was_left_out_lies_below_a_null(tmp_path: Path, kept: str) -> None:
    rows = 40_000
    match kept:
        case "in turn":
            seen = [number % 3 == 0 for number in range(rows)]
        case "in blocks":
            seen = [number // 1024 % 2 == 0 for number in range(rows)]
        case _:
            seen = [number > 2048 * 3 for number in range(rows)]
    shelf = Shelf(tmp_path)
    numbers = pa.array([None if each else SECRET for each in seen], pa.int64())
    # plain pages of their own: here the store leaves the most behind
    shelf.put({"k": pa.array(seen), "x": numbers}, use_dictionary=False, compression="none", row_group_size=10_000)
    found = shelf.read(["x", "k"], scope="k = true")
    shelf.reader.close()
    assert (found.num_rows, found["x"].null_count) == (sum(seen), sum(seen))
    assert not [chunk for chunk in found["x"].chunks if BYTES in stream(chunk)]
