"""The same over real HTTP: two gateways whose ledgers and keys are copies, over stores that differ out of sight."""

import itertools
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx2
import psycopg
import pytest
from conftest import NUMBERS, _named, made_database
from service import EVENTS, Service, serving

from audit.postgres import Embedded

OTHERWISE = f"""
    SELECT who, "at", x,
    (key_ms // 25 * 25 + 3)::INTEGER AS key_ms, 'other ' || x AS screen, 'other' AS review, -x AS forgotten
    FROM ({EVENTS}) WHERE x < 500
    UNION ALL SELECT 'e9', NULL, (500 + i % 9)::INTEGER, i::INTEGER, NULL, NULL, NULL FROM range(7000) more (i)
"""
SCOPE = {"columns": ["who", "at", "x", "key_ms"], "rows": "x < 500", "max_rows": 1_000_000}
ITS_OWN = ("date", "remit-read", "remit-entry")
"""Headers that differ by nature: the time, a random id, and a number that counts what everybody wrote."""
FORMATS = ("application/vnd.apache.arrow.stream", "text/csv", "application/x-ndjson")
ROWS = (
    "",
    "x > 490",
    "x in (1, 2, 3, 499, 500, 501, 502, 7)",
    "at is null",
    "x > 600",
    "who = 'e9'",
    "x = 'a'",
    "nothing",
)
COLUMNS = (None, ["x"], ["key_ms", "who"], ["at", "x"], ["x", "screen"], ["forgotten"], ["y"], ["x", "x"])
PAIRS = 120


@pytest.fixture(scope="module")
def pair(server: Embedded, folder: Path) -> Iterator[tuple[Service, Service]]:
    places = [Path(tempfile.mkdtemp(dir=folder)) for _ in range(2)]
    copy = f"test_{next(NUMBERS)}"
    with made_database(server, f"test_{next(NUMBERS)}") as made, serving(places[0], made.url()) as one:
        one.grant(**SCOPE)
        one.stop()
        with psycopg.connect(_named(server.url("owner"), "postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {copy} TEMPLATE {made.name}")
        shutil.copytree(places[0] / "home", places[1] / "home")
        one.start()
        with serving(places[1], _named(server.url("gateway"), copy)) as other:
            part = places[1] / "data/events/part.parquet"
            duckdb.sql(f"COPY (SELECT * FROM ({OTHERWISE}) ORDER BY x >= 500 DESC, x) TO '{part}.new' (FORMAT parquet)")
            Path(f"{part}.new").chmod(0o600)
            Path(f"{part}.new").replace(part)
            yield one, other


def observed(response: httpx2.Response) -> Any:
    headers = {name: value for name, value in response.headers.items() if name not in ITS_OWN}
    body: Any = response.content
    if "json" in response.headers["content-type"] and "nd" not in response.headers["content-type"]:
        body = {name: value for name, value in response.json().items() if name not in ("read", "entry")}
        headers.pop("content-length", None)  # as long as the number of the entry
    return response.status_code, headers, body


def test_reads_over_http_are_alike_byte_for_byte_whatever_lies_out_of_sight(pair: tuple[Service, Service]) -> None:
    source = random.Random(28)
    asks = list(itertools.product(ROWS, COLUMNS, (None, 3, 700), FORMATS, ("/v1/reads", "/v1/reads:check")))
    statuses = set()
    for rows, columns, limit, accept, path in source.sample(asks, PAIRS):
        body = {"dataset": "events", "rows": rows, "columns": columns, "limit": limit}
        answers = [each.call("POST", path, json=body, headers={"Accept": accept}) for each in pair]
        assert observed(answers[0]) == observed(answers[1]), (path, body, accept)
        statuses.add(answers[0].status_code)
    assert statuses >= {200, 400, 403, 422}
    for path in ("/v1/datasets", "/v1/grants"):
        one, other = (observed(each.call("GET", path)) for each in pair)
        assert one == other
