"""Rows as Parquet: they come back as they were, whole or not at all, with nothing of any other row."""

import io
import itertools
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx2
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from service import HTTP, LONG_ROWS, Service

from gateway.encoder import Unencodable
from gateway.parquet import GROUP_BYTES, GROUP_ROWS, ParquetEncoder

PARQUET = ParquetEncoder.content_type


def encoded(*batches: pa.RecordBatch) -> bytes:
    made = ParquetEncoder(batches[0].schema)
    rows = b"".join(piece for batch in batches for piece in made.rows(batch))
    return made.begin() + rows + made.end()


def decoded(data: bytes) -> pa.Table:
    return parquet.read_table(io.BytesIO(data))


def column(values: object, type: pa.DataType | None = None) -> pa.RecordBatch:
    return pa.record_batch([pa.array(values, type)], ["a"])


COLUMNS = {
    "text": pa.array(["a", None, ""]),
    "large": pa.array(["ä", None, ""], pa.large_string()),
    "bytes": pa.array([b"\x00", None, b""]),
    "whole": pa.array([2**63 - 1, None, -(2**63)]),
    "unsigned": pa.array([2**64 - 1, None, 0], pa.uint64()),
    "float": pa.array([-0.0, None, float("inf")]),
    "money": pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal128(10, 2)),
    "at": pa.array([datetime(2026, 11, 2, 9, 30, tzinfo=UTC), None, None], pa.timestamp("us", "UTC")),
    "nanos": pa.array([1, None, 2], pa.timestamp("ns")),
    "took": pa.array([timedelta(milliseconds=3), None, None], pa.duration("ms")),
    "nothing": pa.nulls(3, pa.string()),
    "nested": pa.array([[{"x": 1}], None, []], pa.list_(pa.struct({"x": pa.int32()}))),
}


def test_rows_come_back_with_their_types() -> None:
    batch = pa.record_batch(COLUMNS)
    assert decoded(encoded(batch, batch)).equals(pa.Table.from_batches([batch, batch]))


@settings(max_examples=15)
@given(st.lists(st.integers(0, 2 * GROUP_ROWS), min_size=1, max_size=5))
def test_the_file_depends_on_the_rows_and_not_on_how_they_came(cuts: list[int]) -> None:
    whole = column(range(2 * GROUP_ROWS + 5))
    places = [0, *sorted(cuts), whole.num_rows]
    pieces = [whole.slice(a, b - a) for a, b in itertools.pairwise(places)]
    assert encoded(*pieces) == encoded(whole)


def test_row_groups_have_their_size_and_wide_rows_make_smaller_ones() -> None:
    found = parquet.read_metadata(io.BytesIO(encoded(*[column(range(100_000))] * 6)))
    assert [found.row_group(n).num_rows for n in range(found.num_row_groups)] == [GROUP_ROWS, GROUP_ROWS, 75_712]
    wide = column(["x" * 10_000] * 8_000)
    found = parquet.read_metadata(io.BytesIO(encoded(wide)))
    assert found.num_row_groups == 3
    assert max(found.row_group(n).num_rows * 10_000 for n in range(3)) < 1.1 * GROUP_BYTES


def test_no_rows_are_a_whole_file() -> None:
    batch = pa.record_batch(COLUMNS).slice(0, 0)
    assert decoded(encoded(batch)).schema.names == list(COLUMNS)
    assert decoded(encoded(batch)).num_rows == 0


def test_a_file_cut_at_any_byte_cannot_be_opened() -> None:
    data = encoded(column(["a", None, "b"]))
    for cut in range(len(data)):
        with pytest.raises(pa.ArrowInvalid):
            parquet.read_table(io.BytesIO(data[:cut]))


SECRET, OURS = "SECRET-OF-ANOTHER-ROW", "what-is-delivered"
SHARED = pa.DictionaryArray.from_arrays(pa.array([0, None, 0]), pa.array([OURS, SECRET]))
UNDER_NULL = pa.array([SECRET, OURS])


@pytest.mark.parametrize(
    "values",
    [
        SHARED,
        pa.array([SECRET, OURS, None]).slice(1),
        pa.array([SECRET, OURS], pa.string_view()).slice(1),
        pa.StringArray.from_buffers(2, *UNDER_NULL.buffers()[1:], pa.py_buffer(b"\x02")),
        pa.array([[SECRET], [OURS]]).slice(1),
    ],
    ids=["dictionary", "slice", "view", "under NULL", "list"],
)
def test_nothing_but_the_rows_that_are_delivered_is_in_the_file(values: pa.Array) -> None:
    data = encoded(column(values))
    assert decoded(data)["a"].to_pylist() == values.to_pylist()
    assert OURS.encode() in data
    assert SECRET.encode() not in data


def test_a_dictionary_that_was_written_as_it_came_would_tell_of_other_rows() -> None:
    sink = io.BytesIO()
    parquet.write_table(pa.table({"a": SHARED}), sink, compression="zstd", compression_level=1)
    assert SECRET.encode() in sink.getvalue()


@pytest.mark.parametrize(
    "type",
    [
        pa.dense_union([pa.field("x", pa.int32())]),
        pa.month_day_nano_interval(),
        pa.struct([]),
        pa.list_(pa.dictionary(pa.int8(), pa.string())),
    ],
)
def test_a_type_without_a_place_in_parquet_is_told_before_any_row(type: pa.DataType) -> None:
    with pytest.raises(Unencodable, match=f"column `a` cannot be given as {PARQUET}: it is"):
        ParquetEncoder(pa.schema([("b", pa.int8()), ("a", type)]))


# Through the real service.


def test_the_service_answers_in_parquet_what_it_answers_in_arrow(service: Service) -> None:
    grant = service.grant(columns=["who", "at", "x"])
    asked = {"dataset": "events", "grant": grant, "rows": "x < 500"}
    response = service.call("POST", "/v1/reads", json=asked, headers={"Accept": PARQUET})
    assert response.headers["Content-Type"] == PARQUET
    found = decoded(response.content)
    assert found.sort_by("x").equals(service.rows(grant=grant, rows="x < 500").sort_by("x"))
    ends = service.entries(read=response.headers["Remit-Read"], kind="read.completed")
    assert (ends[0]["details"]["rows"], ends[0]["details"]["ended_by"]) == (500, "end")


def test_a_long_answer_arrives_whole_in_many_row_groups(service: Service) -> None:
    grant = service.grant(dataset="long", columns=["who", "x"])
    asked = {"dataset": "long", "grant": grant}
    response = service.call("POST", "/v1/reads", json=asked, headers={"Accept": PARQUET})
    found = parquet.read_metadata(io.BytesIO(response.content))
    assert (found.num_rows, found.num_row_groups) == (LONG_ROWS, -(-LONG_ROWS // GROUP_ROWS))


def test_a_stream_that_ends_early_is_no_parquet_file_and_no_well_formed_http(service: Service) -> None:
    grant = service.grant(dataset="long", columns=["who", "x"])
    headers = {"Authorization": f"Bearer {service.token('ana')}", "Accept": PARQUET}
    body, arrived = {"dataset": "long", "grant": grant}, bytearray()
    with HTTP.stream("POST", f"{service.url}/v1/reads", headers=headers, json=body) as response:
        chunks = response.iter_bytes()
        arrived += next(chunks)
        service.call("POST", f"/v1/grants/{grant}:revoke", "eve", json={"why": "a test"})
        with pytest.raises(httpx2.HTTPError):
            arrived.extend(b for chunk in chunks for b in chunk)
    with pytest.raises(pa.ArrowInvalid):
        decoded(bytes(arrived))
    until = time.monotonic() + 20
    while not (ends := service.entries(read=response.headers["Remit-Read"], kind="read.interrupted")):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert ends[0]["details"]["ended_by"] == "revoked"
