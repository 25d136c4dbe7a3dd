"""The examples of the API's description. Tests ask what they ask and compare what they say."""

from collections.abc import Mapping
from typing import Any

READ = "r-5f0c1f6f2b6d4e0a9c0d8f7e6a5b4c3d"
GRANT = "g-20261101T080000-5c1d0e9f8a7b"
WHY = {"why": "the training run has ended"}
SCOPE = {
    "principal": "ana",
    "purpose": "train_ai_system.computer_use",
    "starts": "2026-11-01T00:00:00Z",
    "ends": "2036-12-01T00:00:00Z",
    "max_rows": 5_000_000,
    "justification": "Pointer paths for the computer-use model, run cua-7b-v3.",
    "datasets": {"pointer_events": {"columns": ["occurred_at", "x"], "rows": "x < 900"}},
}
ASK = {"dataset": "pointer_events", "columns": ["x"], "rows": "x < 500", "limit": 1000}
AGAIN = "try again in a moment; if it goes on, tell on-call: `/readyz` says what is missing"
SIGN_IN = "sign in and send an access token for this service as `Authorization: Bearer …`"

IDS: Mapping[str, str | int] = {"datasets": "pointer_events", "grants": GRANT, "alerts": 7, "pauses": "p-1"}
"""For what stands in a path, by what it is an id of."""

BODIES: Mapping[str, Any] = {
    "POST /v1/reads": ASK,
    "POST /v1/reads:check": ASK,
    "POST /v1/grants": SCOPE,
    **{f"POST /v1/grants/{{id}}:{verb}": WHY for verb in ("revoke", "suspend", "resume")},
    "POST /v1/alerts/{id}:acknowledge": {"why": "asking Max"},
    "POST /v1/pauses": {"kind": "everything", "target": "", "reason": "an incident"},
    "POST /v1/pauses/{id}:lift": {"why": "it is over"},
}

GRANTED = {"id": GRANT, "status": "active", "rows_used": 0, **SCOPE}
ANSWERS: Mapping[str, Any] = {
    "POST /v1/reads:check": {
        "decision": "allow",
        "detail": f"grant {GRANT} permits it",
        "read": READ,
        "entry": 42,
        "grant": GRANT,
        "purpose": "train_ai_system.computer_use",
        "columns": [{"name": "x", "class": "user.behavior.pointer", "treatment": "clear"}],
        "rows": "(x < 900) and (x < 500)",
        "limit": 1000,
        "limited_by": "limit",
        "rules": ["pointer"],
        "lacked": [],
        "help": "",
    },
    "POST /v1/grants": GRANTED,
    "GET /v1/grants": {"items": [GRANTED], "next": None},
    "POST /v1/policy:reload": {"digest": "sha256:" + "0" * 64},
    "GET /healthz": {"status": "ok"},
    "GET /readyz": {"database": True, "ledger": True, "policies": True, "issuer": True},
}

_BEYOND = {"read": READ, "entry": 42}
PROBLEMS: Mapping[str, tuple[Any, ...]] = {
    "bad_request": ("there is no parameter `actr`", "did you mean `actor`?"),
    "too_large": ("the body is larger than 64 KB", "ask for less at once; a filter of that size is not needed"),
    "no_token": ("no token came with the request", SIGN_IN),
    "bad_token": ("the token has expired; get a new one", SIGN_IN),
    "unknown_dataset": ("there is no dataset `pointer_evnts`", "did you mean `pointer_events`?", _BEYOND),
    "not_found": ("there is no grant `g-1`", "`remit grants list` shows which there are"),
    "unknown_column": ("there is no column `z`", "did you mean `x`?", _BEYOND),
    "bad_rows": ("an operator is missing after `x`", "see the row language in the README", _BEYOND),
    "paused": ("reading of everything is paused: an incident", "ask on-call when it will be lifted", _BEYOND),
    "no_grant": (
        "no grant of yours covers dataset `pointer_events`",
        "declare a scope and have it approved",
        {**_BEYOND, "excess": {"declared": "nothing", "asked": "dataset pointer_events"}},
    ),
    "not_started": ("the grant is not in force yet", "wait until it starts", _BEYOND),
    "expired": ("the grant has ended", "declare a new scope", _BEYOND),
    "revoked": ("the grant was revoked", "declare a new scope", _BEYOND),
    "suspended": ("the grant is suspended", "ask who suspended it", _BEYOND),
    "wrong_purpose": (
        "the purpose is not within the grant's",
        "ask for the grant's purpose, or declare another scope",
        {**_BEYOND, "excess": {"declared": "train_ai_system.computer_use", "asked": "train_ai_system"}},
    ),
    "beyond_audience": ("the owner did not declare this team and purpose", "ask the dataset's owner", _BEYOND),
    "beyond_columns": (
        "columns outside the scope: screen",
        "leave these columns out, or declare a scope that names them",
        {**_BEYOND, "excess": {"declared": "x", "asked": "screen"}},
    ),
    "unclassified": ("a column has no data class", "ask the dataset's owner to classify it", _BEYOND),
    "no_rule": ("no rule allows you to read `remit.audit`", "ask security for a rule that allows it", _BEYOND),
    "denied_by_rule": (
        "a rule denies column `review`",
        "leave the column out",
        {**_BEYOND, "rules": ["reviews_never"]},
    ),
    "beyond_rows": (
        "the scope and what is asked exclude each other",
        "ask for rows of the scope",
        {**_BEYOND, "excess": {"declared": "x < 900", "asked": "x > 900"}},
    ),
    "beyond_budget": ("the scope's rows are used up", "declare a scope with more rows", _BEYOND),
    "not_recorded": ("the audit ledger cannot be written, so nothing is read", AGAIN),
    "store_failed": ("the store could not be read", "try again; if it goes on, tell the dataset's owner", _BEYOND),
    "fault": ("something broke; nothing was read", "tell whoever runs this gateway"),
}
"""For each code what is said and what to do next, and what comes beside it; all of the code's own words."""
