"""A reader in the hands of pandas, polars, DuckDB and a training loop: lazily, once, and never a part for the whole."""

import gc
import itertools
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ports import free_port
from pyarrow import dataset
from service import LONG_ROWS, Service
from wire import Wire, arrow_stream, rows, says

import remit
from remit import connection

BATCH = pa.record_batch({"x": pa.array(range(10_000), pa.int32()), "who": ["ann", None] * 5_000})
STREAM = arrow_stream(BATCH, BATCH, BATCH)
ROWS = 3 * BATCH.num_rows
TAKERS: dict[str, Callable[[Any, Path], Any]] = {
    "read_all": lambda reader, _: reader.read_all().num_rows,
    "to_pandas": lambda reader, _: len(reader.to_pandas()),
    "to_polars": lambda reader, _: reader.to_polars().height,
    "batches": lambda reader, _: sum(batch.num_rows for batch in reader.batches(7)),
    "pandas": lambda reader, _: len(pd.DataFrame.from_arrow(reader)),
    "polars": lambda reader, _: pl.DataFrame(reader).height,
    "polars.from_arrow": lambda reader, _: pl.from_arrow(reader).height,
    "pyarrow": lambda reader, _: pa.table(reader).num_rows,
    "duckdb": lambda reader, _: duckdb.from_arrow(reader).aggregate("count(*)").fetchall()[0][0],
    "duckdb.sql": lambda reader, _: duckdb.sql("SELECT count(*) FROM reader").fetchall()[0][0],  # noqa: ARG005  # found by its name
    "duckdb write": lambda reader, place: duckdb.from_arrow(reader).write_parquet(str(place / "a.parquet")) or ROWS,
    "write_dataset": lambda reader, place: dataset.write_dataset(reader, place, format="parquet") or ROWS,
}


@pytest.fixture
def wire() -> Iterator[Wire]:
    server = Wire()
    yield server
    server.close()


@pytest.fixture
def client(wire: Wire) -> Iterator[remit.Client]:
    with remit.connect(wire.url, token="a.b.c", timeout=20) as connected:
        yield connected


@pytest.mark.parametrize("taker", TAKERS)
def test_every_row_arrives_wherever_the_reader_is_taken(
    wire: Wire, client: remit.Client, taker: str, tmp_path: Path
) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM))
    assert TAKERS[taker](client.read("d"), tmp_path) == ROWS


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("cut", [4, 8, 30_000, len(STREAM) - 600])
def test_a_stream_that_breaks_raises_wherever_the_reader_is_taken(
    wire: Wire, client: remit.Client, taker: str, cut: int, tmp_path: Path
) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM[:-cut]))
    with pytest.raises(Exception, match="the rows stopped before their end"):
        TAKERS[taker](client.read("d"), tmp_path)


@pytest.mark.parametrize("taken", ["duckdb", "polars", "batches"])
def test_rows_are_taken_as_they_arrive(wire: Wire, client: remit.Client, taken: str) -> None:
    first, rest = len(arrow_stream(BATCH)) - 8, Event()
    wire.answers("POST", "/v1/reads", rows([STREAM[:first], STREAM[first:]], holds=rest))
    with client.read("d") as reader:
        match taken:
            case "duckdb":
                found = duckdb.from_arrow(reader).limit(3).fetchall()
            case "polars":
                found = next(iter(pl.from_arrow(batch).rows() for batch in reader))[:3]
            case _:
                found = [tuple(row.values()) for row in next(reader.batches(3)).to_pylist()]
        assert found == [(0, "ann"), (1, None), (2, "ann")]
    rest.set()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.integers(1, 25), st.booleans())
def test_batches_have_the_size_that_was_asked_for(
    wire: Wire, client: remit.Client, sizes: list[int], size: int, drop_last: bool
) -> None:
    ends = list(itertools.accumulate(sizes))
    wire.answers("POST", "/v1/reads", rows(arrow_stream(*(BATCH.slice(e - n, n) for e, n in zip(ends, sizes)))))  # noqa: B905
    with client.read("d") as reader:
        found = list(reader.batches(size, drop_last=drop_last))
    kept = ends[-1] - (ends[-1] % size if drop_last else 0)
    assert [batch.num_rows for batch in found[:-1]] == [size] * (len(found) - 1)
    assert pa.Table.from_batches(found, BATCH.schema).equals(pa.Table.from_batches([BATCH.slice(0, kept)]))


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_no_rows_is_refused_at_once(wire: Wire, client: remit.Client, size: int) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM))
    with pytest.raises(remit.Misuse, match="from 1"):
        client.read("d").batches(size)


@pytest.mark.parametrize("method", ["to_pandas", "to_polars"])
def test_everything_is_not_given_twice_nor_after_a_part(wire: Wire, client: remit.Client, method: str) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM))
    taken, begun = client.read("d"), client.read("d")
    getattr(taken, method)()
    next(begun)
    for reader in (taken, begun):
        with pytest.raises(remit.Misuse, match=f"`{method}` gives all of them"):
            getattr(reader, method)()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_missing_is_named_and_costs_no_rows(
    wire: Wire, client: remit.Client, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM))
    monkeypatch.setitem(sys.modules, library, None)  # how Python itself marks what is not there
    reader = client.read("d")
    with pytest.raises(remit.NotInstalled, match=f"pip install {library}") as caught:
        getattr(reader, f"to_{library}")()
    assert isinstance(caught.value, ImportError)
    assert reader.read_all().num_rows == ROWS


def test_a_reader_outlives_the_client_that_nobody_kept(wire: Wire) -> None:
    wire.answers("POST", "/v1/reads", rows([STREAM[:5_000], STREAM[5_000:]]))
    reader = remit.connect(wire.url).read("d")
    gc.collect()
    assert reader.read_all().num_rows == ROWS


def test_what_is_printed_of_a_client_and_a_reader_says_what_they_are_and_no_secret(wire: Wire) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM, Remit_Read="r-1", Remit_Grant="g-1", Remit_Entry="7"))
    with remit.connect(wire.url.replace("//", "//user:password@"), token="a.b.c") as client:
        assert repr(client) == f"<remit.Client of {wire.url}>"
        told = repr(client.read("d"))
    assert told == "<remit.RowReader of read r-1 under grant g-1, entry 7 (x: int32, who: string)>"


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_timeout_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(remit.Misuse, match="timeout"):
        remit.connect("http://127.0.0.1:8470", timeout=seconds)


def test_what_is_left_of_a_budget_is_told() -> None:
    grant = {"id": "g", "status": "active", "purpose": "p", "starts": "2026-11-01T00:00:00Z"}
    grant |= {"ends": "2026-12-01T00:00:00Z", "rows_used": 4}
    wire = Wire()
    wire.answers("GET", "/v1/grants", says({"items": [grant, {**grant, "max_rows": 10}], "next": None}))
    with remit.connect(wire.url) as client:
        assert [each.rows_left for each in client.grants()] == [None, 6]
    wire.close()


class Dropping:
    """A server that takes a request and hangs up without a word, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                taken, _ = self._listener.accept()
            except OSError:
                return
            with taken:
                taken.recv(65_536)
                self.asked += 1

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_a_read_whose_answer_was_lost_is_never_asked_again_and_a_question_is() -> None:
    dropping = Dropping()
    with remit.connect(dropping.url) as client:
        with pytest.raises(remit.Unreachable, match="it may have been done all the same"):
            client.read("d")
        with pytest.raises(remit.Unreachable, match="it may have been done all the same"):
            client.revoke_grant("g-1", "over")
        assert dropping.asked == 2
        with pytest.raises(remit.Unreachable, match="remit serve"):
            client.dataset("d")
        assert dropping.asked == 2 + 1 + len(connection.WAITS)
    dropping.close()


def test_a_gateway_that_is_just_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    tried = Event()

    def waits() -> Iterator[float]:
        for _ in range(1_000):
            tried.set()
            yield 0.01

    monkeypatch.setattr(connection, "WAITS", waits())
    started: list[Wire] = []

    def start() -> None:
        tried.wait(20)
        wire = Wire(port)
        wire.answers("POST", "/v1/reads", rows(STREAM))
        started.append(wire)

    starter = Thread(target=start)
    starter.start()
    with remit.connect(f"http://127.0.0.1:{port}") as client:
        assert client.read("d").read_all().num_rows == ROWS
    starter.join()
    started[0].close()


READS = """
import sys
import psutil
import remit
from gateway.parquet import ParquetEncoder

client = remit.connect(sys.argv[1], token=sys.argv[2])
reader = client.read("long", grant=sys.argv[3])
encoder, process = ParquetEncoder(reader.schema), psutil.Process()
rows = size = before = peak = 0
for batch in reader.batches(10_000):
    size += sum(map(len, encoder.rows(batch)))
    rows += batch.num_rows
    if rows > 1_000_000:
        before = before or process.memory_info().rss
        peak = max(peak, process.memory_info().rss)
print(rows, peak - before)
"""
MOST = 30_000_000
"""Bytes that memory may rise by after the first million rows; those that follow are 150 million."""


@pytest.mark.slow
def test_a_long_read_is_taken_and_turned_into_parquet_with_flat_memory(service: Service) -> None:
    grant = service.grant(dataset="long", columns=["who", "x"])
    command = [sys.executable, "-c", READS, service.url, service.token("ana"), grant]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=200)
    found, raised = map(int, done.stdout.split())
    assert found == LONG_ROWS
    assert raised < MOST
