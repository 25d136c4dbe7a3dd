"""From an alert to what is closed, and that it stays so."""

import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from bundles import bundle_of
from conftest import NUMBERS, made_database
from service import POLICIES, Service, serving

from audit.entries import Kind
from audit.postgres import Embedded
from audit.signals import signal_of
from authz.measures import measures, proposed

PURPOSE = "train_ai_system.computer_use"
WIDER = "keys_clear = research.ml, train_ai_system, user.content.screen, read, trained, clear, allow\n"


@pytest.fixture
def own(server: Embedded, folder: Path) -> Iterator[Service]:
    """A gateway of the test's own, whose files it changes."""
    place = Path(tempfile.mkdtemp(dir=folder))
    with made_database(server, f"test_{next(NUMBERS)}") as made, serving(place, made.url()) as running:
        yield running


@pytest.fixture(scope="module")
def running(server: Embedded, folder: Path) -> Iterator[Service]:
    place = Path(tempfile.mkdtemp(dir=folder))
    with made_database(server, f"test_{next(NUMBERS)}") as made, serving(place, made.url()) as shared:
        yield shared


@pytest.fixture
def shared(running: Service) -> Iterator[Service]:
    """One gateway for the tests that leave its files alone; what they pause is lifted."""
    yield running
    for pause in running.call("GET", "/v1/pauses", "olga").json()["items"]:
        for who in ("olga", "oda"):
            post(running, f"/v1/pauses/{pause['id']}:lift", who)
    assert running.call("GET", "/v1/pauses", "olga").json()["items"] == []


def found(look: Callable[[], Any]) -> Any:
    """What `look` finds in the end; asked again until it is there."""
    until = time.monotonic() + 30
    while not (seen := look()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
    return seen


def alert_of(service: Service, **wanted: object) -> dict[str, Any]:
    """The newest alert with these fields, once it is there."""
    return dict(
        found(
            lambda: next(
                (each for each in service.alerts() if all(each[name] == value for name, value in wanted.items())), None
            )
        )
    )


def post(service: Service, path: str, who: str = "olga", **body: object) -> httpx2.Response:
    return service.call("POST", path, who, json={"why": "a test"} | body)


def done(service: Service, path: str, who: str = "olga", **body: object) -> dict[str, Any]:
    response = post(service, path, who, **body)
    assert response.status_code == 200, response.text
    return dict(response.json())


def excess(service: Service, **scope: Any) -> dict[str, Any]:
    """An alert: ana has asked for the screen beyond her scope."""
    grant = service.grant(columns=["x"], **scope)
    assert service.read(grant=grant, columns=["screen"]).json()["code"] == "beyond_columns"
    return alert_of(service, grant=grant)


def test_what_contains_an_alert_stops_reading_at_once_and_two_people_lift_it(shared: Service) -> None:
    alert = excess(shared)
    contained = done(shared, f"/v1/alerts/{alert['id']}:contain")
    assert (contained["state"], contained["owner"]) == ("contained", "collection.mci")
    assert [(step["event"], step["by"], step["why"]) for step in contained["history"]] == [
        ("contained", "olga", "a test")
    ]
    assert shared.read(grant=alert["grant"]).json()["code"] == "paused"
    assert contained["hold"]["checks"] > 1
    (pause,) = shared.call("GET", "/v1/pauses", "olga").json()["items"]
    assert (pause["kind"], pause["target"], pause["alert"]) == ("dataset", "events", alert["id"])
    lift = f"/v1/pauses/{pause['id']}:lift"
    assert done(shared, lift)["proposed"]["by"] == "olga"
    assert post(shared, lift).json()["code"] == "second_person"
    assert shared.read(grant=alert["grant"]).json()["code"] == "paused"
    assert done(shared, lift, "oda")["lifted"]
    assert shared.read(grant=alert["grant"]).status_code == 200
    assert done(shared, f"/v1/alerts/{alert['id']}:resolve")["state"] == "resolved"
    kinds = [entry["kind"] for entry in shared.entries()]
    for kind in (
        "alert.contained",
        "pause.set",
        "hold.stored",
        "pause.lift_proposed",
        "pause.lifted",
        "alert.resolved",
    ):
        assert kind in kinds


@pytest.mark.parametrize(
    ("kind", "code", "kinds"),
    [
        (Kind.CHECKPOINT_REFUSED, "ledger_changed", ["everything", "everything"]),
        (Kind.WITNESSES_BEHIND, "witnesses_behind", [None, "everything"]),
    ],
)
def test_all_reading_stops_unasked_for_the_worst_alone(kind: Kind, code: str, kinds: list[str | None]) -> None:
    entry = {"kind": kind, "actor": "remit", "code": code, "at": "2026-11-22T08:00:00.000000Z", "details": {}}
    alert = signal_of(1, entry)
    assert alert
    own = measures(alert, [entry], bundle_of())
    first, told = proposed(alert, own, None), proposed(alert, own, "everything")
    assert [each and each.kind for each in (first, told)] == kinds


def test_a_suspended_principal_does_nothing_at_all_and_nobody_else_is_stopped(shared: Service) -> None:
    alert = excess(shared)
    others = shared.grant(principal="max", columns=["x"])
    contained = done(shared, f"/v1/alerts/{alert['id']}:contain", what="principal")
    assert {action["what"] for action in contained["actions"]} >= {
        "dataset",
        "grant",
        "principal",
        "team",
        "everything",
    }
    refused = shared.read(grant=alert["grant"])
    assert (refused.status_code, refused.json()["code"]) == (403, "suspended")
    assert shared.read(who="max", grant=others).status_code == 200
    done(shared, f"/v1/alerts/{alert['id']}:contain", what="grant")
    assert next(entry["kind"] for entry in shared.entries(grant=alert["grant"], kind="grant")) == "grant.suspended"
    pause = shared.call("POST", "/v1/pauses", "olga", json={"kind": "principal", "target": "odo", "reason": "a test"})
    assert pause.status_code == 201
    lift = post(shared, f"/v1/pauses/{pause.json()['id']}:lift", "odo")
    assert (lift.status_code, lift.json()["code"]) == (403, "suspended")
    assert shared.call("GET", "/v1/alerts", "odo").json()["code"] == "suspended"


def test_nothing_that_is_only_looked_at_changes_anything(shared: Service) -> None:
    alert = excess(shared)
    seen = shared.call("GET", f"/v1/alerts/{alert['id']}", "olga").json()
    assert seen["url"].endswith(f"/v1/alerts/{alert['id']}")
    assert shared.call("GET", f"/v1/alerts/{alert['id']}:contain", "olga").status_code == 405
    assert shared.call("GET", f"/v1/alerts/{alert['id']}", "olga").json() == seen
    assert shared.read(grant=alert["grant"]).status_code == 200


def test_what_cannot_be_contained_is_told_and_only_responders_may(shared: Service) -> None:
    alert = excess(shared)
    path = f"/v1/alerts/{alert['id']}:contain"
    for body, code in (
        ({"what": "dataset", "target": "nowhere"}, "bad_request"),
        ({"target": "events"}, "bad_request"),
        ({"what": "grant", "target": "g-1"}, "bad_request"),
    ):
        assert post(shared, path, **body).json()["code"] == code
    assert post(shared, path, "sam").json()["code"] == "no_rule"
    assert post(shared, "/v1/alerts/4711:contain").json()["code"] == "not_found"
    assert done(shared, f"/v1/alerts/{alert['id']}:resolve")["state"] == "resolved"
    assert post(shared, path).json()["code"] == "bad_request"
    assert shared.read(grant=alert["grant"]).status_code == 200


def widened(service: Service) -> None:
    (service.folder / "policies.conf").write_text(POLICIES + WIDER)


def test_a_bundle_that_opens_what_was_closed_is_let_in_by_two_people_and_the_sev_is_back(own: Service) -> None:
    alert = excess(own)
    done(own, f"/v1/alerts/{alert['id']}:contain", what="grant")
    done(own, f"/v1/alerts/{alert['id']}:resolve")
    widened(own)
    reload = own.call("POST", "/v1/policy:reload", "eve")
    assert (reload.status_code, reload.json()["code"]) == (403, "hold_check")
    assert "ana of research.ml reads screen of events" in reload.json()["detail"]
    assert alert_of(own, code="hold_would_open")["severity"] == 2
    digest = re.search("sha256:[0-9a-f]+", reload.json()["help"])
    assert digest
    accept = {"digest": digest[0], "why": "the owner declared it"}
    assert done(own, "/v1/policy:accept", **accept)["by"] == ["olga"]
    assert done(own, "/v1/policy:accept", **accept)["by"] == ["olga"]
    assert own.call("POST", "/v1/policy:reload", "eve").json()["code"] == "hold_check"
    assert post(own, "/v1/policy:accept", "oda", digest="sha256:0").json()["code"] == "bad_request"
    assert done(own, "/v1/policy:accept", "oda", **accept)["by"] == ["oda", "olga"]
    assert own.call("POST", "/v1/policy:reload", "eve").status_code == 200
    assert own.entries(kind="policy.activated")[0]["details"]["accepted_by"] == ["oda", "olga"]
    assert alert_of(own, code="hold_open_by_rules")["severity"] == 2
    own.grant(columns=["screen"])
    with psycopg.connect(own.settings["REMIT_DATABASE_URL"], autocommit=True) as clock:
        clock.execute("UPDATE hold_run SET at = at - interval '1 minute'")
    back = alert_of(own, id=alert["id"], state="contained")
    assert back["severity"] == 1
    assert own.read(columns=["screen"]).json()["code"] == "paused"
    history = own.call("GET", f"/v1/alerts/{alert['id']}", "olga").json()["history"]
    assert [step["event"] for step in history] == ["contained", "resolved", "reopened", "contained"]
    assert history[-1]["by"] == "remit"
    (pause,) = own.call("GET", "/v1/pauses", "olga").json()["items"]
    stays = post(own, f"/v1/pauses/{pause['id']}:lift").json()
    assert stays["code"] == "hold_check"
    assert f"`remit alerts resolve {alert['id']}`" in stays["help"]
    refused = post(own, f"/v1/alerts/{alert['id']}:resolve").json()
    assert refused["code"] == "hold_check"
    named = re.search(f"remit alerts accept {alert['id']} --open (sha256:[0-9a-f]+)", refused["help"])
    assert named
    accepting = f"/v1/alerts/{alert['id']}:accept"
    assert post(own, accepting, "oda", digest="sha256:0").json()["code"] == "changed"
    assert post(own, accepting, "eve", digest=named[1]).json()["code"] == "no_rule"
    assert done(own, accepting, digest=named[1])["by"] == ["olga"]
    assert post(own, f"/v1/alerts/{alert['id']}:resolve").json()["code"] == "hold_check"
    (own.folder / "policies.conf").write_text(POLICIES)
    assert own.call("POST", "/v1/policy:reload", "eve").status_code == 200
    assert post(own, accepting, "oda", digest=named[1]).json()["code"] == "bad_request"
    assert done(own, f"/v1/alerts/{alert['id']}:resolve")["state"] == "resolved"
    for who in ("olga", "oda"):
        done(own, f"/v1/pauses/{pause['id']}:lift", who)
    assert own.call("GET", "/v1/pauses", "olga").json()["items"] == []


def test_what_lies_open_still_is_not_resolved_until_a_look_finds_it_closed(own: Service) -> None:
    wide = "wide = sales, train_ai_system, user.behavior.pointer, read, -, clear, allow\n"
    (own.folder / "policies.conf").write_text(POLICIES + wide)
    part = own.folder / "data" / "long" / "part.parquet"
    os.link(part, own.folder / "elsewhere")  # of a file with a second name nobody can tell who reaches it
    part.chmod(0o604)
    assert own.call("POST", "/v1/policy:reload", "eve").status_code == 200
    for code, dataset, said in (
        ("audience_exceeded", "events", "rules still let in sales for train_ai_system"),
        ("store_exposed", "long", "`part.parquet` can still be read around remit"),
    ):
        alert = alert_of(own, code=code, dataset=dataset)
        refused = post(own, f"/v1/alerts/{alert['id']}:resolve")
        assert (refused.status_code, refused.json()["code"]) == (403, "hold_check")
        assert said in refused.json()["detail"]
    (own.folder / "policies.conf").write_text(POLICIES)
    part.chmod(0o600)
    assert own.call("POST", "/v1/policy:reload", "eve").status_code == 200
    for code, dataset in (("audience_exceeded", "events"), ("store_exposed", "long")):
        alert = alert_of(own, code=code, dataset=dataset)
        assert done(own, f"/v1/alerts/{alert['id']}:resolve")["state"] == "resolved"


def test_what_was_contained_outlives_a_kill_and_no_start_lets_in_a_bundle_that_opens_it(own: Service) -> None:
    alert = excess(own)
    done(own, f"/v1/alerts/{alert['id']}:contain")
    own.stop(signal.SIGKILL)
    widened(own)
    own.start(wait=False)
    assert own.process.wait(timeout=240) == 1
    assert "would open again what alert" in own.log()
    (own.folder / "policies.conf").write_text(POLICIES)
    own.start()
    assert own.entries(kind="policy.refused")
    assert alert_of(own, code="hold_would_open")["dataset"] == "events"
    assert alert_of(own, id=alert["id"])["state"] == "contained"
    assert len(own.entries(kind="alert.contained")) == len(own.entries(kind="pause.set")) == 1
    refused = own.read(grant=alert["grant"])
    assert (refused.status_code, refused.json()["code"]) == (423, "paused")
