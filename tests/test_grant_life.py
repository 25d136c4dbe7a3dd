"""What becomes of a grant: it starts, ends, is revoked, renewed and reviewed; and what breaking the glass leaves."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asking import SENTENCE, aged, approved, asked, asked_for, looked, soon, step
from receivers import wait_until
from service import Service


def detail(service: Service, grant: str, who: str = "ana") -> dict[str, Any]:
    response = service.call("GET", f"/v1/grants/{grant}", who)
    assert response.status_code == 200, response.text
    return dict(response.json())


def revoke(service: Service, grant: str, who: str) -> Any:
    return service.call("POST", f"/v1/grants/{grant}:revoke", who, json={"why": "a test"})


def test_a_grant_of_the_future_is_there_and_lets_nobody_read(service: Service) -> None:
    grant = approved(service, "otto", who="lea", starts=soon(hours=1), ends=soon(hours=2))["grant"]
    assert detail(service, grant, "lea")["state"] == "not_started"
    assert service.read("long", "lea", grant=grant).json()["code"] == "not_started"


@pytest.mark.parametrize("who", ["lea", "otto", "pia", "sam", "eve"])
def test_requester_owner_privacy_security_and_administrators_end_a_grant_and_it_stays_readable(
    service: Service, who: str
) -> None:
    request = approved(service, "otto", who="lea", max_rows=5)
    grant = request["grant"]
    assert service.rows("long", "lea", grant=grant).num_rows == 5
    assert revoke(service, grant, who).json()["state"] == "revoked"
    assert service.read("long", "lea", grant=grant).json()["code"] == "revoked"
    assert looked(service, request["id"], "lea")["grant"] == grant
    reads = service.call("GET", f"/v1/grants/{grant}/reads", "lea").json()["items"]
    assert [each["kind"] for each in reads] == ["read.refused", "read.completed", "read.authorized"]
    assert reads[1]["rows"] == 5


@pytest.mark.parametrize("who", ["bob", "max", "olga"])
def test_nobody_else_ends_or_sees_a_grant(service: Service, who: str) -> None:
    grant = approved(service, "otto", who="lea")["grant"]
    assert revoke(service, grant, who).status_code == 403
    assert service.call("GET", f"/v1/grants/{grant}", who).status_code == 403
    assert service.call("GET", f"/v1/grants/{grant}/reads", who).status_code == 403


def test_a_grant_for_a_team_is_read_by_its_members(service: Service) -> None:
    grant = approved(service, "otto", who="vic", team="research.ml.vision", max_rows=7)["grant"]
    assert service.rows("long", "val", grant=grant).num_rows == 7
    assert revoke(service, grant, "vic").status_code == 200


def test_a_renewal_proposes_what_was_used_and_no_more(service: Service) -> None:
    columns = ["who", "at", "x"]
    grant = approved(service, "otto", who="kim", dataset="events", columns=columns, max_rows=1000)["grant"]
    assert detail(service, grant, "kim")["renewal"] is None
    assert service.rows("events", "kim", grant=grant, columns=["at"], rows="x < 40").num_rows == 40
    found = detail(service, grant, "kim")
    assert found["used"]["events"]["columns"] == ["at", "x"]
    assert (found["rows_used"], found["used"]["events"]["rows"], found["used"]["events"]["reads"]) == (40, 40, 1)
    renewal = found["renewal"]
    assert renewal["datasets"]["events"]["columns"] == ["at", "x"]
    assert renewal["max_rows"] == 80
    body = renewal | {"renews": grant, "justification": SENTENCE}
    again = service.call("POST", "/v1/requests", "kim", json=body)
    assert again.status_code == 201, again.text
    assert again.json()["renews"] == grant
    step(service, again.json()["id"], "withdraw", "kim")


def test_nobody_renews_the_grant_of_somebody_else(service: Service) -> None:
    grant = approved(service, "otto", who="lea")["grant"]
    response = service.call("POST", "/v1/requests", "kim", json=asked_for(renews=grant))
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    revoke(service, grant, "lea")


def test_owners_review_the_grants_on_their_data_by_use(service: Service) -> None:
    used = approved(service, "otto", who="lea", max_rows=3)["grant"]
    service.rows("long", "lea", grant=used)
    old = aged(service, service.grant(principal="lea", dataset="long", columns=["x"], starts=soon(days=-40)), days=40)
    new = service.grant(principal="lea", dataset="long", columns=["x"], starts=soon(days=-40))
    items = service.call("GET", "/v1/grants:review", "otto").json()["items"]
    proposals = {each["id"]: (each["proposal"], each["unused_days"]) for each in items}
    assert proposals[old] == ("remove", 40)
    assert proposals[new] == proposals[used] == ("keep", 0)
    after, paged = "", set()
    while after is not None:
        page = service.call("GET", "/v1/grants:review", "otto", params={"limit": 1, "after": after}).json()
        paged |= {each["id"] for each in page["items"]}
        after = page["next"]
    assert paged == set(proposals)
    assert service.call("GET", "/v1/grants:review", "bob").json()["items"] == []
    for each in (old, new, used):
        revoke(service, each, "otto")
    items = service.call("GET", "/v1/grants:review", "otto").json()["items"]
    assert not {old, new, used} & {each["id"] for each in items}


def broken(service: Service, who: str = "lea", **given: Any) -> Any:
    body = asked_for(**given) | {"break_glass": True}
    for time in ("starts", "ends"):
        if time not in given:
            body.pop(time)
    return service.call("POST", "/v1/requests", who, json=body)


def test_breaking_the_glass_reads_at_once_pages_and_waits_for_somebody_elses_review(service: Service) -> None:
    request = broken(service).json()
    assert (request["state"], request["break_glass"], request["reviewed_by"]) == ("granted", True, None)
    assert service.rows("long", "lea", grant=request["grant"], limit=3).num_rows == 3
    assert detail(service, request["grant"], "lea")["state"] == "active"
    wait_until(lambda: any(each["grant"] == request["grant"] for each in service.alerts()))
    (alert,) = [each for each in service.alerts() if each["grant"] == request["grant"]]
    assert (alert["severity"], alert["code"]) == (3, "break_glass")
    assert step(service, request["id"], "review", "lea").json()["code"] == "not_approver"
    assert step(service, request["id"], "review", "bob").json()["code"] == "not_approver"
    assert step(service, request["id"], "review", "otto").json()["reviewed_by"] == "otto"
    assert step(service, request["id"], "review", "otto").json()["code"] == "not_open"
    assert service.entries(kind="review.closed", grant=request["grant"])[0]["actor"] == "otto"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"dataset": "events", "columns": ["screen"]}, "no_rule"),
        ({"dataset": "events", "columns": ["review"]}, "denied_by_rule"),
        ({"dataset": "nobodys", "columns": ["x"]}, "beyond_audience"),
        ({"starts": soon(hours=-1), "ends": soon(hours=3)}, "bad_request"),
        ({"starts": soon(hours=1), "ends": soon(hours=2)}, "bad_request"),
        ({"justification": "an emergency"}, "bad_request"),
        ({"team": "research.ml"}, "bad_request"),
        ({"principal": "kim"}, "bad_request"),
    ],
)
def test_breaking_the_glass_breaks_no_rule(service: Service, given: dict[str, Any], code: str) -> None:
    assert broken(service, **given).json()["code"] == code


def test_whoever_breaks_the_glass_declares_no_time_that_has_passed(service: Service) -> None:
    now = datetime.now(UTC)
    ends = now + timedelta(minutes=30)
    request = broken(service, "kim", starts=soon(hours=-2400), ends=ends.isoformat()).json()
    starts = datetime.fromisoformat(request["scope"]["starts"])
    assert abs(starts - now) < timedelta(minutes=1)
    assert datetime.fromisoformat(request["scope"]["ends"]) == ends
    assert step(service, request["id"], "review", "otto").status_code == 200


def test_no_service_breaks_the_glass(service: Service) -> None:
    headers = {"Authorization": f"Bearer {service.token('lea', client_id='lea')}"}
    body = {name: value for name, value in asked_for().items() if name not in ("starts", "ends")} | {
        "break_glass": True
    }
    response = service.call("POST", "/v1/requests", None, headers=headers, json=body)
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")
    assert "a person has to" in response.json()["detail"]


def test_nobody_has_more_than_three_unreviewed_grants(service: Service) -> None:
    made = [broken(service, "max") for _ in range(4)]
    assert [each.status_code for each in made] == [201, 201, 201, 429]
    for each in made[:3]:
        step(service, each.json()["id"], "review", "otto")


def test_a_thousand_requests_of_one_person_are_not_taken_in(service: Service) -> None:
    statuses = [service.call("POST", "/v1/requests", "max", json=asked_for()).status_code for _ in range(21)]
    assert statuses == [201] * 20 + [429]
    assert asked(service, "lea")["state"] == "open"
