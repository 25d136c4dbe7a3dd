"""Whose rows left: recorded before they leave, exactly, and never of more people than a grant's `max_subjects`."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import httpx2
import pyarrow as pa
import pytest
from conftest import Database, made_database
from service import Service, serving
from sqlalchemy import Engine
from test_streams import end_of, streaming

from audit.ledger import Ledger
from audit.postgres import Embedded
from authz.dictionary import Dictionary
from authz.permit import Permitted
from authz.subjects import Subjects, Whose
from policy.values import Principal

ODD = [
    "17",
    "017",
    "e1",
    "E1",
    "é",
    "e\u0301",
    "",
    " ",
    "e1 ",
    "\x00",
    "a\x00b",
    "nan",
    "None",
    "😀",
    "x" * 9000,
    None,
    None,
    "17",
]
"""Ids that are nearly alike, or hard to keep; those that are equal are one person."""
SORTED_ROWS = 2_000_000
CATALOG = """
[datasets.{name}]
owner = "collection.mci"
store = "files"
location = "data/{name}/*.parquet"
subject = "who"
audience = [{{ team = "research.ml", purpose = "train_ai_system" }}]
[datasets.{name}.columns]
who = "user.unique_id"
x = "user.behavior.pointer"
"""
LISTS = 'location = "data/lists/*.parquet"\nsubject = "who"'
QUERIES = {
    "sorted": f"SELECT 'p' || format('{{:04}}', i // 1000) AS who, i AS x FROM range({SORTED_ROWS}) numbers (i)",
    "numbered": "SELECT i::DECIMAL(9, 2) AS who, i AS x FROM range(100) numbers (i)",
    "lists": "SELECT [i] AS who, i AS x FROM range(3) numbers (i)",
}


@pytest.fixture(scope="module")
def place(server: Embedded, folder: Path) -> Iterator[tuple[Service, Engine]]:
    """A gateway of this module's own, and a way to ask its database whose rows were read."""
    home = folder / "subjects"
    home.mkdir(mode=0o700)
    with made_database(server, "subjects") as database, serving(home, database.url()) as service:
        add_datasets(service)
        yield service, database.engine()


def add_datasets(service: Service) -> None:
    tables = {name: duckdb.sql(query) for name, query in QUERIES.items()}
    odd = pa.table({"who": pa.array(ODD, pa.string()), "x": range(len(ODD))})
    for name, table in {**tables, "odd": duckdb.from_arrow(odd)}.items():
        file = service.folder / "data" / name / "part.parquet"
        file.parent.mkdir()
        table.write_parquet(str(file))
        file.chmod(0o600)
        if name != "lists":
            with (service.folder / "catalog.toml").open("a") as catalog:
                catalog.write(CATALOG.format(name=name))
    assert service.call("POST", "/v1/policy:reload", "eve").status_code == 200


@pytest.fixture
def service(place: tuple[Service, Engine]) -> Service:
    return place[0]


@pytest.fixture
def subjects(place: tuple[Service, Engine]) -> Subjects:
    return Subjects(place[1], Dictionary(place[1], None))  # type: ignore[arg-type]  # it erases nobody


def names(whose: Whose) -> list[str]:
    return sorted(one.name for one in whose.people)


def granted(service: Service, grant: str) -> dict[str, Any]:
    (mine,) = [each for each in service.call("GET", "/v1/grants").json()["items"] if each["id"] == grant]
    return dict(mine)


def test_whose_rows_a_read_contained_is_known_exactly_and_its_end_proves_it(
    service: Service, subjects: Subjects
) -> None:
    grant = service.grant(columns=["x"])
    response = service.read(grant=grant, rows="x in (1, 4, 5)")
    assert pa.ipc.open_stream(response.content).read_all().column_names == ["x"]
    read = response.headers["Remit-Read"]
    whose = subjects.subjects_of(read)
    assert names(whose) == ["e1", "e2"]
    assert end_of(service, read)["details"] == {
        "rows": 3,
        "ended_by": "end",
        "subjects": 2,
        "subjects_digest": whose.digest,
    }
    assert subjects.subjects_of_grant(grant) == whose


def test_a_budget_of_subjects_cuts_the_read_before_the_first_row_of_one_more(
    service: Service, subjects: Subjects
) -> None:
    grant = service.grant(columns=["x"], max_subjects=2)
    response = service.read(grant=grant)
    assert response.headers["Remit-Limit-Subjects"] == "2"
    assert pa.ipc.open_stream(response.content).read_all().column("x").to_pylist() == [0, 1]
    end = end_of(service, response.headers["Remit-Read"])
    assert (end["kind"], end["details"]["ended_by"], end["details"]["subjects"]) == ("read.completed", "budget", 2)
    assert granted(service, grant)["subjects_used"] == 2
    refused = service.read(grant=grant)
    assert (refused.status_code, refused.json()["code"]) == (403, "beyond_budget")
    assert names(subjects.counted(grant)) == ["e0", "e1"]


def test_a_subject_that_was_counted_costs_nothing_more(service: Service) -> None:
    grant = service.grant(columns=["x"], max_subjects=3)
    for _ in range(3):
        assert service.rows(grant=grant).num_rows == 1000
    assert granted(service, grant)["subjects_used"] == 3


@pytest.mark.parametrize("was_read_before", [False, True])
def test_a_read_that_breaks_off_records_whose_rows_left_and_nobody_elses(
    service: Service, subjects: Subjects, was_read_before: bool
) -> None:
    """A tenth of the file is read, sorted by person: who was recorded ahead is taken back."""
    grant = service.grant(dataset="sorted", columns=["x"])
    if was_read_before:
        assert service.rows("sorted", grant=grant).num_rows == SORTED_ROWS
    with streaming(service, dataset="sorted", grant=grant) as response:
        next(response.iter_bytes())
    read = response.headers["Remit-Read"]
    end = end_of(service, read)
    whose, details = subjects.subjects_of(read), end["details"]
    assert (end["kind"], details["ended_by"]) == ("read.interrupted", "client")
    assert details["rows"] < SORTED_ROWS
    people = range(-(-details["rows"] // 1000))
    assert names(whose) == sorted(f"p{number:04}" for number in people)
    assert (details["subjects"], details["subjects_digest"]) == (len(people), whose.digest)


def test_the_first_read_of_one_more_subject_is_refused_where_no_row_could_leave(service: Service) -> None:
    grant = service.grant(columns=["x"], max_subjects=1)
    assert service.rows(grant=grant, rows="x in (0, 3)").num_rows == 2
    refused = service.read(grant=grant, rows="x = 1").json()
    assert refused["code"] == "beyond_budget"
    assert refused["excess"] == {"declared": "1 subject", "asked": "more subjects"}


def test_rows_of_nobody_leave_only_where_nobody_counts(service: Service, subjects: Subjects) -> None:
    free = service.grant(dataset="odd", columns=["x"])
    response = service.read("odd", grant=free)
    assert pa.ipc.open_stream(response.content).read_all().num_rows == len(ODD)
    details = end_of(service, response.headers["Remit-Read"])["details"]
    assert details["rows_without_subject"] == 2
    assert names(subjects.subjects_of(response.headers["Remit-Read"])) == sorted(
        {one for one in ODD if one is not None}
    )
    counted = service.grant(dataset="odd", columns=["x"], max_subjects=100)
    response = service.read("odd", grant=counted)
    assert pa.ipc.open_stream(response.content).read_all().num_rows == len(ODD) - 2
    assert response.headers["Remit-Rows"] == "who is not null"
    assert "rows_without_subject" not in end_of(service, response.headers["Remit-Read"])["details"]


def test_a_number_and_its_text_are_one_person_in_every_dataset_and_spellings_are_not(
    service: Service, subjects: Subjects
) -> None:
    """Of the class both have: whoever counts people of two datasets counts each once."""
    datasets = {"odd": {"columns": ["x"]}, "numbered": {"columns": ["x"]}}
    grant = service.grant(datasets=datasets, max_subjects=100)
    assert service.rows("odd", grant=grant).num_rows == len(ODD) - 2
    before = granted(service, grant)["subjects_used"]
    assert before == len({one for one in ODD if one is not None})
    assert service.rows("numbered", grant=grant, rows="x = 17").num_rows == 1
    assert granted(service, grant)["subjects_used"] == before
    assert service.rows("numbered", grant=grant, rows="x = 18").num_rows == 1
    assert granted(service, grant)["subjects_used"] == before + 1
    assert "18" in names(subjects.counted(grant))


def test_a_subject_column_that_names_nobody_stops_the_load(service: Service) -> None:
    catalog = service.folder / "catalog.toml"
    text = catalog.read_text()
    catalog.write_text(text.replace('location = "data/numbered/*.parquet"\nsubject = "who"', LISTS))
    try:
        refused = service.call("POST", "/v1/policy:reload", "eve")
        assert refused.status_code == 400
        assert "nobody is named by `who`" in refused.json()["detail"]
    finally:
        catalog.write_text(text)


def test_a_killed_gateway_leaves_everybody_whose_rows_left_in_the_record(
    own_service: Service, database: Database
) -> None:
    grant = own_service.grant(dataset="long", columns=["x"])
    got: list[bytes] = []
    with streaming(own_service, grant=grant) as response, contextlib.suppress(httpx2.HTTPError):
        for chunk in response.iter_bytes():
            got.append(chunk)
            if len(got) == 1:
                own_service.stop(signal.SIGKILL)
    own_service.start()
    read = response.headers["Remit-Read"]
    end, whose = (
        end_of(own_service, read),
        Subjects(database.engine(), Dictionary(database.engine(), None)).subjects_of(read),
    )  # type: ignore[arg-type]
    assert (end["details"]["ended_by"], end["details"]["at_most"]) == ("lost", True)
    assert (end["details"]["subjects"], end["details"]["subjects_digest"]) == (whose.count, whose.digest)
    assert names(whose) == sorted(f"e{number}" for number in range(200))


def test_an_erased_person_is_nobody_any_more_and_what_was_proved_stays_proved(
    service: Service, place: tuple[Service, Engine], subjects: Subjects
) -> None:
    engine = place[1]
    ledger = Ledger(engine, gateway="erasing", clock=lambda: datetime.now(UTC))
    dictionary = Dictionary(engine, ledger)
    grant = service.grant(columns=["x"])
    before = service.read(grant=grant).headers["Remit-Read"]
    said = end_of(service, before)["details"]
    bundle = SimpleNamespace(digest="sha256:0")

    def erase(name: str) -> bool:
        under = Permitted(bundle, (), ledger.head().epoch)  # type: ignore[arg-type]
        return dictionary.erase("user.unique_id", name, by=Principal("sam"), why="left the company", under=under)

    try:
        assert not erase("nobody of this name")
        assert erase("e1")
    finally:
        ledger.close()
    whose = subjects.subjects_of(before)
    assert (names(whose), whose.count, whose.erased) == (["e0", "e2"], 3, 1)
    assert whose.digest == said["subjects_digest"]
    (entry,) = service.entries(kind="subject.erased", actor="sam")
    assert entry["details"] == {"data_class": "user.unique_id", "why": "left the company"}
    again = service.read(grant=grant).headers["Remit-Read"]
    assert names(subjects.subjects_of(again)) == ["e0", "e1", "e2"]
    assert subjects.subjects_of_reads([before, again]).count == 4


def test_privacy_erases_a_person_over_http_and_by_a_command_and_nobody_else_does(
    service: Service, subjects: Subjects
) -> None:
    grant = service.grant(dataset="numbered", columns=["x"])
    read = service.read("numbered", grant=grant).headers["Remit-Read"]

    def erase(who: str, **given: str) -> httpx2.Response:
        asked = {"data_class": "user.unique_id", "name": "77", "why": "asked for, case 44"} | given
        return service.call("POST", "/v1/subjects:erase", who, json=asked)

    for who in ("ana", "sam", "eve", "otto"):
        assert erase(who).json()["code"] == "no_rule", who
    assert erase("pia", data_class="no.such").json()["code"] == "bad_request"
    assert erase("pia", name="77.00").json()["code"] == "not_found"
    assert subjects.subjects_of(read).erased == 0
    assert erase("pia").json() == {"data_class": "user.unique_id", "erased": True}
    assert erase("pia").json()["code"] == "not_found"
    client_side = {"REMIT_URL": service.url, "REMIT_TOKEN": service.token("pia")}
    command = [sys.executable, "-m", "remit", "subjects", "erase", "user.unique_id", "--why", "asked for, case 45"]
    ran = subprocess.run(
        command, env=service.environment | client_side, input="78\n", capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("erased")
    whose = subjects.subjects_of(read)
    assert (whose.count, whose.erased) == (100, 2)
    assert not {"77", "78"} & set(names(whose))
    asked = {"subject": "erase", "data_class": "user.unique_id"}
    tried = [each for each in service.entries(kind="audit.read", actor="pia") if each["details"]["asked"] == asked]
    assert len(tried) == 4
    done = service.entries(kind="subject.erased", actor="pia")
    assert [each["details"]["why"] for each in done] == ["asked for, case 45", "asked for, case 44"]
    assert not any("name" in each["details"] for each in [*tried, *done])
