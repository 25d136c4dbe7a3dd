"""The API's description is complete and true, and the service does what it says."""

import ast
import math
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import api_runs
import duckdb
import jsonschema_rs
import pytest
from conftest import NUMBERS, made_database
from service import CATALOG, HTTP, Service, serving
from test_reads import REFUSALS

from audit.canonical import LARGEST_INTEGER
from audit.postgres import Embedded
from gateway.example_answers import ANSWERS
from gateway.examples import BODIES, PROBLEMS
from gateway.openapi import CALLS, HEADER, STATUS
from gateway.problems import TITLES
from policy.decision import Code

GATEWAY = Path(__file__).parents[1] / "gateway"
POINTER_EVENTS = """\
[datasets.pointer_events]
owner = "collection.mci"
store = "files"
location = "data/pointer_events/*.parquet"
subject = "employee_id"
audience = [{ team = "research.ml", purpose = "train_ai_system" }]
[datasets.pointer_events.columns]
employee_id = "user.unique_id"
occurred_at = "user.behavior.pointer"
x = "user.behavior.pointer"
"""
ROWS = "SELECT 'e' || i AS employee_id, TIMESTAMP '2026-11-02' AS occurred_at, i AS x FROM range(1000) numbers (i)"
ROLES = ("ana", "sam", "eve", "bob", None)
"""A researcher, security, an administrator, somebody without any rule, and nobody."""


@pytest.fixture(scope="module")
def asked(server: Embedded, folder: Path) -> Iterator[Service]:
    """A gateway of this module's own that has the dataset of the examples, and a grant for it."""
    with described(server, folder) as service:
        yield service


@pytest.fixture
def own_asked(server: Embedded, folder: Path) -> Iterator[Service]:
    """The same for one test, which may pause it and suspend whom it likes."""
    with described(server, folder) as service:
        yield service


@contextmanager
def described(server: Embedded, folder: Path) -> Iterator[Service]:
    place = Path(tempfile.mkdtemp(dir=folder))
    with made_database(server, f"test_{next(NUMBERS)}") as made, serving(place, made.url()) as service:
        part = place / "data/pointer_events/part.parquet"
        part.parent.mkdir()
        duckdb.sql(f"COPY ({ROWS}) TO '{part}' (FORMAT parquet)")
        part.chmod(0o600)
        (place / "catalog.toml").write_text(CATALOG + POINTER_EVENTS)
        assert service.call("POST", "/v1/policy:reload", "eve").status_code == 200
        assert service.call("POST", "/v1/grants", "eve", json=BODIES["POST /v1/grants"]).status_code == 201
        yield service


@pytest.fixture(scope="module")
def document(asked: Service) -> dict[str, Any]:
    return dict(HTTP.get(f"{asked.url}/openapi.json").json())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, calls in document["paths"].items():
        for method, operation in calls.items():
            yield f"{method.upper()} {path}", operation


def told(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """A validator of one of the document's schemas."""
    whole = {**schema, "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def test_the_table_has_every_call_and_no_other(document: dict[str, Any]) -> None:
    assert {name for name, _ in operations(document)} == set(CALLS)


def test_every_code_that_the_service_can_say_has_a_status_an_example_and_a_call() -> None:
    said = {code.value for code in Code}
    for module in GATEWAY.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Failed" and node.args:
                said |= {each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)}
    assert said - {404} == set(STATUS)
    assert set(PROBLEMS) == {*STATUS, "too_large"}
    assert set(STATUS.values()) | {405, 413} == set(TITLES)


def test_every_code_is_documented_where_it_can_come(document: dict[str, Any]) -> None:
    documented = {
        code
        for _, operation in operations(document)
        for answer in operation["responses"].values()
        for problem in [answer["content"].get("application/problem+json")]
        if problem
        for code in problem["schema"]["properties"]["code"]["enum"]
    }
    assert documented == set(STATUS)


def test_every_header_of_remits_own_is_described(document: dict[str, Any]) -> None:
    named = set(re.findall(r'"(Remit-\w+)"', "".join(path.read_text() for path in GATEWAY.glob("*.py"))))
    described = {
        name
        for _, call in operations(document)
        for one in call["responses"].values()
        for name in one.get("headers", {})
    }
    assert named <= described == set(HEADER)


def numbers(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schemas of all whole numbers within one."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("type") == "integer":
        yield schema
    within = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), schema.get("items")]
    for each in within:
        if isinstance(each, dict):
            yield from numbers(document, each)


def test_no_number_that_is_sent_may_be_larger_than_what_the_ledger_holds(document: dict[str, Any]) -> None:
    sent = [
        (name, number)
        for name, operation in operations(document)
        for schema in [
            *(each["schema"] for each in operation.get("parameters", ())),
            *(each["schema"] for each in operation.get("requestBody", {}).get("content", {}).values()),
        ]
        for number in numbers(document, schema)
    ]
    assert len(sent) > 20
    for name, number in sent:
        assert number.get("maximum", math.inf) <= LARGEST_INTEGER, (name, number)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/alerts/{}",
        "/v1/alerts?before={}",
        "/v1/audit/consistency?from=1&to={}",
        "/v1/audit/entries?after={}",
        "/v1/audit/entries?before={}",
        "/v1/audit/proof/{}",
        "/v1/reports/exposure?dataset=events&from=2026-01-01T00:00:00Z&alert={}",
    ],
)
def test_a_number_that_the_ledger_cannot_hold_is_a_wrong_one_and_no_fault_of_the_ledger(
    asked: Service, path: str
) -> None:
    assert asked.call("GET", path.format(LARGEST_INTEGER), "sam").status_code in (200, 404)
    for number in (LARGEST_INTEGER + 1, 2**62, 2**63, 10**30):
        answer = asked.call("GET", path.format(number), "sam")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    checked = 0
    for name, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        pieces = [*content.values()] + [
            media for one in operation["responses"].values() for media in one["content"].values()
        ]
        for media in pieces:
            examples = [each["value"] for each in media.get("examples", {}).values()]
            examples += [media["example"]] if "example" in media else []
            for example in examples:
                problems = [str(each) for each in told(document, media["schema"]).iter_errors(example)]
                assert not problems, (name, example)
                checked += 1
    assert checked > 100


BINARY = {"application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"}


def test_every_body_and_every_answer_has_an_example_but_those_that_are_binary(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        told = {**operation["responses"], "body": operation.get("requestBody", {"content": {}})}
        for which, each in told.items():
            for media, said in each["content"].items():
                assert media in BINARY or "example" in said or said["examples"], (name, which, media)


def test_the_description_asks_for_no_token_and_names_nothing_of_this_gateway(asked: Service) -> None:
    answer = HTTP.get(f"{asked.url}/openapi.json")
    assert answer.status_code == 200
    assert not {
        name for name in ("events", "long", "nobodys", "key_ms", 'reviews_never"') if f'"{name}"' in answer.text
    }


def test_example_requests_get_what_the_description_says(asked: Service, document: dict[str, Any]) -> None:
    """Each body of the examples is sent by somebody who may; the answer is of the documented success and shape."""
    grant = asked.call("POST", "/v1/grants", "eve", json=BODIES["POST /v1/grants"]).json()["id"]
    pause = asked.call("POST", "/v1/pauses", "olga", json=BODIES["POST /v1/pauses"]).json()["id"]
    lift = f"/v1/pauses/{pause}:lift"
    calls = [
        ("POST /v1/pauses/{id}:lift", lift, "olga"),
        ("POST /v1/pauses/{id}:lift", lift, "oda"),
        ("POST /v1/reads", "/v1/reads", "ana"),
        ("POST /v1/reads:check", "/v1/reads:check", "ana"),
        *(
            (f"POST /v1/grants/{{id}}:{verb}", f"/v1/grants/{grant}:{verb}", "eve")
            for verb in ("suspend", "resume", "revoke")
        ),
    ]
    for name, path, who in calls:
        response = asked.call("POST", path, who, json=BODIES[name])
        assert response.status_code == CALLS[name].status, (name, response.text)
        if name in ANSWERS:
            assert response.json().keys() >= ANSWERS[name].keys() - {"help"}
            assert response.json().get("rows") == ANSWERS[name].get("rows")
        for header in CALLS[name].headers:
            assert header in response.headers, (name, header)


EXACT = {code for code, *_ in REFUSALS} - {"bad_request", "unknown_dataset", "unknown_column"}
"""Those whose advice does not depend on what was asked."""


def test_the_examples_of_refusals_say_what_the_service_says(asked: Service) -> None:
    advice: dict[str, set[tuple[str, bool]]] = {}
    for code, _, _, body, scope in REFUSALS:
        grant = asked.grant(**scope)
        problem = asked.call("POST", "/v1/reads", json={"dataset": "events", "grant": grant} | body).json()
        advice.setdefault(code, set()).add((problem["help"], "excess" in problem))
    for code in EXACT:
        _, help, beside = PROBLEMS[code]
        assert (help, "excess" in beside) in advice[code], code


def test_what_cannot_be_done_at_a_path_is_405_and_says_what_can(asked: Service) -> None:
    for method, path, allowed in (
        ("DELETE", "/v1/grants", "GET, POST"),
        ("GET", "/v1/alerts/7:acknowledge", "POST"),
        ("POST", "/v1/alerts/7", "GET"),
        ("GET", "/v1/reads", "POST"),
    ):
        response = asked.call(method, path, "ana")
        assert (response.status_code, response.headers["Allow"]) == (405, allowed), path


@pytest.mark.parametrize("time", ["0", "0.5", "-1", "1e9", "2026", "2026-11-01T00:00:00", "yesterday"])
def test_a_time_is_written_out_with_its_zone_or_refused(asked: Service, time: str) -> None:
    assert asked.call("GET", "/v1/audit/entries", "sam", params={"to": time}).status_code == 400
    assert asked.call("GET", "/v1/audit/entries", "sam", params={"to": "2026-11-01T00:00:00Z"}).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("who", ROLES)
def test_schemathesis_finds_nothing(asked: Service, who: str | None) -> None:
    assert "No issues found" in api_runs.run(asked, who, 5 if who == "ana" else 2, wide=who == "ana")


def test_a_body_that_is_not_understood_is_refused_and_recorded_but_for_what_it_says(asked: Service) -> None:
    bodies = (b'{"dataset": "secret', b'{"dataset": 5}', b'{"dataset": "events", "secret": 1}', b"[]", b"x" * 70_000)
    for path, kind in (("/v1/reads", "read.refused"), ("/v1/reads:check", "read.checked")):
        for body in bodies:
            headers = {"Content-Type": "application/json"}
            response = asked.call("POST", path, "ana", content=body, headers=headers)
            problem = response.json()
            assert (response.status_code, problem["code"]) == (413 if len(body) > 65_536 else 400, "bad_request")
            (entry,) = asked.entries(read=problem["read"])
            assert (entry["seq"], entry["kind"], entry["actor"]) == (problem["entry"], kind, "ana")
            assert entry["code"] == "bad_request"
            assert "secret" not in str(entry)
            assert entry["details"]["asked_body"].startswith("larger" if len(body) > 65_536 else "sha256:")


def test_a_body_that_is_not_understood_of_somebody_unknown_leaves_no_read_in_the_ledger(asked: Service) -> None:
    last = asked.entries(limit=1)[0]["seq"]
    for headers, status in (({}, 400), ({"Authorization": "Bearer a.b.c"}, 401)):
        assert asked.call("POST", "/v1/reads", None, content=b"{", headers=headers).status_code == status
    news = asked.call("GET", f"/v1/audit/entries?after={last}", "sam").json()["items"]
    assert {entry["kind"] for entry in news} <= {"identity.refused", "audit.read"}


@pytest.mark.slow
def test_schemathesis_finds_nothing_where_it_may_stop_everything(own_asked: Service) -> None:
    assert "No issues found" in api_runs.run(own_asked, "olga", 2, wide=False)


def test_a_reason_of_blanks_is_refused_wherever_one_is_asked_for(asked: Service) -> None:
    reasoned = {name: body for name, body in BODIES.items() if "why" in body or "reason" in body}
    assert len(reasoned) > 10
    for name, body in reasoned.items():
        method, path = name.split(" ")
        key = "why" if "why" in body else "reason"
        for blank in (" ", "\t\n "):
            answer = asked.call(method, re.sub(r"\{id\}", "1", path), "eve", json={**body, key: blank})
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), (name, answer.text)
            assert f"`{key}`: it is blank; say why" in answer.json()["detail"]
