"""Scopes that are asked for and approved, over HTTP: who may, what is shown, and what becomes of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from asking import SENTENCE, approved, asked, asked_for, looked, soon, step
from service import Service


@pytest.fixture(autouse=True)
def tidied(service: Service) -> Iterator[None]:
    """Takes back what a test left open: nobody has more than 20."""
    yield
    for request in service.call("GET", "/v1/requests", "ana").json()["items"]:
        if "withdraw" in request["can"]:
            step(service, request["id"], "withdraw", "ana")


def test_what_was_asked_for_and_approved_can_be_read(service: Service) -> None:
    request = asked(service, max_rows=10)
    assert (request["state"], request["missing"]) == ("open", ["owner collection.mci"])
    assert service.read("long", grant="g-none").json()["code"] == "no_grant"
    done = step(service, request["id"], "approve", "otto").json()
    assert (done["state"], done["missing"]) == ("granted", [])
    assert service.rows("long", grant=done["grant"]).num_rows == 10


def test_asking_shows_treatments_who_must_approve_and_roughly_how_much(service: Service) -> None:
    request = asked(service)
    columns = request["effect"]["datasets"]["long"]["columns"]
    assert [(each["name"], each["treatment"]) for each in columns] == [("who", "pseudonym"), ("x", "clear")]
    assert request["reach"] == {"long": {"rows": 5_000_000, "subjects": 200, "withheld": False}}


@pytest.mark.parametrize(
    ("columns", "parties"),
    [
        (["who", "at", "x"], ["owner collection.mci"]),
        (["x", "key_ms"], ["owner collection.mci", "privacy"]),
    ],
)
def test_the_most_sensitive_class_says_who_must_approve(
    service: Service, columns: list[str], parties: list[str]
) -> None:
    assert asked(service, dataset="events", columns=columns)["effect"]["parties"] == parties


def test_fewer_than_ten_people_are_never_counted(service: Service) -> None:
    assert asked(service, dataset="events", columns=["x"])["reach"]["events"] == {
        "rows": None,
        "subjects": None,
        "withheld": False,
    }


def test_a_filter_on_what_is_hidden_tells_its_numbers_to_approvers_alone(service: Service) -> None:
    request = asked(service, rows="who != 'e1'")
    assert request["reach"]["long"] == {"rows": None, "subjects": None, "withheld": True}
    assert looked(service, request["id"], "otto")["reach"]["long"]["subjects"] == 200


def test_a_budget_of_subjects_keeps_no_number_from_whoever_asks(service: Service) -> None:
    assert asked(service, max_subjects=50)["reach"]["long"] == {"rows": 5_000_000, "subjects": 200, "withheld": False}


def test_a_count_is_recorded_before_it_is_made_without_naming_anybody(service: Service) -> None:
    asked(service, rows="who != 'e1'")
    (entry,) = service.entries(kind="request.counted", limit=1)
    assert entry["dataset"] == "long"
    assert "e1'" not in entry["details"]["rows"]
    (created,) = service.entries(kind="request.created", limit=1)
    assert "'e1'" not in str(created)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"dataset": "nobodys", "columns": ["x"]}, "beyond_audience"),
        ({"dataset": "events", "columns": ["screen"]}, "no_rule"),
        ({"dataset": "events", "columns": ["review"]}, "denied_by_rule"),
        ({"dataset": "events", "columns": ["forgotten"]}, "unclassified"),
        ({"justification": "."}, "bad_request"),
        ({"justification": "x" * 60}, "bad_request"),
        ({"justification": "because of" + " ." * 40}, "bad_request"),
        ({"ends": soon(hours=-1)}, "bad_request"),
        ({"team": "sales"}, "bad_request"),
        ({"columns": ["nothing"]}, "bad_request"),
    ],
)
def test_what_can_never_be_allowed_is_not_taken_in(service: Service, given: dict[str, Any], code: str) -> None:
    response = service.call("POST", "/v1/requests", "ana", json=asked_for(**given))
    assert response.json()["code"] == code
    assert response.json()["help"]


def test_high_data_needs_two_people_whatever_the_order(service: Service) -> None:
    high = {"dataset": "events", "columns": ["x", "key_ms"]}
    for first, second in (("otto", "pia"), ("pia", "otto"), ("oona", "otto"), ("oona", "pia")):
        request = asked(service, **high)
        assert step(service, request["id"], "approve", first).json()["state"] == "open"
        assert step(service, request["id"], "approve", second).json()["state"] == "granted"


def test_what_the_caller_can_do_is_what_would_change_something(service: Service) -> None:
    request = asked(service, dataset="events", columns=["key_ms"])
    assert looked(service, request["id"], "otto")["can"] == ["approve", "narrow", "deny"]
    assert step(service, request["id"], "approve", "otto").json()["can"] == ["narrow", "deny"]
    assert looked(service, request["id"], "pia")["can"] == ["approve", "narrow", "deny"]
    assert looked(service, request["id"], "ana")["can"] == ["withdraw"]


def test_nobody_stands_for_two_parties(service: Service) -> None:
    request = asked(service, dataset="events", columns=["key_ms"])
    assert step(service, request["id"], "approve", "oona").status_code == 200
    again = step(service, request["id"], "approve", "oona")
    assert (again.status_code, again.json()["code"]) == (403, "not_approver")
    assert looked(service, request["id"], "ana")["state"] == "open"


def test_neither_the_requester_nor_a_reader_under_it_approves(service: Service) -> None:
    request = asked(service, team="research.ml")
    for who in ("ana", "max"):
        response = step(service, request["id"], "approve", who)
        assert (response.status_code, response.json()["code"]) == (403, "not_approver")
    assert service.entries(kind="access.refused", actor="max")[0]["details"]["request"] == request["id"]


def test_the_grant_is_what_was_approved_and_not_what_was_asked(service: Service) -> None:
    request = asked(service, max_rows=1000)
    narrowing = {"max_rows": 5, "datasets": {"long": {"columns": ["x"], "rows": "x < 100"}}}
    narrowed = step(service, request["id"], "narrow", "otto", narrowing=narrowing).json()
    assert narrowed["asked"] == request["scope"]
    done = step(service, request["id"], "approve", "otto").json()
    assert service.rows("long", grant=done["grant"]).column_names == ["x"]
    assert service.read("long", grant=done["grant"], rows="x > 200").json()["code"] == "beyond_rows"


def test_a_narrowing_starts_over(service: Service) -> None:
    request = asked(service, dataset="events", columns=["x", "key_ms"])
    step(service, request["id"], "approve", "pia")
    step(service, request["id"], "narrow", "otto", narrowing={"datasets": {"events": {"columns": ["key_ms"]}}})
    assert step(service, request["id"], "approve", "otto").json()["missing"] == ["privacy"]
    assert step(service, request["id"], "approve", "pia").json()["state"] == "granted"


def test_whoever_approved_sees_what_became_of_it_after_a_narrowing_too(service: Service) -> None:
    request = asked(service, dataset="events", columns=["x", "key_ms"])
    step(service, request["id"], "approve", "pia")
    step(service, request["id"], "narrow", "otto", narrowing={"datasets": {"events": {"columns": ["x"]}}})
    assert looked(service, request["id"], "pia")["can"] == []
    assert request["id"] in [each["id"] for each in service.call("GET", "/v1/requests", "pia").json()["items"]]
    assert step(service, request["id"], "approve", "otto").json()["state"] == "granted"
    assert looked(service, request["id"], "pia")["state"] == "granted"
    assert request["id"] in [each["id"] for each in service.call("GET", "/v1/requests", "pia").json()["items"]]


@pytest.mark.parametrize(
    "narrowing",
    [
        {"max_rows": 5000},
        {"ends": soon(days=3)},
        {"starts": soon(days=-3)},
        {"datasets": {"long": {"columns": ["x", "who", "y"]}}},
        {"datasets": {"events": {"columns": ["x"]}}},
        {"ends": soon(hours=-1)},
        {"datasets": {"long": {"rows": "true) or (x < 1"}}},
        {"datasets": {"long": {"rows": "nothing < 1"}}},
        {"datasets": {"long": {"rows": "x = 'a'"}}},
        {"datasets": {"long": None}},
        {"max_rows": 5, "datasets": {"long": {"columns": "x"}}},
        {"max_rows": 5, "datasets": {"long": {"rows": ["x < 5"]}}},
        {"max_rows": 5, "datasets": "long"},
        {"purpose": "train_ai_system"},
        {},
    ],
)
def test_a_narrowing_only_ever_makes_less(service: Service, narrowing: dict[str, Any]) -> None:
    request = asked(service, max_rows=1000)
    response = step(service, request["id"], "narrow", "otto", narrowing=narrowing)
    assert (response.status_code, response.json()["code"]) == (400, "bad_request"), response.text
    assert looked(service, request["id"], "otto")["scope"] == request["scope"]


def test_an_approval_of_what_it_is_not_any_more_is_refused(service: Service) -> None:
    request = asked(service, max_rows=1000)
    step(service, request["id"], "narrow", "oona", narrowing={"max_rows": 10})
    response = step(service, request["id"], "approve", "otto", shown=request["shown"])
    assert (response.status_code, response.json()["code"]) == (409, "changed")


@pytest.mark.parametrize(("verb", "who", "state"), [("deny", "otto", "denied"), ("withdraw", "ana", "withdrawn")])
def test_what_is_over_is_over(service: Service, verb: str, who: str, state: str) -> None:
    request = asked(service)
    assert step(service, request["id"], verb, who).json()["state"] == state
    for again in ("approve", "narrow", "deny"):
        response = step(service, request["id"], again, "otto", **({"narrowing": {}} if again == "narrow" else {}))
        assert (response.status_code, response.json()["code"]) == (409, "not_open"), again


def test_whoever_would_take_back_what_is_granted_is_told_how_to_end_it(service: Service) -> None:
    request = approved(service, "otto", who="lea")
    for verb, who in (("withdraw", "lea"), ("deny", "otto")):
        assert f"remit grants revoke {request['grant']}" in step(service, request["id"], verb, who).json()["help"]


def test_a_request_that_is_gone_and_one_of_others_get_a_clear_answer(service: Service) -> None:
    gone = service.call("POST", "/v1/requests/q-none:approve", "otto", json={"shown": "sha256:0"})
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    request = asked(service)
    assert service.call("GET", f"/v1/requests/{request['id']}", "bob").status_code == 403
    assert service.call("GET", f"/v1/requests/{request['id']}", "sam").status_code == 200
    assert service.call("GET", f"/v1/requests/{request['id']}", "eve").status_code == 200
    listed = service.call("GET", "/v1/requests", "bob").json()["items"]
    assert listed == []


@pytest.mark.parametrize(
    "path", ["/v1/requests/%00", "/v1/requests?before=%00", "/v1/grants/%00", "/v1/grants/%00/reads"]
)
def test_odd_ids_are_no_fault(service: Service, path: str) -> None:
    assert service.call("GET", path, "ana").status_code in (200, 400, 404)


def test_what_the_approver_was_shown_is_in_the_ledger(service: Service) -> None:
    request = approved(service, "otto")
    (entry,) = service.entries(kind="request.approved", grant=request["grant"])
    assert entry["actor"] == "otto"
    assert entry["details"]["shown"] == request["shown"]
    assert entry["details"]["effect"] == request["effect"]
    assert entry["details"]["scope"]["justification"] == SENTENCE
    (added,) = service.entries(kind="grant.added", grant=request["grant"])
    assert added["details"]["approved_by"] == ["otto"]
