"""From an alert to what is closed, and that it stays so."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import NUMBERS, made_database
from service import POLICIES, Service, serving

from audit.postgres import Embedded

PURPOSE = "train_ai_system.computer_use"
WIDER = "keys_clear = research.ml, train_ai_system, user.content.screen, read, trained, clear, allow\n"


@pytest.fixture
def own(server: Embedded, folder: Path) -> Iterator[Service]:
    """A gateway of the test's own, whose alerts, pauses and files it changes."""
    place = Path(tempfile.mkdtemp(dir=folder))
    with made_database(server, f"test_{next(NUMBERS)}") as made, serving(place, made.url()) as running:
        yield running


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


def test_what_contains_an_alert_stops_reading_at_once_and_two_people_lift_it(own: Service) -> None:
    alert = excess(own)
    contained = done(own, f"/v1/alerts/{alert['id']}:contain")
    assert (contained["state"], contained["owner"]) == ("contained", "collection.mci")
    assert [(step["event"], step["by"], step["why"]) for step in contained["history"]] == [
        ("contained", "olga", "a test")
    ]
    assert own.read(grant=alert["grant"]).json()["code"] == "paused"
    assert contained["hold"]["checks"] > 1
    (pause,) = own.call("GET", "/v1/pauses", "olga").json()["items"]
    assert (pause["kind"], pause["target"], pause["alert"]) == ("dataset", "events", alert["id"])
    lift = f"/v1/pauses/{pause['id']}:lift"
    assert done(own, lift)["proposed"]["by"] == "olga"
    assert post(own, lift).json()["code"] == "second_person"
    assert own.read(grant=alert["grant"]).json()["code"] == "paused"
    assert done(own, lift, "otto")["lifted"]
    assert own.read(grant=alert["grant"]).status_code == 200
    assert done(own, f"/v1/alerts/{alert['id']}:resolve")["state"] == "resolved"
    kinds = [entry["kind"] for entry in own.entries()]
    for kind in ("alert.contained", "pause.set", "hold.stored", "pause.lift_proposed", "pause.lifted", "alert.resolved"):
        assert kind in kinds
