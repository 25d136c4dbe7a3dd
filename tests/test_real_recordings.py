"""Real pointer recordings, read through the whole service and compared with DuckDB reading the file itself."""

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from conftest import Embedded, made_database
from service import CATALOG, Service, serving

RECORDINGS = Path(__file__).parents[2] / "shared" / "data" / "pointer_events.parquet"
pytestmark = pytest.mark.skipif(not RECORDINGS.exists(), reason=f"{RECORDINGS.name} is not on this machine")

DATASET = """
[datasets.recordings]
title = "Pointer recordings of three people"
owner = "collection.mci"
store = "files"
location = "data/recordings/*.parquet"
subject = "employee_id"
occurred_at = "occurred_at"
audience = [{ team = "research.ml", purpose = "train_ai_system" }]
[datasets.recordings.columns]
employee_id = "user.unique_id"
session_id = "user.behavior.pointer"
occurred_at = "user.behavior.pointer"
button = "user.behavior.pointer"
x = "user.behavior.pointer"
y = "user.behavior.pointer"
"""
COLUMNS = ["employee_id", "session_id", "occurred_at", "button", "x", "y"]


@pytest.fixture(scope="module")
def recordings(server: Embedded, folder: Path) -> Iterator[Service]:
    place = folder / "recordings"
    place.mkdir(mode=0o700)
    with made_database(server, "recordings") as database, serving(place, database.url()) as service:
        target = place / "data" / "recordings" / "pointer_events.parquet"
        target.parent.mkdir()
        target.write_bytes(RECORDINGS.read_bytes())
        target.chmod(0o600)
        (place / "catalog.toml").write_text(CATALOG + DATASET)
        assert service.call("POST", "/v1/policy:reload", "eve").status_code == 200
        yield service


def directly(query: str) -> pa.Table:
    return duckdb.sql(query.replace("recordings", f"'{RECORDINGS}'")).to_arrow_table()


def test_every_real_recording_comes_out_as_it_went_in(recordings: Service) -> None:
    grant = recordings.grant(dataset="recordings", columns=COLUMNS)
    got = recordings.rows("recordings", grant=grant)
    want = directly("SELECT employee_id, session_id, occurred_at, button, x, y FROM recordings")
    assert got.num_rows == want.num_rows == 2_094_151
    assert got.drop_columns("employee_id").equals(
        want.drop_columns("employee_id").cast(got.drop_columns("employee_id").schema)
    )


def test_pseudonyms_of_real_people_are_one_to_one_and_say_nothing_of_them(recordings: Service) -> None:
    grant = recordings.grant(dataset="recordings", columns=COLUMNS)
    got = recordings.rows("recordings", grant=grant, columns=["employee_id"])["employee_id"].combine_chunks()
    want = directly("SELECT employee_id FROM recordings")["employee_id"].combine_chunks()
    pairs = set(zip(got.to_pylist(), want.to_pylist(), strict=True))
    assert len(pairs) == 3
    assert not any(re.search("user", pseudonym) for pseudonym, _ in pairs)


@pytest.mark.parametrize(
    ("scope", "asked", "condition"),
    [
        ("x < 65535 and y < 65535", "", "x < 65535 AND y < 65535"),
        ("employee_id = 'user7'", "button = 'Left'", "employee_id = 'user7' AND button = 'Left'"),
        ("", "x between 100 and 200 or y is null", "x BETWEEN 100 AND 200 OR y IS NULL"),
        (
            "button != 'NoButton'",
            "session_id like 'session_0%'",
            "button <> 'NoButton' AND session_id LIKE 'session_0%'",
        ),
    ],
)
def test_scopes_and_filters_over_real_recordings_let_through_just_what_duckdb_counts(
    recordings: Service, scope: str, asked: str, condition: str
) -> None:
    grant = recordings.grant(dataset="recordings", columns=COLUMNS, rows=scope)
    got = recordings.rows("recordings", grant=grant, rows=asked, columns=["session_id", "x", "y"])
    want = directly(f"SELECT session_id, x, y FROM recordings WHERE {condition}")
    assert got.equals(want.cast(got.schema))
