"""A read of 20,000,000 rows leaves memory flat."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROWS = 20_000_000
MOST = 300 * 2**20

READS = """
import sys, threading, time
import psutil
from reading import Shelf
from pathlib import Path
from policy.values import Treatment

shelf = Shelf(Path(sys.argv[1]))
shelf.read(["x"], rows="x < 0")
process = psutil.Process()
before = peak = process.memory_info().rss
stream = shelf.open({"who": Treatment.PSEUDONYM, "at": Treatment.CLEAR, "x": Treatment.CLEAR, "text": Treatment.CLEAR})
rows = 0
for batch in iter(stream.read_next, None):
    rows += batch.num_rows
    peak = max(peak, process.memory_info().rss)
stream.close()
shelf.reader.close()
print(rows, peak - before)
"""


@pytest.mark.slow
def test_twenty_million_rows_raise_resident_memory_by_less_than_300_mb(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    duckdb.sql(
        f"""COPY (SELECT 'employee-' || (i % 5000) AS who, TIMESTAMP '2026-11-01' + to_milliseconds(i) AS at,
        (i * 7919 % 1920)::DOUBLE AS x, 'text ' || (i % 100) AS text FROM range({ROWS}) AS t(i))
        TO '{tmp_path}/data/part.parquet' (FORMAT parquet)"""
    )
    ran = subprocess.run(
        [sys.executable, "-c", READS, str(tmp_path)],
        cwd=Path(__file__).parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=200,
    )
    rows, raised = map(int, ran.stdout.split())
    assert rows == ROWS
    assert raised <= MOST
