"""The examples of the API's description: what is asked, and refusals. Tests ask it and compare what is said."""

from collections.abc import Mapping
from typing import Any

READ = "r-5f0c1f6f2b6d4e0a9c0d8f7e6a5b4c3d"
GRANT = "g-20261101080000-5c1d0e9f8a"
WHY = {"why": "the training run has ended"}
REQUEST = "q-20261101070000-0b9d3c2e7f"
SHOWN = "sha256:" + "1" * 64
SCOPE = {
    "principal": "ana",
    "purpose": "train_ai_system.computer_use",
    "starts": "2026-11-01T00:00:00Z",
    "ends": "2036-12-01T00:00:00Z",
    "max_rows": 5_000_000,
    "max_subjects": 2_000,
    "justification": "Pointer paths for the computer-use model, run cua-7b-v3.",
    "datasets": {"pointer_events": {"columns": ["occurred_at", "x"], "rows": "x < 900"}},
}
ASK = {"dataset": "pointer_events", "columns": ["x"], "rows": "x < 500", "limit": 1000}
AGAIN = "try again in a moment; if it goes on, tell on-call: `/readyz` says what is missing"
SIGN_IN = "sign in and send an access token for this service as `Authorization: Bearer …`"

IDS: Mapping[str, str | int] = {
    "datasets": "pointer_events",
    "grants": GRANT,
    "requests": REQUEST,
    "alerts": 7,
    "pauses": "p-1",
    "audit": 1,
}
"""For what stands in a path, by what it is an id of."""

BODIES: Mapping[str, Any] = {
    "POST /v1/reads": ASK,
    "POST /v1/reads:check": ASK,
    "POST /v1/grants": SCOPE,
    **{f"POST /v1/grants/{{id}}:{verb}": WHY for verb in ("revoke", "suspend", "resume")},
    "POST /v1/requests": SCOPE,
    "POST /v1/requests/{id}:approve": {"shown": SHOWN, "comment": "as agreed with the works council"},
    "POST /v1/requests/{id}:narrow": {
        "shown": SHOWN,
        "why": "positions are not needed",
        "narrowing": {"max_rows": 1_000_000, "datasets": {"pointer_events": {"columns": ["occurred_at"]}}},
    },
    **{f"POST /v1/requests/{{id}}:{verb}": WHY for verb in ("deny", "withdraw", "review")},
    "POST /v1/audit/verdicts": {
        "ledger": "remit/5f0c1f6f2b6d4e0a",
        "size": 41,
        "root": "1" * 64,
        "integrity": False,
        "completeness": True,
        "problems": 1,
        "first": [{"seq": 7, "what": "the hash is not that of the entry"}],
    },
    "POST /v1/alerts/{id}:acknowledge": {"why": "asking Max"},
    "POST /v1/alerts/{id}:contain": {"what": "dataset", "target": "pointer_events", "why": "asking Max"},
    "POST /v1/alerts/{id}:resolve": {"why": "Max had the wrong notebook open; nothing was read"},
    "POST /v1/alerts/{id}:accept": {"digest": "sha256:" + "0" * 64, "why": "Max was granted just this"},
    "POST /v1/policy:accept": {"digest": "sha256:" + "0" * 64, "why": "the owner declared this audience"},
    "POST /v1/pauses": {"kind": "everything", "target": "", "reason": "an incident"},
    "POST /v1/pauses/{id}:lift": {"why": "it is over"},
    "POST /v1/subjects:erase": {"data_class": "user.unique_id", "name": "e-17", "why": "asked for, case 2026-44"},
}

ASKED_FOR = {
    "id": REQUEST,
    "state": "open",
    "requester": "ana",
    "made_at": "2026-11-01T07:00:00Z",
    "asked": SCOPE,
    "scope": SCOPE,
    "effect": {
        "datasets": {
            "pointer_events": {
                "columns": [
                    {
                        "name": "occurred_at",
                        "class": "user.behavior.pointer",
                        "treatment": "clear",
                        "sensitivity": "low",
                    },
                    {"name": "x", "class": "user.behavior.pointer", "treatment": "clear", "sensitivity": "low"},
                ],
                "rules": ["pointer"],
            }
        },
        "sensitivity": "low",
        "parties": ["owner collection.mci"],
    },
    "refusal": None,
    "reach": {"pointer_events": {"rows": 900, "subjects": 900, "withheld": False}},
    "shown": SHOWN,
    "missing": ["owner collection.mci"],
    "approvals": [],
    "steps": [{"what": "asked for", "by": "ana", "at": "2026-11-01T07:00:00.000000Z"}],
    "grant": None,
    "renews": None,
    "break_glass": False,
    "reviewed_by": None,
    "can": ["withdraw"],
}

_READ = {"read": READ, "entry": 42}
_LEAVE_OUT = "leave these columns out, or declare a scope that names them"


def _with(declared: str, asked: str, *rules: str) -> dict[str, Any]:
    return {**_READ, "excess": {"declared": declared, "asked": asked}, "rules": list(rules)}


PROBLEMS: Mapping[str, tuple[Any, ...]] = {
    "bad_request": ("there is no parameter `actr`", "did you mean `actor`?"),
    "too_large": ("the body is larger than 64 KB", "ask for less at once; a filter of that size is not needed"),
    "no_token": ("no token came with the request", SIGN_IN),
    "bad_token": ("the token has expired; get a new one", SIGN_IN),
    "unknown_dataset": ("there is no dataset `pointer_evnts`", "did you mean `pointer_events`?", _READ),
    "not_found": ("there is no grant `g-1`", "`remit grants list` shows which there are"),
    "not_approver": (
        "you are none of those who decide on it: owner collection.mci",
        "ask one of them",
    ),
    "not_open": (
        f"request `{REQUEST}` is withdrawn: it cannot be approved",
        f"`remit requests show {REQUEST}` says what became of it",
    ),
    "changed": (
        f"request `{REQUEST}` is not what you were shown any more",
        f"look at it again: `remit requests show {REQUEST}`",
    ),
    "too_many": (
        "20 requests of yours are open, and more than 20 nobody can look at",
        "withdraw those that you do not need: `remit requests list` shows them",
    ),
    "unknown_column": (
        "dataset `pointer_events` has no column `y`",
        "`remit datasets pointer_events` lists its columns",
        _READ,
    ),
    "bad_rows": (
        "the filter was not understood: `x` is a column of type integer; compare it with a number",
        "a filter is made of columns, literals, `= != < <= > >= in between like is null and or not` and brackets",
        _READ,
    ),
    "paused": (
        "reading is paused for everything: an incident",
        "wait until the pause is lifted; asking again does not help",
        _READ,
    ),
    "no_grant": (
        "no grant of yours covers dataset `pointer_events`",
        "declare a scope for this dataset and have it approved; `remit grants list` shows what you have",
        _with("nothing", "dataset pointer_events"),
    ),
    "not_started": (
        f"grant `{GRANT}` starts at 2026-11-01T00:00:00+00:00",
        "wait until the grant starts; `remit grants list` says when",
        _with("2026-11-01T00:00:00+00:00 to 2036-12-01T00:00:00+00:00", "at 2026-10-31T09:00:00+00:00"),
    ),
    "expired": (
        f"grant `{GRANT}` ended at 2036-12-01T00:00:00+00:00",
        "declare a new scope; a grant that ended is not extended",
        _with("2026-11-01T00:00:00+00:00 to 2036-12-01T00:00:00+00:00", "at 2036-12-02T09:00:00+00:00"),
    ),
    "revoked": (
        f"grant `{GRANT}` was revoked",
        "ask the dataset's owner why; a revoked grant does not come back",
        _with("nothing any more", "at 2026-11-21T09:00:00+00:00"),
    ),
    "suspended": (
        f"grant `{GRANT}` is suspended",
        "ask on-call; what is suspended is under review",
        _with("nothing for now", "at 2026-11-21T09:00:00+00:00"),
    ),
    "wrong_purpose": (
        f"purpose `train_ai_system` is not within `train_ai_system.computer_use`, which grant `{GRANT}` is for",
        "read for the purpose that was approved, or declare a scope for this one",
        _with("train_ai_system.computer_use", "train_ai_system"),
    ),
    "beyond_audience": (
        "`pointer_events` is not declared for any team of yours with purpose `train_ai_system.computer_use`",
        "ask the dataset's owner to declare your team and purpose as its audience",
        _with("nobody", "research.ml for train_ai_system.computer_use"),
    ),
    "beyond_columns": ("columns outside the scope: y", _LEAVE_OUT, _with("x", "x, y")),
    "unclassified": (
        "columns without a data class are hidden from everyone: y",
        "ask the dataset's owner to give the column a data class in the catalog",
        _READ,
    ),
    "no_rule": (
        "no rule allows user.content.screen for `train_ai_system.computer_use`: screen",
        "leave these columns out, or ask security for a rule",
        _with("nothing", "user.content.screen for train_ai_system.computer_use"),
    ),
    "denied_by_rule": (
        "a rule denies (`reviews_never`) user.workplace.performance for `train_ai_system.computer_use`: review",
        "leave these columns out; a rule that denies stands above every grant",
        _with("denied", "user.workplace.performance for train_ai_system.computer_use", "reviews_never"),
    ),
    "beyond_rows": (
        "what you ask and what was declared exclude each other on x",
        "ask for rows within the scope, or declare a scope that covers these",
        _with("x < 900", "x > 900"),
    ),
    "beyond_budget": (
        f"grant `{GRANT}` has used up its 5,000,000 rows",
        "declare a new scope; the rows of this one are used up",
        _with("5000000 rows", "more rows"),
    ),
    "hold_check": (
        "pause `p-1` stays, for this would be open: bob of sales reads x of pointer_events for train_ai_system",
        "close it first: narrow the rule or the audience, or revoke the grant; or have two people accept it: "
        "`remit alerts resolve 17`",
    ),
    "second_person": (
        "you proposed to lift pause `p-1`: it takes somebody else to do it",
        "ask another person who may respond to alerts",
    ),
    "not_recorded": ("the audit ledger cannot be written, so nothing is read", AGAIN),
    "store_failed": ("the store could not be read", "try again; if it goes on, tell the dataset's owner", _READ),
    "fault": ("something broke; nothing was read", "tell whoever runs this gateway"),
}
"""For each code what is said and what to do next, and what comes beside it."""
