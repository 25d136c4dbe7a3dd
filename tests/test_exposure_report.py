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
from receivers import wait_until
from service import HTTP, POLICIES, Service, serving

from audit.notes import SIGNED, Signer
from audit.postgres import Embedded

HOUR = timedelta(hours=1)
NARROW, WIDE = "train_ai_system.computer_use", "train_ai_system"
WIDER = "screens = research.ml, train_ai_system, user.content.screen, read, -, clear, allow\n"


Answer = tuple[str, str, str, dict[str, Any]]
"""Who asked for which column and purpose, and what the gateway answered."""


@pytest.fixture(scope="module")
def lived(server: Embedded, folder: Path) -> Iterator[tuple[Service, list[Answer]]]:
    """A gateway of this module's own that has lived through a morning, and what it answered meanwhile."""
    place = Path(tempfile.mkdtemp(dir=folder))
    with made_database(server, f"test_{next(NUMBERS)}") as made, serving(place, made.url()) as service:
        yield service, live(service)


@pytest.fixture(scope="module")
def told(lived: tuple[Service, list[Answer]]) -> Service:
    return lived[0]


def live(service: Service) -> list[Answer]:
    """Ana reads under her grant, max under his team's; bob is refused; eve widens a rule and takes it back.

    In between everybody asks what they would get.
    """
    answers = ask(service)
    own = service.grant()
    service.grant(team="research.ml", columns=["x", "screen"], max_rows=100)
    answers += ask(service)
    service.rows(columns=["who", "x"], limit=10, grant=own)
    service.rows(columns=["x"], limit=7, grant=own)
    service.rows(who="max", columns=["x"], limit=5)
    assert service.read(columns=["screen"]).status_code == 403
    for _ in range(2):
        assert service.read(who="bob", columns=["x"]).status_code == 403
    (service.folder / "policies.conf").write_text(POLICIES + WIDER)
    assert service.call("POST", "/v1/policy:reload", "eve").status_code == 200
    answers += ask(service)
    service.rows(who="max", columns=["screen"], limit=3)
    pause = service.call("POST", "/v1/pauses", "olga", json={"kind": "dataset", "target": "events", "reason": "SEV"})
    answers += ask(service)
    (service.folder / "policies.conf").write_text(POLICIES)
    assert service.call("POST", "/v1/policy:reload", "eve").status_code == 200
    why = {"why": "contained"}
    assert service.call("POST", f"/v1/grants/{own}:revoke", "eve", json=why).status_code == 200
    for who in ("olga", "oda"):
        assert service.call("POST", f"/v1/pauses/{pause.json()['id']}:lift", who, json=why).status_code == 200
    answers += ask(service)
    return answers


def ask(service: Service) -> list[Answer]:
    """Everybody asks for a column or two, each alone, and Ana for a wider purpose too."""
    asked = [(who, column, NARROW) for who in ("ana", "max", "una", "bob") for column in ("x", "screen")]
    answers = []
    for who, column, purpose in (*asked, ("ana", "x", WIDE)):
        body = {"dataset": "events", "columns": [column], "purpose": purpose}
        answers.append((who, column, purpose, service.call("POST", "/v1/reads:check", who, json=body).json()))
    return answers


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
    # kim is in the team too, once another test has had her seen
    assert {could["who"] for could in screens} - {"kim"} == {"ana", "max", "una", None}
    assert {(could["since"], could["until"]) for could in screens} == {(wide["since"], pause["since"])}
    own = [could for could in told_of["could"] if could["team"] is None]
    assert {could["who"] for could in own} == {"ana"}
    assert max(could["until"] for could in own) == pause["since"]


def test_who_could_is_what_the_gateway_answered_at_each_moment(lived: tuple[Service, list[Answer]]) -> None:
    service, answers = lived
    could = report(service)["could"]
    at = {entry["seq"]: entry["at"] for entry in service.entries(kind="read.checked", limit=1000)}
    for who, column, purpose, answer in answers:
        listed = {
            each["treatment"]
            for one in could
            if one["who"] == who and one["since"] <= at[answer["entry"]] < one["until"]
            for opening in one["openings"]
            if purpose in opening["purposes"]
            for each in opening["columns"]
            if each["name"] == column
        }
        assert listed == {each["treatment"] for each in answer["columns"]}, (who, column, purpose, answer)
    decisions = [answer["decision"] for *_, answer in answers]
    assert decisions.count("allow") == 2 + 5 + 2
    assert len(decisions) == 45


def test_a_time_begins_with_its_first_moment_and_ends_before_its_last(told: Service) -> None:
    begins = [entry["at"] for entry in told.entries(kind="read.authorized", dataset="events")]
    first, last = begins[-1], begins[0]
    assert report(told, **{"from": first})["totals"]["reads"] == 4
    assert report(told, to=first)["totals"]["reads"] == 0
    assert report(told, to=last)["totals"]["reads"] == 3


def test_a_read_that_began_before_and_streamed_into_the_time_counts(told: Service) -> None:
    begin = told.entries(kind="read.authorized", dataset="events")[0]
    after_it = datetime.fromisoformat(begin["at"]) + timedelta(microseconds=1)
    (did,) = report(told, **{"from": after_it.isoformat()})["did"]
    assert (did["who"], did["rows"], did["first"]) == ("max", 3, begin["at"])
    end = next(entry for entry in told.entries(read=begin["read"]) if entry["kind"] == "read.completed")
    after_both = datetime.fromisoformat(end["at"]) + timedelta(microseconds=1)
    assert report(told, **{"from": after_both.isoformat()})["did"] == []


def test_a_read_without_an_end_got_an_unknown_number_of_rows_and_the_report_says_at_most(told: Service) -> None:
    told.grant(principal="kim", dataset="long", columns=["x"])
    headers = {"Authorization": f"Bearer {told.token('kim')}"}
    body = {"dataset": "long", "columns": ["x"], "limit": 4_000_000}
    with HTTP.stream("POST", f"{told.url}/v1/reads", json=body, headers=headers) as response:
        rows = response.iter_raw()  # kept, for what is dropped is closed
        next(rows)
        running = report(told, dataset="long")
    (did,) = running["did"]
    assert (did["who"], did["reads"], did["rows"], did["without_end"], did["at_most"]) == ("kim", 1, 0, 1, 4_000_000)
    assert any("1 read runs on or was lost" in gap for gap in running["incomplete"])


def test_a_report_for_an_alert_is_about_its_dataset_from_a_day_before(told: Service) -> None:
    wait_until(lambda: any(each["dataset"] == "events" for each in told.alerts()))
    alert = next(each for each in told.alerts() if each["dataset"] == "events")
    of_alert = told.call("GET", "/v1/reports/exposure", "sam", params={"alert": alert["id"]}).json()
    assert (of_alert["dataset"], of_alert["alert"]) == ("events", alert["id"])
    day = datetime.fromisoformat(alert["first_at"]) - datetime.fromisoformat(of_alert["since"])
    assert day == timedelta(days=1)


def test_a_report_names_the_checkpoint_that_covers_all_that_it_used(told: Service) -> None:
    since = told.entries(kind="read.authorized", dataset="events")[-1]["at"]
    until = datetime.now(UTC).isoformat()
    asked = {"from": since, "to": until}
    found = report(told, **asked)
    while not found["checkpoint"]["size"]:
        found = report(told, **asked)
    cover = found["checkpoint"]
    assert cover["size"] >= found["last_entry"]
    assert cover["note"].splitlines()[:3] == [cover["origin"], str(cover["size"]), cover["root"]]


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
    words = run(told, *arguments[:4])
    assert words.returncode == 0, words.stderr
    for said in ("WHO DID", "WHO COULD", "WHO TRIED", "2 principals made 4 reads and got 25 rows", "INCOMPLETE"):
        assert said in words.stdout
    short = run(told, *arguments)
    assert "2 principals made 4 reads" in short.stdout
    assert "the page is in" in short.stderr
    page = (told.folder / "report.html").read_text()
    assert "<svg" in page
    assert (told.folder / "report.html").stat().st_mode & 0o777 == 0o600
    machine = run(told, *arguments[:4], "--json")
    assert json.loads(machine.stdout)["totals"]["rows"] == 25


def test_a_key_that_did_not_sign_the_checkpoint_verifies_nothing(told: Service) -> None:
    since, until = (datetime.now(UTC) - HOUR).isoformat(), datetime.now(UTC).isoformat()
    arguments = ("--dataset", "events", "--from", since, "--to", until)
    while not report(told, **{"from": since, "to": until})["checkpoint"]["size"]:
        pass
    (own,) = told.call("GET", "/v1/audit/keys", "sam").json()["items"]
    assert f"signed by {own['vkey']}" in run(told, *arguments, "--key", own["vkey"]).stdout
    other = run(told, *arguments, "--key", str(Signer.make(own["vkey"].partition("+")[0], SIGNED).verifier))
    assert (other.returncode, "not_proven" in other.stderr) == (1, True)


def test_a_command_without_a_time_or_with_a_page_of_no_name_asks_nothing(told: Service) -> None:
    made = told.entries(kind="exposure.reported")
    for arguments in (("--dataset", "events"), ("--alert", "1", "--out", "report.pdf")):
        assert run(told, *arguments).returncode == 2
    assert told.entries(kind="exposure.reported") == made
