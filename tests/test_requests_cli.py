"""`remit requests` on a real gateway: what a person types, sees and gets."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asking import SENTENCE, aged, approved, asked, soon, step
from service import Service

from remit.cli import main

Run = Callable[..., tuple[int, str, str]]
SCOPE = f"""
purpose = "train_ai_system.computer_use"
starts = {soon(hours=-1)}
ends = {soon(hours=6)}
justification = "{SENTENCE}"
max_rows = 100
[datasets.long]
columns = ["who", "x"]
"""


@pytest.fixture
def run(service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs one command as somebody: exit code, standard output, standard error."""

    def as_somebody(who: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setenv("REMIT_URL", service.url)
        monkeypatch.setenv("REMIT_TOKEN", service.token(who))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return as_somebody


def test_a_scope_in_a_file_is_asked_for_narrowed_and_approved(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "scope.toml"
    file.write_text(SCOPE)
    code, out, _ = run("ana", "requests", "create", str(file))
    assert code == 0
    assert "pseudonym who" in out
    assert "about 5,000,000 rows of 200 people" in out
    assert "missing   owner collection.mci" in out
    id = out.split()[2].rstrip(":")
    code, out, _ = run("otto", "requests", "approve", id, "--max-rows", "7", "--columns", "x", "--yes")
    assert code == 0
    assert f"approved {id}: granted" in out
    code, out, _ = run("ana", "requests", "show", id, "--json")
    shown = json.loads(out)
    assert (shown["scope"]["max_rows"], shown["asked"]["max_rows"]) == (7, 100)
    assert [step["what"] for step in shown["steps"]] == ["asked for", "narrowed", "approved"]
    assert run("ana", "read", "long", "--grant", shown["grant"], "--out", str(tmp_path / "rows.csv"))[0] == 0
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 8


def test_a_list_says_who_is_missing_and_what_one_can_do(run: Run, service: Service) -> None:
    id = asked(service, "kim")["id"]
    _, out, _ = run("otto", "requests", "list")
    line = next(line for line in out.splitlines() if id in line)
    assert "owner collection.mci" in line
    assert "approve, narrow, deny" in line
    assert run("kim", "requests", "withdraw", id)[0] == 0


def test_the_ids_of_a_list_stay_whole_on_a_narrow_terminal(service: Service) -> None:
    id = asked(service, "kim")["id"]
    ours, theirs = pty.openpty()
    own = {"REMIT_URL": service.url, "REMIT_TOKEN": service.token("kim"), "TERM": "dumb", "COLUMNS": "80"}
    command = [sys.executable, "-m", "remit", "requests", "list"]
    done = subprocess.Popen(command, stdin=theirs, stdout=theirs, env=service.environment | own)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the terminal is gone with the last who has it
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    assert done.wait(timeout=60) == 0
    assert id in shown.decode()
    assert max(map(len, shown.decode().splitlines())) <= 80
    assert step(service, id, "withdraw", "kim").status_code == 200


def test_nothing_is_approved_unseen_without_saying_so(run: Run, service: Service) -> None:
    id = asked(service, "kim")["id"]
    code, _, err = run("otto", "requests", "approve", id)
    assert code == 2
    assert "--yes" in err
    assert run("otto", "requests", "deny", id, "--why", "not needed")[0] == 0


def test_what_is_approved_is_what_was_shown_before(run: Run, service: Service) -> None:
    request = asked(service, "kim")
    first = request["shown"]
    narrowed = step(service, request["id"], "narrow", "oona", narrowing={"datasets": {"long": {"columns": ["x"]}}})
    code, out, err = run("otto", "requests", "approve", request["id"], "--shown", first, "--yes")
    assert (code, "changed" in err) == (1, True)
    assert narrowed.json()["shown"] in out
    code, out, err = run("otto", "requests", "approve", request["id"], "--yes", "--json")
    assert code == 0
    assert json.loads(out)["state"] == "granted"
    assert f"shown     {narrowed.json()['shown']}" in err


def test_a_file_that_breaks_the_glass_does_so_only_where_that_is_said(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "scope.toml"
    file.write_text(f"break_glass = true\n{SCOPE}")
    code, _, err = run("lea", "requests", "create", str(file))
    assert (code, "--break-glass" in err) == (2, True)


def test_a_scope_that_can_never_be_granted_exits_with_1_and_says_why(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "scope.toml"
    file.write_text(SCOPE.replace(SENTENCE, "ok."))
    code, _, err = run("ana", "requests", "create", str(file))
    assert code == 1
    assert "at least 40 characters" in err


@pytest.mark.parametrize("written", ["2026-11-01", "2026-11-01T08:00:00", "08:00:00", "nan", "-inf"])
def test_a_time_that_is_none_is_refused_with_how_to_write_it(run: Run, tmp_path: Path, written: str) -> None:
    file = tmp_path / "scope.toml"
    file.write_text(SCOPE.replace(f"starts = {soon(hours=-1)}", f"starts = {written}"))
    code, _, err = run("ana", "requests", "create", str(file))
    assert code == 1
    assert "`starts` must be a time with its zone" in err


def typed(service: Service, who: str, *arguments: str, answers: tuple[str, ...], status: int = 0) -> str:
    """What a terminal shows while somebody answers."""
    ours, theirs = pty.openpty()
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    environment = service.environment | {"REMIT_URL": service.url, "REMIT_TOKEN": service.token(who), "TERM": "dumb"}
    command = [sys.executable, "-m", "remit", *arguments]
    done = subprocess.run(command, stdin=theirs, capture_output=True, env=environment, timeout=120, check=False)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == status, done.stderr.decode()
    return done.stdout.decode() + done.stderr.decode()


def of_kim(service: Service, shown: str) -> dict[str, Any]:
    """The request that was shown, taken back."""
    (request,) = [each for each in service.call("GET", "/v1/requests", "kim").json()["items"] if each["id"] in shown]
    assert step(service, request["id"], "withdraw", "kim").status_code == (409 if request["break_glass"] else 200)
    return dict(request)


def test_without_a_file_it_asks_on_the_terminal_for_all_that_a_scope_says(service: Service) -> None:
    of_long, of_events = ("long", "who, x", "x < 1000"), ("events", "x", "")
    limits = ("5,000", "20")
    said = (SENTENCE, "cua-7b-v3", "DPIA-2026-014")
    times = (soon(hours=1), "7")
    answers = (*of_long, *of_events, "", "train_ai_system.computer_use", *times, *limits, *said)
    shown = typed(service, "kim", "requests", "create", answers=answers)
    assert "pseudonym" in shown
    assert "rows      at most 5,000" in shown
    scope = of_kim(service, shown)["scope"]
    assert scope["datasets"] == {"long": {"columns": ["who", "x"], "rows": "x < 1000"}, "events": {"columns": ["x"]}}
    assert (scope["max_rows"], scope["max_subjects"]) == (5000, 20)
    assert (scope["training_run"], scope["assessment"]) == ("cua-7b-v3", "DPIA-2026-014")
    starts, ends = datetime.fromisoformat(scope["starts"]), datetime.fromisoformat(scope["ends"])
    assert (starts, ends - starts) == (datetime.fromisoformat(soon(hours=1)), timedelta(days=7))


def test_an_answer_that_cannot_be_meant_is_asked_for_again_and_loses_no_other(service: Service) -> None:
    of_long = ("lonk", "", "long", "who, z", "", "x", "x <", "z < 5", "x < 'a'", "x < 5", "long", "")
    times = ("soon", "2026-12-01T00:00:00", "", "-1", "9" * 16, "")
    answers = (*of_long, "", *times, "1,x", "", "0", "", ".", "because", SENTENCE, "", "")
    shown = typed(service, "kim", "requests", "create", answers=answers)
    for reason in (
        "did you mean `long`?",
        "no column `z`",
        "not understood",
        "no time",
        "with a number",
        "too far",
        "at least 40",
    ):
        assert reason in shown
    scope = of_kim(service, shown)["scope"]
    assert scope["datasets"] == {"long": {"columns": ["x"], "rows": "x < 5"}}
    assert scope["purpose"] == "train_ai_system"


def test_what_was_answered_and_not_taken_in_is_given_back_as_a_file_to_mend(
    run: Run, service: Service, tmp_path: Path
) -> None:
    answers = ("long", "x", "x < 5", "", "train_ai", "", "", "5", "", f'{SENTENCE} "ä"', "run-1", "")
    shown = typed(service, "kim", "requests", "create", answers=answers, status=1)
    _, _, rest = shown.partition("`remit requests create FILE`:\n")
    answered, _, refused = rest.partition("bad_request: ")
    assert "unknown purpose `train_ai`" in refused
    file = tmp_path / "mended.toml"
    file.write_text(answered.replace('"train_ai"', '"train_ai_system"'))
    code, out, notes = run("kim", "requests", "create", str(file))
    assert code == 0, notes
    scope = of_kim(service, out)["scope"]
    assert scope["datasets"] == {"long": {"columns": ["x"], "rows": "x < 5"}}
    assert (scope["justification"], scope["max_rows"]) == (f'{SENTENCE} "ä"', 5)


def test_whoever_breaks_the_glass_on_a_terminal_is_asked_for_no_times(service: Service) -> None:
    answers = ("long", "x", "", "", "", "", "", SENTENCE, "", "")
    request = of_kim(service, typed(service, "kim", "requests", "create", "--break-glass", answers=answers))
    assert request["state"] == "granted"
    assert step(service, request["id"], "review", "otto").status_code == 200
    assert service.call("POST", f"/v1/grants/{request['grant']}:revoke", "kim", json={"why": "a test"}).is_success


def test_whoever_says_no_on_a_terminal_is_told_what_became_of_it(service: Service) -> None:
    id = asked(service, "kim")["id"]
    shown = typed(service, "otto", "requests", "approve", id, "--max-rows", "5", answers=("n",), status=1)
    assert "it stays as it was" in shown
    shown = typed(service, "otto", "requests", "approve", id, "--max-rows", "5", answers=("y", "n"), status=1)
    assert "narrowed and not approved" in shown
    assert f"remit requests deny {id}" in shown
    assert step(service, id, "withdraw", "kim").json()["approvals"] == []


def test_owners_walk_through_grants_and_revoke_what_nobody_uses(service: Service) -> None:
    old = aged(service, service.grant(principal="kim", dataset="long", columns=["x"], starts=soon(days=-90)), days=90)
    new = approved(service, "otto", who="kim")["grant"]
    shown = typed(service, "otto", "grants", "review", answers=("", "", "nonsense", "q"))
    assert "long: x; every row" in shown
    assert f"revoked {old}" in shown
    states = {each["id"]: each["state"] for each in service.call("GET", "/v1/grants", "kim").json()["items"]}
    assert (states[old], states[new]) == ("revoked", "active")


def test_a_renewal_says_how_much_was_used_and_asks_for_that(run: Run, service: Service, tmp_path: Path) -> None:
    grant = approved(service, "otto", who="kim", max_rows=100, max_subjects=50, rows="x < 900")["grant"]
    assert run("kim", "requests", "renew", grant, "--yes")[0] == 2
    read = ("read", "long", "--grant", grant, "--columns", "x", "--limit", "4", "--out", f"{tmp_path}/x.csv")
    code, _, notes = run("kim", *read)
    assert code == 0
    assert "at most 50 more people may come in it" in notes
    code, out, _ = run("kim", "requests", "renew", grant, "--yes")
    assert code == 0
    assert "1 of 2 columns, 4 % of the rows" in out
    assert "max_rows     8" in out
    assert "long         x; x < 900" in out
    (last,) = [each for each in service.call("GET", "/v1/grants", "kim").json()["items"] if each["id"] == grant]
    assert f"max_subjects {2 * last['subjects_used']}" in out
    id = out.split("asked for ")[1].split(":")[0]
    code, out, _ = run("otto", "requests", "show", id)
    assert f"{grant}, which this renews" in out
    assert "1 of 2 columns, 4 % of the rows" in out
    code, out, _ = run("kim", "grants", "show", grant)
    assert "long: x in 1 read, 4 rows" in out
    assert "read.completed" in out
