"""The exposure report of a real gateway with real reads: over HTTP, on the terminal, as a page."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import NUMBERS, made_database
from service import POLICIES, Service, serving

from audit.postgres import Embedded

HOUR = timedelta(hours=1)
WIDER = "screens = research.ml, train_ai_system, user.content.screen, read, -, clear, allow\n"


@pytest.fixture(scope="module")
def told(server: Embedded, folder: Path) -> Iterator[Service]:
    """A gateway of this module's own that has lived through a morning."""
    place = Path(tempfile.mkdtemp(dir=folder))
    with made_database(server, f"test_{next(NUMBERS)}") as made, serving(place, made.url()) as service:
        live(service)
        yield service


def live(service: Service) -> None:
    """Ana reads under her grant, max under his team's; una and bob are refused; eve widens a rule and takes it back."""
    own = service.grant()
    service.grant(team="research.ml", columns=["x", "screen"], max_rows=100)
    service.rows(columns=["who", "x"], limit=10, grant=own)
    service.rows(columns=["x"], limit=7, grant=own)
    service.rows(who="max", columns=["x"], limit=5)
    assert service.read(columns=["screen"]).status_code == 403
    for _ in range(2):
        assert service.read(who="bob", columns=["x"]).status_code == 403
    (service.folder / "policies.conf").write_text(POLICIES + WIDER)
    assert service.call("POST", "/v1/policy:reload", "eve").status_code == 200
    service.rows(who="max", columns=["screen"], limit=3)
    pause = service.call("POST", "/v1/pauses", "olga", json={"kind": "dataset", "target": "events", "reason": "SEV"})
    (service.folder / "policies.conf").write_text(POLICIES)
    assert service.call("POST", "/v1/policy:reload", "eve").status_code == 200
    why = {"why": "contained"}
    assert service.call("POST", f"/v1/grants/{own}:revoke", "eve", json=why).status_code == 200
    assert service.call("POST", f"/v1/pauses/{pause.json()['id']}:lift", "olga", json=why).status_code == 200


def report(service: Service, who: str = "sam", **asked: Any) -> dict[str, Any]:
    """The report as somebody gets it: `events` in the last hour where nothing else is asked."""
    asked = {"dataset": "events", "from": (datetime.now(UTC) - HOUR).isoformat()} | asked
    response = service.call("GET", "/v1/reports/exposure", who, params=asked)
    assert response.status_code == 200, response.text
    return dict(response.json())


def run(service: Service, *arguments: str, who: str = "sam") -> "subprocess.CompletedProcess[str]":
    """The command line, as one of the staff."""
    environment = service.environment | {"REMIT_URL": service.url, "REMIT_TOKEN": service.token(who)}
    command = [sys.executable, "-m", "remit", "report", "exposure", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=service.folder, check=False)


def treatments(opening: dict[str, Any]) -> dict[str, str]:
    return {column["name"]: column["treatment"] for column in opening["columns"]}


def test_who_did_is_told_by_person_grant_and_columns_with_rows_and_reads(told: Service) -> None:
    did = report(told)["did"]
    got = {(line["who"], tuple(treatments(line).items())): (line["reads"], line["rows"]) for line in did}
    assert got == {
        ("ana", (("who", "pseudonym"), ("x", "clear"))): (1, 10),
        ("ana", (("x", "clear"),)): (1, 7),
        ("max", (("x", "clear"),)): (1, 5),
        ("max", (("screen", "clear"),)): (1, 3),
    }
    assert all(line["teams"] == ["research.ml"] for line in did)


def test_totals_add_up_and_name_each_column_with_its_treatment(told: Service) -> None:
    totals = report(told)["totals"]
    assert (totals["people"], totals["reads"], totals["rows"], totals["without_end"]) == (2, 4, 25, 0)
    columns = {(each["name"], each["treatment"]): (each["data_class"], each["rows"]) for each in totals["columns"]}
    assert columns == {
        ("who", "pseudonym"): ("user.unique_id", 10),
        ("x", "clear"): ("user.behavior.pointer", 22),
        ("screen", "clear"): ("user.content.screen", 3),
    }


def test_who_tried_is_counted_by_person_and_code(told: Service) -> None:
    tried = {(line["who"], line["code"]): line["times"] for line in report(told)["tried"]}
    assert tried == {("bob", "no_grant"): 2, ("ana", "no_rule"): 1}


def test_who_could_ends_with_a_pause_a_revocation_and_a_bundle(told: Service) -> None:
    told_of = report(told)
    (pause,) = told_of["pauses"]
    _, wide, _ = told_of["bundles"]
    screens = [could for could in told_of["could"] for opening in could["openings"] if "screen" in treatments(opening)]
    assert {could["who"] for could in screens} == {"ana", "max", None}
    assert {(could["since"], could["until"]) for could in screens} == {(wide["since"], pause["since"])}
    own = [could for could in told_of["could"] if could["team"] is None]
    assert {could["who"] for could in own} == {"ana"}
    assert max(could["until"] for could in own) == pause["since"]


def test_what_the_rules_alone_let_in_is_told_by_team_with_its_conditions(told: Service) -> None:
    alone = report(told)["rules_alone"]
    assert {line["team"] for line in alone} == {"research.ml"}
    first = alone[0]["openings"][0]
    assert treatments(first) == {"who": "pseudonym", "at": "clear", "x": "clear", "key_ms": "coarse"}
    assert first["conditions"] == ['principal.privacy_training == "current"']
    assert any("screen" in treatments(opening) for line in alone for opening in line["openings"])


def test_a_report_is_itself_an_entry_and_needs_the_right_to_read_the_trail(told: Service) -> None:
    report(told)
    (entry,) = told.entries(kind="exposure", limit=1)
    assert (entry["kind"], entry["actor"], entry["details"]["asked"]["exposure"]["dataset"]) == (
        "exposure.reported",
        "sam",
        "events",
    )
    refused = told.call(
        "GET", "/v1/reports/exposure", "ana", params={"dataset": "events", "from": "2026-01-01T00:00:00Z"}
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "no_rule")


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"dataset": "evnts", "from": "2026-01-01T00:00:00Z"}, 404, "unknown_dataset"),
        ({"dataset": "events"}, 400, "bad_request"),
        ({"from": "2026-01-01T00:00:00Z"}, 400, "bad_request"),
        ({"alert": 999}, 404, "not_found"),
        ({"dataset": "events", "from": "2026-02-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}, 400, "bad_request"),
        ({"dataset": "events", "from": "2026-02-01"}, 400, "bad_request"),
    ],
)
def test_what_cannot_be_reported_is_refused_and_never_an_empty_report(
    told: Service, asked: dict[str, Any], status: int, code: str
) -> None:
    response = told.call("GET", "/v1/reports/exposure", "sam", params=asked)
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_the_command_prints_words_json_and_a_page(told: Service) -> None:
    since = (datetime.now(UTC) - HOUR).isoformat()
    arguments = ("--dataset", "events", "--from", since, "--out", "report.html")
    words = run(told, *arguments)
    assert words.returncode == 0, words.stderr
    for said in ("WHO DID", "WHO COULD", "WHO TRIED", "2 principals made 4 reads and got 25 rows", "INCOMPLETE"):
        assert said in words.stdout
    page = (told.folder / "report.html").read_text()
    assert "<svg" in page
    assert (told.folder / "report.html").stat().st_mode & 0o777 == 0o600
    machine = run(told, *arguments[:4], "--json")
    assert json.loads(machine.stdout)["totals"]["rows"] == 25


def test_a_command_without_a_time_or_with_a_page_of_no_name_asks_nothing(told: Service) -> None:
    last = told.entries(limit=1)[0]["seq"]
    for arguments in (("--dataset", "events"), ("--alert", "1", "--out", "report.pdf")):
        assert run(told, *arguments).returncode == 2
    assert told.entries(limit=1)[0]["seq"] == last + 1
