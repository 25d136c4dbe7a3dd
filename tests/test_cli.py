"""The command line, against a server that speaks the contract over real HTTP."""

import io
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import ipc
from wire import Wire, arrow_stream, rows, says

from gateway.encodings import NdjsonEncoder
from remit.cli import main

BATCH = pa.record_batch({"x": pa.array(range(30), pa.int32()), "who": ["a\x1b[31m"] * 30, "hidden": pa.nulls(30)})
STREAM = arrow_stream(BATCH)
SAID = {"Remit_Read": "r-1", "Remit_Grant": "g-1", "Remit_Entry": "7"}
PROBLEM = {
    "code": "beyond_columns",
    "title": "the read is refused",
    "status": 403,
    "detail": "columns outside the scope: `text`",
    "entry": 42,
    "excess": {"declared": "x, y", "asked": "text"},
    "rules": ["pointer_for_training"],
    "help": "leave these columns out",
}
GRANT = {
    "id": "g-1",
    "status": "active",
    "principal": "ana",
    "team": None,
    "purpose": "train_ai_system",
    "starts": "2026-11-01T00:00:00Z",
    "ends": "2026-12-01T00:00:00Z",
    "max_rows": 5_000_000,
    "rows_used": 1_234,
    "max_subjects": None,
    "subjects_used": 0,
    "state": "active",
    "justification": "to learn",
    "training_run": None,
    "assessment": None,
    "datasets": {"pointer_events": {"columns": ["x"], "rows": "x < 5"}},
}
ALERT = {
    "id": 3,
    "severity": 3,
    "state": "open",
    "title": "ana asked for more than her grant",
    "actor": "ana",
    "dataset": "pointer_events",
    "grant": "g-1",
    "code": "beyond_columns",
    "purpose": None,
    "data_classes": ["user.content.screen"],
    "count": 2,
    "first_at": "2026-11-21T08:00:00Z",
    "last_at": "2026-11-21T08:05:00Z",
    "entries": [42, 43],
    "evidence": {"declared": "x, y", "asked": "text", "given": None, "columns": ["text"], "rules": []},
    "next": "talk with ana",
    "acknowledged": None,
    "owner": "collection.mci",
    "history": [
        {
            "event": "contained",
            "state": "contained",
            "by": "olga",
            "at": "2026-11-21T08:07:00Z",
            "why": "first",
            "entry": 50,
            "details": {"what": "dataset", "target": "pointer_events"},
        },
        {
            "event": "reopened",
            "state": "reopened",
            "by": "remit",
            "at": "2026-11-21T09:07:00Z",
            "why": "open again",
            "entry": 60,
            "details": {},
        },
    ],
    "actions": [{"what": "grant", "target": "g-1", "command": "remit alerts contain 3 --what grant --target g-1"}],
    "hold": {"checks": 11, "open_by_rules": 1, "open_whole": 0},
    "url": "http://127.0.0.1:8470/v1/alerts/3",
}
SCOPE = """
principal = "ana"
purpose = "train_ai_system"
starts = 2026-11-01T00:00:00Z
ends = 2026-12-01T00:00:00Z
justification = "to learn"
[datasets.pointer_events]
columns = ["x"]
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    out: str
    notes: str


Run = Callable[..., Ended]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    server = Wire()
    monkeypatch.setenv("REMIT_URL", server.url)
    monkeypatch.setenv("REMIT_TOKEN", "a.b.c")
    yield server
    server.close()


@pytest.fixture
def run(wire: Wire, capfd: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return Ended(int(ended.value.code or 0), *capfd.readouterr())

    return command


def test_a_refusal_exits_with_1_and_says_declared_asked_and_what_to_do_next(wire: Wire, run: Run) -> None:
    wire.answers("POST", "/v1/reads", says(PROBLEM, 403))
    ended = run("read", "pointer_events", "--columns", "x, text")
    assert (ended.status, ended.out) == (1, "")
    for said in (
        "beyond_columns: columns outside",
        "declared  x, y",
        "asked     text",
        "entry     42",
        "next      leave",
    ):
        assert said in ended.notes
    assert wire.asked[0].body == {"dataset": "pointer_events", "columns": ["x", "text"]}


def test_with_json_a_refusal_is_json_beside_the_answer(wire: Wire, run: Run) -> None:
    wire.answers("POST", "/v1/reads", says(PROBLEM, 403))
    ended = run("read", "pointer_events", "--json")
    assert (ended.status, ended.out) == (1, "")
    assert json.loads(ended.notes)["excess"] == {"declared": "x, y", "asked": "text"}


def test_usage_exits_with_2_and_an_unreachable_gateway_or_a_fault_with_3(wire: Wire, run: Run) -> None:
    assert run("read").status == 2
    assert run("nonsense").status == 2
    assert run("read", "d", "--limit", "0").status == 2
    wire.answers("GET", "/v1/alerts", says({"code": "not_recorded"}, 503))
    assert run("alerts", "list").status == 3
    assert run("grants", "list").status == 3
    wire.close()
    assert run("datasets").status == 3


def test_what_was_written_can_be_told_as_json(wire: Wire, run: Run, tmp_path: Path) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM, Remit_Limit="30", **SAID))
    assert "cut there" in run("read", "d", "--out", str(tmp_path / "rows.arrow")).notes
    said = json.loads(run("read", "d", "--out", str(tmp_path / "rows.arrow"), "--json").out)
    assert (said["rows"], said["read"], said["entry"], said["limit"]) == (30, "r-1", 7, "30")


def test_a_pipe_gets_the_arrow_stream(wire: Wire) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM))
    piped = _piped("read", "d", "--limit", "5")
    assert ipc.open_stream(io.BytesIO(piped.stdout)).read_all().equals(pa.Table.from_batches([BATCH]))
    assert piped.returncode == 0
    assert wire.asked[0].body["limit"] == 5


def test_a_broken_stream_is_not_ended_well_in_the_pipe(wire: Wire) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM[:-8]))
    piped = _piped("read", "d")
    assert piped.returncode == 3
    assert len(piped.stdout) > 0
    assert not piped.stdout.endswith(STREAM[-8:])


@pytest.mark.parametrize("arguments", [("read", "d"), ("read", "d", "--json"), ("--help",)], ids=str)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_answer_that_cannot_be_written_is_a_fault_that_says_what_to_do(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    wire.answers("POST", "/v1/reads", rows(STREAM))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(_command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert "make room" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_terminal_gets_a_short_table_and_the_gateway_is_asked_for_no_more(wire: Wire) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM, **SAID))
    seen = _on_a_terminal("read", "d", "--limit", "25")
    assert "the first 20 rows; --out FILE gets all of them" in seen
    assert "19" in seen
    assert "\x1b[31m" not in seen
    assert "a\\x1b[31m" in seen
    assert wire.asked[0].body["limit"] == 21


def test_a_limit_below_the_table_is_kept(wire: Wire) -> None:
    wire.answers("POST", "/v1/reads", rows(arrow_stream(BATCH.slice(0, 3))))
    seen = _on_a_terminal("read", "d", "--limit", "3")
    assert "the first" not in seen
    assert wire.asked[0].body["limit"] == 3


def test_json_rows_are_the_objects_of_ndjson_in_ascii(wire: Wire, run: Run) -> None:
    odd = pa.record_batch(
        {
            "f": [float("nan"), -1.5],
            "b": [b"\xff", None],
            "t": pa.array([0, None], pa.timestamp("us", "UTC")),
            "n": [2**63 - 1, 1],
            "l": [["=1", "\u202e\x9b31m😀"], None],
            "s": [{"a": "x", "b": None}, None],
        }
    )
    wire.answers("POST", "/v1/reads", rows(arrow_stream(odd)))
    out = run("read", "d", "--json").out
    encoded = b"".join(NdjsonEncoder(odd.schema).rows(odd)).decode()
    assert [json.loads(line) for line in out.splitlines()] == [json.loads(line) for line in encoded.splitlines()]
    assert json.loads(out.splitlines()[0])["l"] == ["=1", "\u202e\x9b31m😀"]
    assert out.isascii()


def test_a_column_that_json_has_no_text_for_is_named_with_what_to_do(wire: Wire, run: Run) -> None:
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    wire.answers("POST", "/v1/reads", rows(arrow_stream(pa.record_batch([union], ["u"]))))
    ended = run("read", "d", "--json")
    assert (ended.status, ended.out) == (2, "")
    assert "`u`" in ended.notes
    assert ".arrow" in ended.notes


@pytest.mark.parametrize(
    "hostile", ["\x1b]0;title\x07", "\x9b31m", "\r\n", "a\u202eb", "\u2066", "\x00", "[red]x[/red]"]
)
def test_nothing_that_the_gateway_says_drives_the_terminal(wire: Wire, run: Run, hostile: str) -> None:
    problem = {**PROBLEM, "detail": hostile, "help": hostile, "excess": {"declared": hostile, "asked": hostile}}
    dataset = {"name": hostile, "title": hostile, "owner": hostile, "columns": [{"name": hostile, "why": hostile}]}
    wire.answers("POST", "/v1/reads", says({**problem, "rules": [hostile]}, 403))
    wire.answers("GET", "/v1/datasets", says({"items": [dataset], "next": None}))
    wire.answers("GET", "/v1/datasets/d", says(dataset))
    wire.answers("GET", "/v1/alerts/3", says({**ALERT, "title": hostile, "evidence": {"asked": {hostile: hostile}}}))
    wire.answers("GET", "/v1/audit/entries", says({"items": [{"seq": 1, "kind": hostile, "actor": hostile}]}))
    for command in (
        "read d",
        "datasets",
        "datasets d",
        "alerts show 3",
        "audit tail",
        "audit search",
        "datasets --json",
    ):
        ended = run(*command.split())
        printed = ended.out + ended.notes
        assert printed
        assert all(char.isprintable() or char == "\n" for char in printed)
        assert "[red]" in printed or "[red]" not in hostile


def test_datasets_are_listed_and_shown_with_what_the_reader_would_get(wire: Wire, run: Run) -> None:
    column = {"name": "x", "class": "user.behavior.pointer", "type": "integer", "sensitivity": "low"}
    column |= {"treatment": "clear", "why": "allowed by pointer_for_training", "purpose": "train_ai_system"}
    column |= {"rules": ["pointer_for_training"], "lacked": []}
    dataset = {"name": "pointer_events", "title": "Pointers", "owner": "mci", "source": "recorder", "columns": [column]}
    dataset |= {"audience": [{"team": "research.ml", "purpose": "train_ai_system"}]}
    wire.answers("GET", "/v1/datasets", says({"items": [dataset], "next": None}))
    wire.answers("GET", "/v1/datasets/pointer_events", says(dataset))
    assert "pointer_events" in run("datasets").out
    shown = run("datasets", "pointer_events").out
    for said in ("research.ml for train_ai_system", "clear", "pointer_for_training", "user.behavior.pointer"):
        assert said in shown
    assert json.loads(run("datasets", "pointer_events", "--json").out) == dataset
    assert json.loads(run("datasets", "--json").out) == [dataset]


def test_a_check_exits_as_the_read_would(wire: Wire, run: Run) -> None:
    column = {"name": "x", "class": "user.behavior.pointer", "treatment": "clear"}
    allowed = {"decision": "allow", "grant": "g-1", "purpose": "train_ai_system", "columns": [column], "entry": 5}
    refused = {"decision": "refuse", **PROBLEM}
    wire.answers("POST", "/v1/reads:check", says(allowed), says(refused), says(refused))
    ended = run("check", "pointer_events")
    assert ended.status == 0
    assert "allow: `pointer_events` under grant `g-1` for train_ai_system" in ended.out
    ended = run("check", "pointer_events")
    assert ended.status == 1
    assert "next      leave these columns out" in ended.notes
    ended = run("check", "pointer_events", "--json")
    assert (ended.status, json.loads(ended.out)["code"], ended.notes) == (1, "beyond_columns", "")


def test_a_policies_file_is_checked_without_a_gateway(wire: Wire, run: Run, tmp_path: Path) -> None:
    good = Path(__file__).parents[1] / "policies.conf"
    assert run("policy", "check", str(good)).status == 0
    bad = tmp_path / "policies.conf"
    bad.write_text(good.read_text().replace("user.behavior.pointer, read", "user.behaviour.pointer, read"))
    ended = run("policy", "check", str(bad))
    assert ended.status == 1
    assert "did you mean `user.behavior.pointer`?" in ended.out
    problem = json.loads(run("policy", "check", str(bad), "--json").out)["problems"][0]
    assert problem["suggestion"] == "user.behavior.pointer"
    assert run("policy", "check", str(tmp_path / "none.conf")).status == 2
    assert wire.asked == []


def test_reloading_says_what_decides_from_now_on(wire: Wire, run: Run) -> None:
    wire.answers("POST", "/v1/policy:reload", says({"digest": "sha256:ab", "entry": 9}))
    assert "sha256:ab" in run("policy", "reload").out
    assert json.loads(run("policy", "reload", "--json").out) == {"digest": "sha256:ab", "entry": 9}


def test_grants_are_listed_added_and_revoked(wire: Wire, run: Run, tmp_path: Path) -> None:
    (tmp_path / "scope.toml").write_text(SCOPE)
    wire.answers("GET", "/v1/grants", says({"items": [GRANT], "next": None}))
    wire.answers("POST", "/v1/grants", says(GRANT, 201))
    wire.answers("POST", "/v1/grants/g-1:revoke", says({**GRANT, "status": "revoked"}))
    assert "1,234 of 5,000,000" in run("grants", "list").out
    assert json.loads(run("grants", "list", "--json").out) == [GRANT]
    assert "added g-1: ana for train_ai_system" in run("grants", "add", str(tmp_path / "scope.toml")).out
    assert wire.asked[-1].body["starts"] == "2026-11-01T00:00:00Z"
    assert wire.asked[-1].body["datasets"] == {"pointer_events": {"columns": ["x"]}}
    assert "revoked" in run("grants", "revoke", "g-1", "--why", "the run has ended").out
    assert wire.asked[-1].body == {"why": "the run has ended"}
    run("grants", "list", "--everybody")
    assert wire.asked[-1].query == {"everybody": ["true"]}


def test_a_scope_that_is_not_understood_is_not_sent(wire: Wire, run: Run, tmp_path: Path) -> None:
    (tmp_path / "scope.toml").write_text(SCOPE.replace("purpose", "porpoise"))
    ended = run("grants", "add", str(tmp_path / "scope.toml"))
    assert ended.status == 1
    assert "scope.toml line 3" in ended.notes
    assert wire.asked == []


def test_the_tail_of_the_trail_comes_oldest_first_and_goes_on(wire: Wire, run: Run) -> None:
    entries = [{"seq": n, "at": "2026-11-21T08:00:00Z", "kind": "read.refused", "actor": "ana"} for n in range(5)]
    parts = (entries[2:0:-1], None), (entries[3:4], "6"), ([], "8")
    pages = [says({"items": items, "next": following}) for items, following in parts]
    wire.answers("GET", "/v1/audit/entries", *pages, says({"code": "not_recorded"}, 503))
    ended = run("audit", "tail", "--follow", "-n", "2", "--json")
    assert [json.loads(line)["seq"] for line in ended.out.splitlines()] == [1, 2, 3]
    assert ended.status == 3
    assert [asked.query.get("after") for asked in wire.asked] == [None, ["2"], ["6"], ["8"]]


def test_a_search_sends_what_it_was_given_and_stops_at_its_limit(wire: Wire, run: Run) -> None:
    page = {"items": [{"seq": 2, "kind": "read.refused"}, {"seq": 1, "kind": "read.refused"}], "next": "1"}
    wire.answers("GET", "/v1/audit/entries", says(page))
    found = run("audit", "search", "--actor", "ana", "--from", "2026-11-21T08:00:00+01:00", "--limit", "2", "--json")
    assert json.loads(found.out) == page["items"]
    assert [asked.query for asked in wire.asked] == [{"actor": ["ana"], "from": ["2026-11-21T08:00:00+01:00"]}]
    for time in ("yesterday", "2026-11-21T08:00:00"):
        assert run("audit", "search", "--to", time).status == 2


def test_a_search_for_a_kind_that_there_is_not_is_no_all_clear(wire: Wire, run: Run) -> None:
    for kind, said in (("reed", "no entry matches: there is no kind `reed`\n"), ("read", "no entry matches\n")):
        wire.answers("GET", "/v1/audit/entries", says({"items": [], "next": None}))
        assert run("audit", "search", "--kind", kind).notes == said


def test_alerts_are_listed_shown_and_taken_on(wire: Wire, run: Run) -> None:
    by = {"by": "olga", "at": "2026-11-21T08:06:00Z", "why": "calling ana"}
    wire.answers("GET", "/v1/alerts", says({"items": [ALERT], "next": None}))
    wire.answers("GET", "/v1/alerts/3", says(ALERT))
    wire.answers("POST", "/v1/alerts/3:acknowledge", says({**ALERT, "state": "acknowledged", "acknowledged": by}))
    assert "SEV3" in run("alerts", "list").out
    shown = run("alerts", "show", "3").out
    for said in ("SEV3 ana asked", "declared  x, y", "asked     text", "entries   42, 43", "next      talk"):
        assert said in shown
    assert "by olga at 2026-11-21 08:06:00Z: calling ana" in run("alerts", "ack", "3", "--why", "calling ana").out
    assert wire.asked[-1].body == {"why": "calling ana"}
    assert json.loads(run("alerts", "show", "3", "--json").out) == ALERT


def test_an_alert_is_shown_with_both_histories_and_what_can_be_done(wire: Wire, run: Run) -> None:
    wire.answers("GET", "/v1/alerts/3", says(ALERT))
    shown = run("alerts", "show", "3").out
    first, _, again = shown.partition("what happened after it was open again")
    assert "dataset pointer_events: first" in first
    assert "open again" in again
    assert "11 accesses must stay refused; open now: 1 by the rules, 0 whole" in shown
    assert "remit alerts contain 3 --what grant --target g-1" in shown


def test_an_alert_is_contained_and_resolved_by_one_command_each(wire: Wire, run: Run) -> None:
    wire.answers("POST", "/v1/alerts/3:contain", says({**ALERT, "state": "contained"}))
    wire.answers("POST", "/v1/alerts/3:resolve", says({**ALERT, "state": "resolved"}))
    assert "contained" in run("alerts", "contain", "3", "--why", "a test", "--what", "grant").out
    assert wire.asked[-1].body == {"why": "a test", "what": "grant", "target": ""}
    assert "what you can do" not in run("alerts", "resolve", "3", "--why", "over").out


def test_a_pause_is_lifted_by_the_second_one_who_asks(wire: Wire, run: Run) -> None:
    pause = {"id": "p-1", "kind": "dataset", "target": "events", "reason": "r", "set_by": "olga"}
    pause |= {"set_at": "2026-11-21T08:00:00Z", "alert": 3, "lifted": False}
    by = {"by": "olga", "at": "2026-11-21T08:06:00Z", "why": "mended"}
    wire.answers("GET", "/v1/pauses", says({"items": [{**pause, "proposed": by}], "next": None}))
    wire.answers("POST", "/v1/pauses/p-1:lift", says({**pause, "proposed": by}), says({**pause, "lifted": True}))
    assert "olga" in run("pauses", "list").out
    assert "somebody else" in run("pauses", "lift", "p-1", "--why", "mended").out
    assert "lifted: dataset events" in run("pauses", "lift", "p-1", "--why", "mended").out


def test_what_is_open_of_an_alert_is_accepted_by_its_digest_and_a_reason(wire: Wire, run: Run) -> None:
    accepted = {"digest": "sha256:1", "alerts": [3], "by": ["olga"], "needed": 2}
    wire.answers("POST", "/v1/alerts/3:accept", says(accepted), says({**accepted, "by": ["oda", "olga"]}))
    asked = ("alerts", "accept", "3", "--open", "sha256:1", "--why", "granted since")
    assert "it takes 2 people" in run(*asked).out
    assert wire.asked[-1].body == {"digest": "sha256:1", "why": "granted since"}
    assert "is asked no more" in run(*asked).out


def test_a_bundle_is_accepted_by_its_digest_and_a_reason(wire: Wire, run: Run) -> None:
    accepted = {"digest": "sha256:1", "alerts": [3], "by": ["olga"], "needed": 2}
    wire.answers("POST", "/v1/policy:accept", says(accepted), says({**accepted, "by": ["olga", "otto"]}))
    assert run("policy", "reload", "--accept", "sha256:1").status == 2
    assert "it takes 2 people" in run("policy", "reload", "--accept", "sha256:1", "--why", "meant").out
    assert "lets it in" in run("policy", "reload", "--accept", "sha256:1", "--why", "meant").out


def test_a_setting_that_is_not_understood_stops_the_start_with_its_name(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMIT_POLICYS", "x")
    ended = run("serve")
    assert ended.status == 2
    assert "`REMIT_POLICYS`" in ended.notes


def test_a_ledger_that_is_nowhere_is_not_made_by_verifying_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REMIT_DATABASE_URL", raising=False)
    monkeypatch.setenv("REMIT_HOME", str(tmp_path / "none"))
    ended = run("audit", "verify")
    assert ended.status == 2
    assert "--database" in ended.notes
    assert not (tmp_path / "none").exists()


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from remit.cli import main; main()", *arguments]


def _piped(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(_command(*arguments), capture_output=True, check=False, timeout=60)


def _on_a_terminal(*arguments: str) -> str:
    ours, theirs = pty.openpty()
    seen = bytearray()

    def watch() -> None:
        # the last read of a terminal whose other side is closed is an error on Linux
        try:
            while part := os.read(ours, 65_536):
                seen.extend(part)
        except OSError:
            return

    watcher = threading.Thread(target=watch)
    watcher.start()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    subprocess.run(_command(*arguments), stdout=theirs, stderr=theirs, check=True, timeout=60, env=environment)
    os.close(theirs)
    watcher.join()
    os.close(ours)
    return seen.decode()
