"""Requests as tests make them: a scope on `events` or `long`, asked for, looked at and approved over HTTP."""

from datetime import timedelta
from typing import Any

import psycopg
from service import NOW, Service, scope_of

SENTENCE = "Pointer paths for the computer-use model, run cua-7b-v3."
LOW = {"dataset": "long", "columns": ["who", "x"]}


def asked_for(**given: Any) -> dict[str, Any]:
    """A body for `POST /v1/requests`; what is not given is a low scope of ana's for a day around now."""
    scope = scope_of(**(LOW | {"justification": SENTENCE} | given))
    if "principal" not in given:
        scope.pop("principal", None)
    return scope


def asked(service: Service, who: str = "ana", **given: Any) -> dict[str, Any]:
    """A request that must be taken in."""
    response = service.call("POST", "/v1/requests", who, json=asked_for(**given))
    assert response.status_code == 201, response.text
    return dict(response.json())


def looked(service: Service, id: str, who: str) -> dict[str, Any]:
    """A request as `who` sees it."""
    response = service.call("GET", f"/v1/requests/{id}", who)
    assert response.status_code == 200, response.text
    return dict(response.json())


def step(service: Service, id: str, verb: str, who: str, **body: Any) -> Any:
    """One step, of what `who` is shown now where they see it; the response."""
    if verb in ("approve", "narrow") and "shown" not in body:
        body["shown"] = looked(service, id, who)["shown"]
    if verb != "approve":
        body.setdefault("why", "because of a test")
    return service.call("POST", f"/v1/requests/{id}:{verb}", who, json=body)


def approved(service: Service, *by: str, who: str = "ana", **given: Any) -> dict[str, Any]:
    """A request that these approved, one after the other."""
    request = asked(service, who, **given)
    for each in by:
        response = step(service, request["id"], "approve", each)
        assert response.status_code == 200, response.text
        request = response.json()
    return dict(request)


def soon(**delta: float) -> str:
    """A time from now on."""
    return (NOW + timedelta(**delta)).isoformat()


def aged(service: Service, grant: str, *, days: int) -> str:
    """The grant, as if it had been put in so many days ago."""
    with psycopg.connect(service.settings["REMIT_DATABASE_URL"]) as database:
        moved = "UPDATE grants SET added_at = added_at - make_interval(days => %s) WHERE id = %s"
        assert database.execute(moved, (days, grant)).rowcount == 1
    return grant
