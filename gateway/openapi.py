"""The API's description, complete: FastAPI tells which calls there are, these tables what each of them answers.

It is made of the code alone and the same at every gateway: no dataset, person or rule of any company is in it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from policy.decision import Code

from .asked_shapes import AskShape, GrantDetail, GrantReads, GrantReview, RequestPage, RequestShape
from .catalogue import DatasetList, DatasetView
from .encodings import ENCODERS
from .example_answers import ALSO, ANSWERS, ROWS
from .examples import BODIES, IDS, PROBLEMS
from .intake import LARGEST_BODY
from .operations import Accepted, Health, Readiness, Reloaded
from .problems import HEADERS, STATUS, TITLES, Problem
from .proofs import Consistency, Keys
from .reads import CheckAnswer
from .reports import Exposure
from .shapes import AlertDetail, AlertPage, EntryPage, GrantPage, GrantShape, PausePage, PauseShape, ScopeShape
from .subjects import Erased
from .verdicts import Told
from .whoami import AN_HOUR, ResourceMetadata, WhoamiView

Json = dict[str, Any]

PROBLEM, JSON, TEXT = "application/problem+json", "application/json", "text/plain; version=0.0.4; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"
ANYBODY = ("bad_request", "fault")
KNOWN = ("no_token", "bad_token", "not_recorded")
RULED = ("no_rule", "denied_by_rule", "suspended")
DECIDED = tuple(code.value for code in Code)
STORED = ("store_failed",)
ASKED = ("unknown_dataset", "bad_rows", "beyond_audience", "unclassified", *RULED)
JUDGED = ("not_approver", "not_found", "not_open")
PROVEN = (*RULED, "not_found")


@dataclass(frozen=True, slots=True)
class Call:
    """What one call answers beside the problems of every call: codes, the shape of its success, headers with it."""

    codes: tuple[str, ...] = ()
    answer: type[BaseModel] | None = None
    status: int = 200
    media: tuple[str, ...] = (JSON,)
    headers: tuple[str, ...] = ()
    also: Mapping[int, type[BaseModel]] | None = None
    """Answers of other statuses that are no problems."""
    is_open: bool = False
    """Whether it asks for no token."""


CALLS: Mapping[str, Call] = {
    "POST /v1/reads": Call(
        (*DECIDED, *STORED),
        media=tuple(ENCODERS),
        headers=(
            "Remit-Read",
            "Remit-Grant",
            "Remit-Entry",
            "Remit-Rows",
            "Remit-Limit",
            "Remit-Limit-Subjects",
            "Cache-Control",
        ),
    ),
    "POST /v1/reads:check": Call(answer=CheckAnswer),
    "GET /v1/datasets": Call(answer=DatasetList),
    "GET /v1/datasets/{name}": Call(("unknown_dataset",), DatasetView),
    "GET /v1/grants": Call(RULED, GrantPage),
    "POST /v1/grants": Call(RULED, GrantShape, 201),
    "GET /v1/grants:review": Call(answer=GrantReview),
    "GET /v1/grants/{id}": Call((*RULED, "not_found"), GrantDetail),
    "GET /v1/grants/{id}/reads": Call((*RULED, "not_found"), GrantReads),
    "POST /v1/grants/{id}:revoke": Call((*RULED, "not_found"), GrantShape),
    "POST /v1/grants/{id}:suspend": Call((*RULED, "not_found"), GrantShape),
    "POST /v1/grants/{id}:resume": Call((*RULED, "not_found"), GrantShape),
    "GET /v1/requests": Call(RULED, RequestPage),
    "POST /v1/requests": Call((*ASKED, *STORED, "too_many", "not_found"), RequestShape, 201),
    "GET /v1/requests/{id}": Call((*RULED, "not_found"), RequestShape),
    "POST /v1/requests/{id}:approve": Call((*ASKED, *JUDGED, "changed"), RequestShape),
    "POST /v1/requests/{id}:narrow": Call((*ASKED, *JUDGED, *STORED, "changed"), RequestShape),
    "POST /v1/requests/{id}:deny": Call(JUDGED, RequestShape),
    "POST /v1/requests/{id}:withdraw": Call(JUDGED, RequestShape),
    "POST /v1/requests/{id}:review": Call(JUDGED, RequestShape),
    "GET /v1/audit/entries": Call(RULED, EntryPage),
    "GET /v1/audit/checkpoint": Call(PROVEN, media=(PLAIN,)),
    "GET /v1/audit/proof/{seq}": Call(PROVEN, media=(PLAIN,)),
    "GET /v1/audit/consistency": Call(PROVEN, Consistency),
    "GET /v1/audit/keys": Call(PROVEN, Keys),
    "POST /v1/audit/verdicts": Call(RULED, Told, 201),
    "GET /v1/reports/exposure": Call((*RULED, "not_found", "unknown_dataset"), Exposure),
    "GET /v1/alerts": Call(RULED, AlertPage),
    "GET /v1/alerts/{id}": Call((*RULED, "not_found"), AlertDetail),
    "POST /v1/alerts/{id}:acknowledge": Call((*RULED, "not_found"), AlertDetail),
    "POST /v1/alerts/{id}:contain": Call((*RULED, "not_found"), AlertDetail),
    "POST /v1/alerts/{id}:resolve": Call((*RULED, "not_found", "hold_check"), AlertDetail),
    "POST /v1/alerts/{id}:accept": Call((*RULED, "not_found", "changed", "second_person"), Accepted),
    "GET /v1/pauses": Call(RULED, PausePage),
    "POST /v1/pauses": Call(RULED, PauseShape, 201),
    "POST /v1/pauses/{id}:lift": Call((*RULED, "not_found", "hold_check", "second_person"), PauseShape),
    "POST /v1/subjects:erase": Call((*RULED, "not_found"), Erased),
    "POST /v1/policy:reload": Call((*RULED, "hold_check"), Reloaded),
    "POST /v1/policy:accept": Call((*RULED, "second_person"), Accepted),
    "GET /v1/whoami": Call(answer=WhoamiView, headers=("Cache-Control",)),
    "GET /.well-known/oauth-protected-resource": Call(
        answer=ResourceMetadata, headers=("Cache-Control",), is_open=True
    ),
    "GET /healthz": Call(answer=Health, is_open=True),
    "GET /readyz": Call(answer=Readiness, also={503: Readiness}, is_open=True),
    "GET /metrics": Call(media=(TEXT,), is_open=True),
}
"""Every call; a test holds that none is missing, and that nothing else is ever answered."""

HEADER: Mapping[str, tuple[str, Json]] = {
    "Remit-Read": ("this read's id; it stands in its entries", {"type": "string", "pattern": "^r-[0-9a-f]{32}$"}),
    "Remit-Grant": ("the grant that permits it", {"type": "string"}),
    "Remit-Entry": ("the number of the entry that was written before the first row", {"type": "integer"}),
    "Remit-Rows": ("the filter that was applied, scope and ask together, percent-encoded", {"type": "string"}),
    "Remit-Limit-Subjects": (
        "how many people more may have their rows in the grant's reads; it ends before the first row of one more",
        {"type": "integer"},
    ),
    "Remit-Limit": ("rows after which a limit or a budget cuts; only where one may", {"type": "integer"}),
    "Cache-Control": ("what may be kept on the way: rows never", {"enum": ["no-store", AN_HOUR]}),
    "WWW-Authenticate": ("how to say who you are", {"const": "Bearer"}),
    "Retry-After": ("seconds after which to try again", {"type": "integer"}),
}
"""Every header of Remit's own, what it says, and its schema."""
SOMETIMES = ("Remit-Limit", "Remit-Limit-Subjects")
BODY: Mapping[str, type[BaseModel]] = {"POST /v1/grants": ScopeShape, "POST /v1/requests": AskShape}
"""Bodies that a route takes as plain JSON and understands by itself."""
TOO_LARGE = f"a body of more than {LARGEST_BODY // 1024} KB"


def describe(app: FastAPI) -> None:
    """Complete the description that `app` gives; after all its routes are there, and before anybody asks."""
    _complete(app.openapi())  # which FastAPI makes once, and keeps


def methods_at(document: Json, path: str) -> list[str]:
    """What can be done at a path, for the `Allow` header of a 405; of several templates the longest is meant."""
    for template, calls in sorted(document["paths"].items(), key=lambda each: -len(each[0])):
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path):
            return sorted(method.upper() for method in calls)
    return ["GET"]


def _complete(document: Json) -> None:
    schemas = document["components"]["schemas"] = _schemas(document)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, calls in document["paths"].items():
        for method, operation in calls.items():
            name = f"{method.upper()} {path}"
            call = CALLS.get(name, Call(is_open="security" not in operation))
            operation["responses"] = dict(_responses(name, call))
            operation["operationId"] = re.sub(r"\W+", "_", name).lower().strip("_")
            _examples_in(name, operation)
            if name in BODY:
                operation["requestBody"]["content"][JSON]["schema"] = _ref(BODY[name])


def _schemas(document: Json) -> Json:
    told = {model for call in CALLS.values() for model in (call.answer, *(call.also or {}).values()) if model}
    answers = _defined(sorted({*told, Problem}, key=lambda model: model.__name__), "serialization")
    bodies = _defined(tuple(BODY.values()), "validation")
    own = document.get("components", {}).get("schemas", {})
    made = {**own, **bodies, **answers}
    made["Problem"]["properties"]["code"]["enum"] = sorted(STATUS)
    made["ScopeShape"]["oneOf"] = [
        {"required": [one], "properties": {one: {"type": "string"}, other: {"type": "null"}}}
        for one, other in (("principal", "team"), ("team", "principal"))
    ]
    return made


def _defined(models: Sequence[type[BaseModel]], mode: JsonSchemaMode) -> Json:
    _, made = models_json_schema([(model, mode) for model in models], ref_template="#/components/schemas/{model}")
    return dict(made["$defs"])


def _responses(name: str, call: Call) -> Iterator[tuple[str, Json]]:
    yield str(call.status), _success(name, call)
    codes = (*ANYBODY, *(() if call.is_open else KNOWN), *call.codes)
    for status in sorted({STATUS[code] for code in codes} | {413}):
        fitting = sorted({code for code in codes if STATUS[code] == status}) if status != 413 else ["bad_request"]
        yield str(status), _problem(status, fitting)
    for status, model in (call.also or {}).items():
        yield (
            str(status),
            {"description": "what is missing", "content": {JSON: {"schema": _ref(model), "example": ALSO[name]}}},
        )


def _success(name: str, call: Call) -> Json:
    schema = _ref(call.answer) if call.answer else {"type": "string", "format": "binary"}
    examples = {media: ANSWERS.get(name, ROWS.get(media.partition(";")[0])) for media in call.media}
    content = {media: {"schema": schema} | ({"example": it} if it else {}) for media, it in examples.items()}
    description = "rows, as `Accept` asks" if "Remit-Rows" in call.headers else "done"
    return {"description": description, "content": content} | _headers(call.headers)


def _problem(status: int, codes: Sequence[str]) -> Json:
    narrowed = {"code": {"enum": list(codes)}, "status": {"const": status}}
    examples = {code: {"value": _example(code, status)} for code in codes}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}], "properties": narrowed}
    made: Json = {
        "description": TOO_LARGE if status == 413 else TITLES[status],
        "content": {PROBLEM: {"schema": schema, "examples": examples}},
    }
    return made | _headers(tuple(HEADERS.get(status, {})))


def _example(code: str, status: int) -> Json:
    detail, help, *more = PROBLEMS[code if status != 413 else "too_large"]
    told: Json = dict(more[0]) if more else {}
    title = TITLES[status]
    core = {"type": f"urn:remit:{code}", "title": title, "status": status, "detail": detail, "code": code}
    return {**core, **told, "rules": told.get("rules", []), "help": help}


def _headers(names: Sequence[str]) -> Json:
    told = {
        name: {"description": HEADER[name][0], "required": name not in SOMETIMES, "schema": HEADER[name][1]}
        for name in names
    }
    return {"headers": told} if told else {}


def _examples_in(name: str, operation: Json) -> None:
    if name in BODIES:
        operation["requestBody"]["content"][JSON]["example"] = BODIES[name]
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            parameter["example"] = IDS[name.split("/")[2]]


def _ref(model: type[BaseModel]) -> Json:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
