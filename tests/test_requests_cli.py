"""`remit requests` on a real gateway: what a person types, sees and gets."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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


def test_nothing_is_approved_unseen_without_saying_so(run: Run, service: Service) -> None:
    id = asked(service, "kim")["id"]
    code, _, err = run("otto", "requests", "approve", id)
    assert code == 2
    assert "--yes" in err
    assert run("otto", "requests", "deny", id, "--why", "not needed")[0] == 0


def test_a_scope_that_can_never_be_granted_exits_with_1_and_says_why(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "scope.toml"
    file.write_text(SCOPE.replace(SENTENCE, "ok."))
    code, _, err = run("ana", "requests", "create", str(file))
    assert code == 1
    assert "at least 40 characters" in err


def typed(service: Service, who: str, *arguments: str, answers: tuple[str, ...]) -> str:
    """What a terminal shows while somebody answers; the command has to end well."""
    ours, theirs = pty.openpty()
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    environment = service.environment | {"REMIT_URL": service.url, "REMIT_TOKEN": service.token(who), "TERM": "dumb"}
    command = [sys.executable, "-m", "remit", *arguments]
    done = subprocess.run(command, stdin=theirs, capture_output=True, env=environment, timeout=120, check=False)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_without_a_file_it_asks_on_the_terminal(service: Service) -> None:
    answers = ("long", "who, x", "x < 1000", "train_ai_system.computer_use", "7", "5,000", SENTENCE)
    shown = typed(service, "lea", "requests", "create", answers=answers)
    assert "pseudonym" in shown
    assert "rows      at most 5,000" in shown
    (request,) = [each for each in service.call("GET", "/v1/requests", "lea").json()["items"] if each["id"] in shown]
    assert request["scope"]["datasets"] == {"long": {"columns": ["who", "x"], "rows": "x < 1000"}}
    assert step(service, request["id"], "withdraw", "lea").status_code == 200


def test_owners_walk_through_grants_and_revoke_what_nobody_uses(service: Service) -> None:
    old = aged(service, service.grant(principal="kim", dataset="long", columns=["x"], starts=soon(days=-90)), days=90)
    new = approved(service, "otto", who="kim")["grant"]
    shown = typed(service, "otto", "grants", "review", answers=("", "", "q"))
    assert f"revoked {old}" in shown
    states = {each["id"]: each["state"] for each in service.call("GET", "/v1/grants", "kim").json()["items"]}
    assert (states[old], states[new]) == ("revoked", "active")


def test_a_renewal_says_how_much_was_used_and_asks_for_that(run: Run, service: Service, tmp_path: Path) -> None:
    grant = approved(service, "otto", who="kim", max_rows=100)["grant"]
    assert run("kim", "requests", "renew", grant, "--yes")[0] == 2
    assert (
        run("kim", "read", "long", "--grant", grant, "--columns", "x", "--limit", "4", "--out", f"{tmp_path}/x.csv")[0]
        == 0
    )
    code, out, _ = run("kim", "requests", "renew", grant, "--yes")
    assert code == 0
    assert "1 of 2 columns, 4 % of the rows" in out
    assert "max_rows  8" in out
    code, out, _ = run("kim", "grants", "show", grant)
    assert "long: x in 1 read, 4 rows" in out
    assert "read.completed" in out
