"""`remit read --out`: the format that the name ends in, whole or not at all, and for its owner only."""

import csv
import gzip
import io
import json
import os
import pty
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import feather, ipc, parquet
from service import Service
from wire import Wire, arrow_stream, rows

from gateway.encoder import Encoder
from gateway.encodings import CsvEncoder, NdjsonEncoder
from gateway.parquet import ParquetEncoder
from remit.cli import main
from remit.cli.outfile import FORMATS

BATCH = pa.record_batch({"x": pa.array(range(30), pa.int32()), "who": ["=cmd|' /C calc'!A0"] * 29 + [None]})
STREAM = arrow_stream(BATCH, BATCH)
TABLE = pa.Table.from_batches([BATCH, BATCH])
LARGE = pa.record_batch({"x": pa.array(range(200_000), pa.int64()), "text": [os.urandom(8).hex()] * 200_000})


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    server = Wire()
    monkeypatch.setenv("REMIT_URL", server.url)
    monkeypatch.setenv("REMIT_TOKEN", "a.b.c")
    yield server
    server.close()


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from remit.cli import main; main()", *map(str, arguments)]


def encoded(encoder: type[Encoder]) -> bytes:
    made = encoder(TABLE.schema)
    return b"".join(map(bytes, [made.begin(), *made.rows(TABLE.combine_chunks().to_batches()[0]), made.end()]))


UNZSTD = pa.Codec("zstd")
WRITTEN: dict[str, Callable[[Path], bool]] = {
    "a.parquet": lambda path: parquet.read_table(path).equals(TABLE),
    "A.PARQUET": lambda path: path.read_bytes() == encoded(ParquetEncoder),
    "a.b.arrow": lambda path: ipc.open_file(path).read_all().equals(TABLE),
    "a.feather": lambda path: feather.read_table(path).equals(TABLE) and pl.read_ipc(path).height == 60,
    "a.arrows": lambda path: path.read_bytes() == STREAM,
    "a.csv": lambda path: path.read_bytes() == encoded(CsvEncoder),
    "a.csv.gz": lambda path: gzip.decompress(path.read_bytes()) == encoded(CsvEncoder) and len(pd.read_csv(path)) == 60,
    "a.csv.zst": lambda path: pl.read_csv(path).height == 60,
    "a.ndjson": lambda path: path.read_bytes() == encoded(NdjsonEncoder),
    "a.jsonl": lambda path: [json.loads(line)["x"] for line in path.read_text().splitlines()] == [*range(30)] * 2,
    "a.jsonl.gz": lambda path: duckdb.sql(f"FROM read_json('{path}')").fetchall()[:2][1] == (1, "=cmd|' /C calc'!A0"),
    "a.ndjson.zst": lambda path: (
        UNZSTD.decompress(path.read_bytes(), len(encoded(NdjsonEncoder)), asbytes=True) == encoded(NdjsonEncoder)
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_has_the_format_that_its_name_ends_in_and_is_for_its_owner_only(
    wire: Wire, tmp_path: Path, name: str
) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM))
    before = os.umask(0)
    assert run("read", "d", "--out", str(tmp_path / name)) == 0
    os.umask(before)
    assert WRITTEN[name](tmp_path / name)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == [name]


def test_no_spreadsheet_executes_what_stands_in_a_csv(wire: Wire, tmp_path: Path) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM))
    assert run("read", "d", "--out", str(tmp_path / "a.csv")) == 0
    lines = list(csv.reader(io.StringIO((tmp_path / "a.csv").read_text(), newline="")))
    assert lines[:2] == [["x", "who"], ["0", "'=cmd|' /C calc'!A0"]]


@pytest.mark.parametrize("name", ["a.xlsx", "a.json", "a", "a.parquet.gz", ".csv", "a.csv.bz2", "csv", "a.gz"])
def test_an_ending_that_is_not_known_is_usage_and_lists_those_that_are(
    wire: Wire, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run("read", "d", "--out", str(tmp_path / name)) == 2
    said = capsys.readouterr().err
    assert all(end in said for end in FORMATS)
    assert wire.asked == []
    assert os.listdir(tmp_path) == []


def test_a_place_that_cannot_hold_the_rows_is_refused_before_they_are_asked_for(wire: Wire, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.arrow")
    (tmp_path / "folder.csv").mkdir()
    for place in (tmp_path / "no" / "rows.arrow", tmp_path / "folder.csv", tmp_path / "pipe.arrow", "/dev/null"):
        assert run("read", "d", "--out", str(place)) == 2
    assert wire.asked == []
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_rows_are_written_through_a_link_and_the_link_stays(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "link.arrow").symlink_to(tmp_path / "real.arrow")
    wire.answers("POST", "/v1/reads", rows(STREAM))
    assert run("read", "d", "--out", str(tmp_path / "link.arrow")) == 0
    assert (tmp_path / "link.arrow").is_symlink()
    assert ipc.open_file(tmp_path / "real.arrow").read_all().equals(TABLE)


@pytest.mark.parametrize("name", ["a.arrow", "a.parquet", "a.csv", "a.ndjson.zst"])
@pytest.mark.parametrize("cut", [8, 300])
def test_a_broken_stream_leaves_the_old_file_and_nothing_else(
    wire: Wire, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, cut: int
) -> None:
    (tmp_path / name).write_text("old")
    wire.answers("POST", "/v1/reads", rows(STREAM[:-cut], ending="reset"))
    assert run("read", "d", "--out", str(tmp_path / name)) == 3
    assert "broken_stream" in capsys.readouterr().err
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "old"


@pytest.fixture
def heard() -> Iterator[None]:
    """What runs under `nohup` passes on that SIGHUP is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", ["a.csv.gz", "a.parquet"])
def test_a_command_that_is_stopped_leaves_the_old_file_and_nothing_else(
    wire: Wire, tmp_path: Path, number: signal.Signals, name: str
) -> None:
    (tmp_path / name).write_text("old")
    wire.answers("POST", "/v1/reads", rows(STREAM[:-8], ending="silent"))
    with subprocess.Popen(command("read", "d", "--out", tmp_path / name), stderr=subprocess.DEVNULL) as process:
        while len(os.listdir(tmp_path)) < 2:
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait(60) == -number
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "old"


STOPPED_WHILE_AN_OBJECT_IS_CLEARED_AWAY = """
import signal, sys, weakref
from pathlib import Path
from remit.cli.outfile import appearing

class Thing: pass

with appearing(Path(sys.argv[1])) as file:
    thing = Thing()
    weakref.finalize(thing, signal.raise_signal, int(sys.argv[2]))
    file.write(b"new")
    del thing
print("went on")
"""


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_no_signal_that_ends_the_command_is_dropped_wherever_it_meets_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    code = STOPPED_WHILE_AN_OBJECT_IS_CLEARED_AWAY
    asked = [sys.executable, "-c", code, tmp_path / "a.csv", str(int(number))]
    done = subprocess.run(asked, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (-number, b"")
    assert os.listdir(tmp_path) == []


FIRST_PROCESS_OF_A_CONTAINER = """
import os, signal, sys
from pathlib import Path
from remit.cli.outfile import appearing

# what the kernel does there: a signal whose action is the default one is not delivered
signal.raise_signal = lambda number: None
with appearing(Path(sys.argv[1])) as file:
    os.kill(os.getpid(), signal.SIGTERM)
    file.write(b"new")
print("went on")
"""


def test_the_first_process_of_a_container_ends_too(tmp_path: Path) -> None:
    asked = [sys.executable, "-c", FIRST_PROCESS_OF_A_CONTAINER, tmp_path / "a.csv"]
    done = subprocess.run(asked, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, b"")
    assert os.listdir(tmp_path) == []


def test_who_is_killed_outright_leaves_no_file_of_that_name(wire: Wire, tmp_path: Path) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM[:-8], ending="silent"))
    with subprocess.Popen(command("read", "d", "--out", tmp_path / "a.csv"), stderr=subprocess.DEVNULL) as process:
        while not os.listdir(tmp_path):
            assert process.poll() is None
        process.kill()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".remit-")
    assert stat.S_IMODE(left.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl.zst", "a.arrow"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else_and_says_so(wire: Wire, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("old")
    wire.answers("POST", "/v1/reads", rows(arrow_stream(LARGE)))
    limited = ["/bin/sh", "-c", 'ulimit -f 16; exec "$@"', "sh", *command("read", "d", "--out", tmp_path / name)]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "could not be written: File too large; nothing of it is there" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "old"


def test_a_folder_that_cannot_be_written_to_is_told(wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM))
    assert run("read", "d", "--out", "/proc/a.csv") == 3
    assert "`/proc/a.csv` could not be written" in capsys.readouterr().err


def test_a_column_without_a_place_in_the_format_is_told_and_nothing_is_left(
    wire: Wire, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = pa.record_batch({"o": pa.array([pa.MonthDayNano([1, 2, 3])])})
    wire.answers("POST", "/v1/reads", rows(arrow_stream(odd)))
    assert run("read", "d", "--out", str(tmp_path / "a.parquet")) == 3
    assert "column `o` cannot be given as application/vnd.apache.parquet" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_a_terminal_sees_rows_bytes_and_rate_while_they_arrive(wire: Wire, tmp_path: Path) -> None:
    rest, first = Event(), len(arrow_stream(BATCH)) - 8
    wire.answers("POST", "/v1/reads", rows([STREAM[:first], STREAM[first:]], holds=rest))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    seen = bytearray()

    def watch() -> None:
        # the last read of a terminal whose other side is closed is an error on Linux
        try:
            while part := os.read(ours, 65_536):
                seen.extend(part)
                if b"30 rows" in seen and b"/s" in seen:
                    rest.set()
        except OSError:
            return

    watcher = Thread(target=watch)
    watcher.start()
    asked = command("read", "d", "--out", tmp_path / "a.parquet")
    done = subprocess.run(asked, stdout=theirs, stderr=theirs, check=False, timeout=60, env=environment)
    os.close(theirs)
    watcher.join()
    os.close(ours)
    assert done.returncode == 0, seen
    assert rest.is_set()
    assert b"60 rows (" in seen


def test_a_terminal_has_its_cursor_back_when_the_command_is_stopped(wire: Wire, tmp_path: Path) -> None:
    hidden, shown = b"\x1b[?25l", b"\x1b[?25h"
    wire.answers("POST", "/v1/reads", rows(STREAM[:-8], ending="silent"))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    asked = command("read", "d", "--out", tmp_path / "a.parquet")
    seen = b""
    with subprocess.Popen(asked, stdout=theirs, stderr=theirs, env=environment) as process:
        while hidden not in seen:
            seen += os.read(ours, 65_536)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
    # nothing may be left to read, and then only a terminal whose other side is closed does not wait
    os.close(theirs)
    with suppress(OSError):
        seen += os.read(ours, 65_536)
    os.close(ours)
    assert shown in seen
    assert seen.rindex(shown) > seen.rindex(hidden)
    assert os.listdir(tmp_path) == []


def test_without_a_terminal_there_is_no_bar(wire: Wire, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM, Remit_Read="r-1", Remit_Grant="g-1", Remit_Entry="7"))
    assert run("read", "d", "--out", str(tmp_path / "a.arrow")) == 0
    size = (tmp_path / "a.arrow").stat().st_size
    expected = [f"60 rows ({size:,} bytes) in `{tmp_path}/a.arrow`", "read r-1 under grant g-1, entry 7 of the ledger"]
    assert capsys.readouterr().err.splitlines() == expected


def test_files_of_the_real_service_hold_the_same_rows_in_each_format(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = service.grant(columns=["who", "at", "x"])
    monkeypatch.setenv("REMIT_URL", service.url)
    monkeypatch.setenv("REMIT_TOKEN", service.token("ana"))
    for name in ("a.parquet", "a.arrow", "a.csv", "a.ndjson.gz"):
        assert run("read", "events", "--grant", grant, "--out", str(tmp_path / name)) == 0
    place = f"'{tmp_path}/a"
    whole = duckdb.sql(f"FROM {place}.parquet' ORDER BY x").fetchall()
    assert len(whole) == 1000
    assert duckdb.sql(f"FROM {place}.csv' ORDER BY x").fetchall() == whole
    assert duckdb.sql(f'SELECT who, CAST("at" AS TIMESTAMP), x FROM {place}.ndjson.gz\' ORDER BY x').fetchall() == whole
    found = ipc.open_file(tmp_path / "a.arrow").read_all().sort_by("x").to_pylist()
    assert [tuple(row.values()) for row in found] == whole
