"""A governed read through HTTP: a real service, real tokens, a real ledger."""

import time
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from service import NOW, STAFF, Service, scope_of


def entry_of(service: Service, response: Any, kind: str) -> dict[str, Any]:
    """The one entry of `kind` that the answer's read left."""
    read = response.headers.get("Remit-Read") or response.json()["read"]
    (entry,) = [each for each in service.entries(read=read) if each["kind"] == kind]
    return entry


def test_a_read_within_scope_gets_its_rows_and_leaves_an_entry_before_and_after(service: Service) -> None:
    grant = service.grant(rows="x < 500")
    response = service.read(columns=["x", "at", "who"], rows="x >= 490", grant=grant)
    table = pa.ipc.open_stream(response.content).read_all()
    assert table.column_names == ["x", "at", "who"]
    assert sorted(table["x"].to_pylist()) == list(range(490, 500))
    assert response.headers["Remit-Grant"] == grant
    assert response.headers["Remit-Rows"] == "(x < 500) and (x >= 490)"
    assert "Remit-Limit" not in response.headers
    before = entry_of(service, response, "read.authorized")
    after = entry_of(service, response, "read.completed")
    assert str(before["seq"]) == response.headers["Remit-Entry"]
    assert (before["actor"], before["dataset"], before["grant"]) == ("ana", "events", grant)
    assert before["details"]["rules"] == ["pointer", "who"]
    assert after["seq"] > before["seq"]
    assert (after["details"]["rows"], after["details"]["ended_by"], after["details"]["subjects"]) == (10, "end", 3)


def test_columns_left_out_are_those_of_the_scope_in_its_order(service: Service) -> None:
    grant = service.grant(columns=["x", "at"])
    assert service.rows(grant=grant).column_names == ["x", "at"]


def test_each_treatment_shows_as_much_as_its_rule_says(service: Service) -> None:
    grant = service.grant(columns=["who", "x", "key_ms"])
    table = service.rows(grant=grant)
    assert len(set(table["who"].to_pylist())) == 3
    assert all(len(name) == 26 and name not in {"e0", "e1", "e2"} for name in table["who"].to_pylist())
    assert sorted(table["x"].to_pylist()) == list(range(1000))
    assert set(table["key_ms"].to_pylist()) == {i * 7 // 25 * 25 for i in range(1000)}


def test_pseudonyms_join_within_a_grant_and_never_across(service: Service) -> None:
    one, other = service.grant(columns=["who", "x"]), service.grant(columns=["who", "x"])
    first, again, across = (set(service.rows(grant=grant)["who"].to_pylist()) for grant in (one, one, other))
    assert first == again
    assert not first & across


REFUSALS = [
    # code, status, excess, what is asked, and the scope it is asked under
    ("bad_request", 400, None, {"purpose": "world_domination"}, {}),
    ("bad_request", 400, None, {"columns": ["x", "x"]}, {}),
    ("bad_request", 400, None, {"columns": []}, {}),
    ("unknown_dataset", 404, None, {"dataset": "evnts"}, {}),
    ("unknown_column", 422, None, {"columns": ["y"]}, {}),
    ("unknown_column", 422, None, {"rows": "y = 1"}, {}),
    ("bad_rows", 422, None, {"rows": "x = 1; drop table events"}, {}),
    ("bad_rows", 422, None, {"rows": "x in ()"}, {}),
    ("bad_rows", 422, None, {"rows": "x = 'a text'"}, {}),
    ("no_grant", 403, "outside", {"grant": "g-of-nobody"}, {}),
    ("no_grant", 403, "outside", {}, {"principal": "max"}),
    ("not_started", 403, "outside", {}, {"starts": (NOW + timedelta(hours=1)).isoformat()}),
    ("expired", 403, "outside", {}, {"ends": (NOW - timedelta(hours=1)).isoformat()}),
    ("wrong_purpose", 403, "beyond", {"purpose": "train_ai_system"}, {}),
    ("wrong_purpose", 403, "beyond", {"purpose": "marketing"}, {}),
    ("beyond_audience", 403, "beyond", {"dataset": "nobodys"}, {"dataset": "nobodys", "columns": ["x"]}),
    ("beyond_columns", 403, "beyond", {"columns": ["x", "at"]}, {"columns": ["x"]}),
    ("beyond_columns", 403, "beyond", {"columns": ["x", "forgotten"]}, {"columns": ["x"]}),
    ("beyond_columns", 403, "beyond", {"columns": ["x"], "rows": "who = 'e1'"}, {}),
    ("beyond_columns", 403, "beyond", {"columns": ["x"], "rows": "at is null"}, {"columns": ["x"]}),
    ("unclassified", 403, None, {}, {"columns": ["x", "forgotten"]}),
    ("no_rule", 403, "outside", {}, {"columns": ["x", "screen"]}),
    ("denied_by_rule", 403, "beyond", {}, {"columns": ["x", "review"]}),
    ("beyond_rows", 403, "beyond", {"rows": "x > 900"}, {"rows": "x < 500"}),
]


@pytest.mark.parametrize(("code", "status", "excess", "asked", "scope"), REFUSALS)
def test_every_code_of_the_decision_table_is_answered_recorded_and_explained(
    service: Service, code: str, status: int, excess: str | None, asked: dict[str, Any], scope: dict[str, Any]
) -> None:
    grant = service.grant(**scope)
    body = {"dataset": "events", "grant": grant} | asked
    response = service.call("POST", "/v1/reads", "ana", json=body)
    problem = response.json()
    assert (problem["code"], response.status_code) == (code, status), problem
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["detail"]
    assert problem["help"]
    entry = entry_of(service, response, "read.refused")
    assert entry["seq"] == problem["entry"]
    assert (entry["code"], entry.get("excess")) == (code, excess)
    checked = service.call("POST", "/v1/reads:check", "ana", json=body).json()
    assert (checked["decision"], checked["code"]) == ("refuse", code)


def test_a_revoked_and_a_suspended_grant_refuse_and_a_resumed_one_permits(service: Service) -> None:
    grant = service.grant(columns=["x"])
    for verb, code in (("suspend", "suspended"), ("resume", None), ("revoke", "revoked"), ("resume", "revoked")):
        service.call("POST", f"/v1/grants/{grant}:{verb}", "eve", json={"why": "a test"})
        response = service.read(grant=grant)
        assert (response.json()["code"] if response.status_code != 200 else None) == code
    kinds = [entry["kind"] for entry in service.entries(grant=grant, kind="grant")]
    assert kinds == ["grant.revoked", "grant.resumed", "grant.suspended", "grant.added"]


def test_a_pause_stands_above_every_grant_until_two_people_lift_it(own_service: Service) -> None:
    grant = own_service.grant(columns=["x"])
    for kind, target in (
        ("everything", ""),
        ("dataset", "events"),
        ("team", "research"),
        ("purpose", "train_ai_system.computer_use"),
    ):
        body = {"kind": kind, "target": target, "reason": "an incident"}
        pause = own_service.call("POST", "/v1/pauses", "olga", json=body).json()
        response = own_service.read(grant=grant)
        assert (response.status_code, response.json()["code"]) == (423, "paused")
        assert "an incident" in response.json()["detail"]
        for who in ("olga", "oda"):
            own_service.call("POST", f"/v1/pauses/{pause['id']}:lift", who, json={"why": "over"})
        assert own_service.read(grant=grant).status_code == 200
    body = {"kind": "dataset", "target": "long", "reason": "another one"}
    own_service.call("POST", "/v1/pauses", "olga", json=body)
    assert own_service.read(grant=grant).status_code == 200
    own_service.stop()
    own_service.start()
    assert own_service.read("long").json()["code"] == "paused"


def test_a_budget_is_counted_over_reads_the_last_one_is_cut_and_then_it_is_used_up(service: Service) -> None:
    grant = service.grant(columns=["x"], max_rows=1500)
    first = service.read(grant=grant)
    assert pa.ipc.open_stream(first.content).read_all().num_rows == 1000
    last = service.read(grant=grant)
    assert last.headers["Remit-Limit"] == "500"
    assert pa.ipc.open_stream(last.content).read_all().num_rows == 500
    ends = [entry_of(service, each, "read.completed")["details"] for each in (first, last)]
    assert [(end["rows"], end["ended_by"]) for end in ends] == [(1000, "end"), (500, "budget")]
    assert service.read(grant=grant).json()["code"] == "beyond_budget"
    (mine,) = [each for each in service.call("GET", "/v1/grants").json()["items"] if each["id"] == grant]
    assert mine["rows_used"] == 1500


def test_of_several_grants_the_first_that_permits_wins_and_they_are_never_united(service: Service) -> None:
    principal = "nia"
    narrow = service.grant(principal=principal, dataset="long", columns=["x"])
    time.sleep(1.1)  # ids sort by the second they were made in
    wide = service.grant(principal=principal, dataset="long", columns=["who"])
    for columns, grant in (["x"], narrow), (["who"], wide):
        read = service.read("long", who=principal, columns=columns, limit=1)
        assert read.headers["Remit-Grant"] == grant
    refused = service.read("long", who=principal, columns=["x", "who"]).json()
    assert refused["code"] == "beyond_columns"


def test_a_grant_of_a_team_is_for_whoever_is_in_it_now(service: Service) -> None:
    grant = service.grant(team="research", columns=["x"])
    assert service.rows(who="max", grant=grant).num_rows == 1000
    assert service.read(who="bob", grant=grant).json()["code"] == "no_grant"


def test_a_condition_that_cannot_be_told_helps_nobody_and_is_named(service: Service) -> None:
    grant = service.grant(principal="una", columns=["x"])
    problem = service.read(who="una", grant=grant).json()
    assert problem["code"] == "no_rule"
    assert "principal.privacy_training" in problem["detail"]


def test_a_check_says_what_a_read_would_get_reads_nothing_and_is_recorded(service: Service) -> None:
    grant = service.grant(columns=["who", "x", "key_ms"], rows="x < 10", max_rows=100)
    answer = service.call("POST", "/v1/reads:check", json={"dataset": "events", "grant": grant, "rows": "x > 5"}).json()
    assert answer["decision"] == "allow"
    assert {each["name"]: each["treatment"] for each in answer["columns"]} == {
        "who": "pseudonym",
        "x": "clear",
        "key_ms": "coarse",
    }
    assert answer["rows"] == "(x < 10) and (x > 5)"
    assert (answer["limit"], answer["limited_by"]) == (100, "budget")
    kinds = [entry["kind"] for entry in service.entries(read=answer["read"])]
    assert kinds == ["read.checked"]


def test_literals_that_name_a_person_are_hashed_in_the_ledger_and_filters_not_understood_too(service: Service) -> None:
    grant = service.grant(columns=["x"], rows="who = 'e1'")
    assert service.rows(grant=grant).num_rows == 333
    (entry,) = service.entries(grant=grant, kind="read.authorized")
    assert "'e1'" not in str(entry["details"]["rows"])
    assert "hmac:" in entry["details"]["rows"]
    refused = service.read(grant=grant, rows="gossip('about somebody')").json()
    (entry,) = service.entries(read=refused["read"])
    assert "somebody" not in str(entry)
    assert entry["details"]["asked_rows"].startswith("sha256:")


def test_a_grant_that_is_added_names_nobody_in_the_ledger_and_the_administrator_sees_it_whole(service: Service) -> None:
    rows = "who in ('e1', 'somebody') and x < 417"
    grant = service.grant(columns=["x"], rows=rows)
    (entry,) = service.entries(grant=grant, kind="grant.added")
    recorded = entry["details"]["scope"]["datasets"]["events"]["rows"]
    assert "somebody" not in str(entry)
    assert recorded.count("hmac:") == 2
    assert "417" in recorded
    assert service.call("GET", f"/v1/grants/{grant}", "eve").json()["datasets"]["events"]["rows"] == rows


def test_an_excess_on_high_data_raises_a_sev3_that_on_call_sees_and_acknowledges(service: Service) -> None:
    grant = service.grant(principal="max", columns=["x"])
    asked = service.read(who="max", grant=grant, columns=["key_ms"]).json()
    assert asked["code"] == "beyond_columns"
    until = time.monotonic() + 10
    while not (mine := [each for each in service.alerts() if each["grant"] == grant]):
        assert time.monotonic() < until
    (alert,) = mine
    assert (alert["severity"], alert["state"], alert["code"]) == (3, "open", "beyond_columns")
    assert asked["entry"] in alert["entries"]
    assert (alert["evidence"]["declared"], alert["evidence"]["asked"]) == ("x", "key_ms")
    path = f"/v1/alerts/{alert['id']}:acknowledge"
    assert service.call("POST", path, "ana", json={"why": "it was me"}).status_code == 403
    acknowledged = service.call("POST", path, "olga", json={"why": "asking Max"}).json()
    assert (acknowledged["state"], acknowledged["acknowledged"]["by"]) == ("acknowledged", "olga")
    assert service.entries(kind="alert.acknowledged")[0]["actor"] == "olga"


def test_nobody_sees_or_changes_remits_own_things_without_a_rule_and_trying_is_recorded(service: Service) -> None:
    for method, path, body in (
        ("GET", "/v1/audit/entries", None),
        ("GET", "/v1/alerts", None),
        ("GET", "/v1/grants?everybody=true", None),
        ("POST", "/v1/grants", scope_of()),
        ("POST", "/v1/grants/g-1:revoke", {"why": "no reason"}),
        ("POST", "/v1/policy:reload", None),
        ("POST", "/v1/pauses", {"kind": "everything", "target": "", "reason": "no reason"}),
    ):
        response = service.call(method, path, "bob", json=body)
        problem = response.json()
        assert (response.status_code, problem["code"]) == (403, "no_rule"), path
        assert problem["entry"]
    kinds = {entry["kind"] for entry in service.entries(actor="bob")}
    assert {"read.refused", "access.refused"} <= kinds


def test_every_look_at_the_trail_is_in_the_trail(service: Service) -> None:
    service.entries(actor="nobody at all")
    look, *_ = service.entries(actor="sam", kind="audit.read")[1:]
    assert look["details"]["asked"] == {"searched": {"actor": "nobody at all"}}
    assert (look["dataset"], look["purpose"]) == ("remit.audit", "oversight")


def test_following_the_trail_does_not_feed_on_itself(service: Service) -> None:
    last = service.entries()[0]["seq"]
    for _ in range(50):
        # Alerting may still write of what other tests did; following itself must come to rest.
        page = service.call("GET", f"/v1/audit/entries?after={last}", "sam").json()
        if not page["items"]:
            break
        last = int(page["next"])
        assert not [each for each in page["items"] if "followed_after" in str(each["details"])]
    assert page["items"] == []


def test_the_catalogue_tells_everybody_who_is_known_what_they_would_see_and_why(service: Service) -> None:
    found = {each["name"]: each for each in service.call("GET", "/v1/datasets", "ana").json()["items"]}
    assert set(found) == {"events", "long", "nobodys"}
    columns = {each["name"]: each for each in found["events"]["columns"]}
    assert "forgotten" not in columns
    assert columns["x"]["treatment"] == "clear"
    assert columns["who"]["treatment"] == "pseudonym"
    assert columns["review"] | {"type": ""} == {
        "name": "review",
        "class": "user.workplace.performance",
        "type": "",
        "sensitivity": "critical",
        "treatment": "hidden",
        "why": "denied by reviews_never",
        "purpose": "train_ai_system",
        "rules": ["reviews_never"],
        "lacked": [],
    }
    assert columns["screen"]["why"] == "no rule of your teams speaks of user.content.screen"
    outsiders = service.call("GET", "/v1/datasets/events", "bob").json()
    assert {each["treatment"] for each in outsiders["columns"]} == {"hidden"}
    assert {each["why"] for each in outsiders["columns"]} == {
        "the owner, collection.mci, did not declare any team of yours as its audience"
    }


def test_the_catalogue_says_what_a_condition_asked_for_and_did_not_find(service: Service) -> None:
    columns = {each["name"]: each for each in service.call("GET", "/v1/datasets/events", "una").json()["columns"]}
    would = 'pointer would, if trained held: principal.privacy_training == "current"'
    lacked = "pointer lacks principal.privacy_training"
    assert columns["x"]["why"] == f"no rule allows it; {would}; {lacked}"
    assert (columns["x"]["rules"], columns["x"]["lacked"]) == (["pointer"], [lacked])


def test_a_dataset_that_is_nearly_named_is_suggested(service: Service) -> None:
    assert service.call("GET", "/v1/datasets/evnts", "ana").json()["help"] == "did you mean `events`?"
    assert "remit datasets" in service.call("GET", "/v1/datasets/nothing_like_it", "ana").json()["help"]


def test_without_a_token_or_with_a_bad_one_nobody_gets_anything_but_health(service: Service) -> None:
    assert service.call("GET", "/v1/datasets", None).json()["code"] == "no_token"
    response = service.call("GET", "/v1/datasets", None, headers={"Authorization": "Bearer abc.def.ghi"})
    assert (response.status_code, response.json()["code"]) == (401, "bad_token")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert service.call("GET", "/healthz", None).status_code == 200
    assert service.call("GET", "/readyz", None).json() == dict.fromkeys(
        ("database", "ledger", "policies", "issuer", "checkpoints"), True
    )
    metrics = service.call("GET", "/metrics", None).text
    assert "remit_reads_total" in metrics
    assert not [name for name in (*STAFF, "events") if f'"{name}"' in metrics]
    refused = service.entries(kind="identity.refused")
    assert refused[0]["code"] == "bad_token"


def test_undeclared_columns_and_files_that_others_can_read_are_told_at_the_start(own_service: Service) -> None:
    (undeclared,) = [each for each in own_service.entries(kind="store.undeclared") if each["dataset"] == "events"]
    assert undeclared["details"]["columns"] == ["forgotten"]
    assert not own_service.entries(kind="store.exposed")
    own_service.folder.parent.chmod(0o711)
    own_service.folder.chmod(0o755)
    for place in ("data", "data/events"):
        (own_service.folder / place).chmod(0o755)
    (own_service.folder / "data/events/part.parquet").chmod(0o644)
    own_service.stop()
    own_service.start()
    (exposed, _) = own_service.entries(kind="store.exposed")
    assert exposed["dataset"] in {"events", "nobodys"}
    until = time.monotonic() + 10
    while not (alerts := [each for each in own_service.alerts() if each["code"] == "store_exposed"]):
        assert time.monotonic() < until
    assert {alert["severity"] for alert in alerts} == {2}
