"""The examples of the API's description: what is answered. Tests hold that all fit, and that none is missing."""

from collections.abc import Mapping
from typing import Any

from .examples import ASKED_FOR, GRANT, READ, REQUEST, SCOPE

BY, AT, DIGEST = "olga", "2026-11-21T09:00:00Z", "sha256:" + "0" * 64
LEDGER, ROOT = "remit/5f0c1f6f2b6d4e0a", "N9rZggHfUXfszQG35jXq2iY5JUfvWQDqtpd5LZojxgs="
NOTE = f"{LEDGER}\n41\n{ROOT}\n\n— {LEDGER} ZfUeAlrl…\n"
GRANTED = {"id": GRANT, "status": "active", "state": "active", "rows_used": 0, "subjects_used": 0, **SCOPE}
GRANT_DETAIL = {
    **GRANTED,
    "rows_used": 900,
    "requester": "ana",
    "request": REQUEST,
    "used": {"pointer_events": {"columns": ["x"], "reads": 1, "rows": 900, "last_at": AT}},
    "unused_days": 0,
    "proposal": "keep",
    "renewal": SCOPE,
}
DATASET = {
    "name": "pointer_events",
    "title": "Pointer movement and clicks",
    "owner": "collection.mci",
    "source": "desktop recorder",
    "audience": [{"team": "research.ml", "purpose": "train_ai_system"}],
    "columns": [
        {
            "name": "x",
            "class": "user.behavior.pointer",
            "type": "integer",
            "sensitivity": "low",
            "treatment": "clear",
            "why": "allowed by pointer",
            "purpose": "train_ai_system",
            "rules": ["pointer"],
            "lacked": [],
        }
    ],
}
ENTRY = {
    "seq": 42,
    "at": AT,
    "kind": "read.refused",
    "code": "beyond_columns",
    "actor": "ana",
    "teams": ["research.ml"],
    "dataset": "pointer_events",
    "purpose": "train_ai_system.computer_use",
    "read": READ,
    "grant": GRANT,
    "digest": DIGEST,
    "excess": "beyond",
    "gateway": "host-1-6e2994c5a522",
    "details": {"declared": "x", "asked": "x, y", "columns": ["y"], "sensitivity": "low"},
}
ENDED = {"seq": 43, "at": AT, "kind": "read.completed", "actor": "ana", "read": READ, "dataset": "pointer_events"}
ALERT = {
    "id": 7,
    "severity": 4,
    "state": "acknowledged",
    "title": "`ana` asked beyond scope for low data of `pointer_events`: `beyond_columns`",
    "actor": "ana",
    "dataset": "pointer_events",
    "grant": GRANT,
    "code": "beyond_columns",
    "purpose": "train_ai_system.computer_use",
    "data_classes": ["user.behavior.pointer"],
    "count": 1,
    "first_at": AT,
    "last_at": AT,
    "entries": [42],
    "evidence": {
        "declared": "x",
        "asked": "x, y",
        "given": "no rows: the read was refused",
        "columns": ["y"],
        "rules": [],
    },
    "next": "ask `ana` what it was for, and contain it where there is no good answer",
    "acknowledged": {"by": BY, "at": AT, "why": "asking Max"},
}
ALERT_DETAIL = {
    **ALERT,
    "owner": "collection.mci",
    "history": [
        {
            "event": "acknowledged",
            "state": "acknowledged",
            "by": BY,
            "at": AT,
            "why": "asking Max",
            "entry": 43,
            "details": {},
        }
    ],
    "actions": [
        {
            "what": "dataset",
            "target": "pointer_events",
            "command": "remit alerts contain 7 --what dataset --target pointer_events",
        }
    ],
    "hold": {"checks": 11, "open_by_rules": 0, "open_whole": 0},
    "url": "https://remit.example.com/v1/alerts/7",
}
PAUSE = {
    "id": "p-1",
    "kind": "everything",
    "target": "",
    "reason": "an incident",
    "set_by": BY,
    "set_at": AT,
    "alert": None,
    "proposed": None,
    "lifted": False,
}
REPORT = {
    "dataset": "pointer_events",
    "since": "2026-11-20T09:00:00Z",
    "until": AT,
    "made_at": AT,
    "made_by": "sam",
    "alert": 7,
    "ledger_size": 44,
    "last_entry": 43,
    "totals": {
        "people": 0,
        "reads": 0,
        "rows": 0,
        "without_end": 0,
        "at_most": 0,
        "refused": 1,
        "columns": [],
        "employees": {"count": 0, "is_complete": True, "people": [], "erased": 0},
    },
    "could": [],
    "rules_alone": [],
    "around": [],
    "did": [],
    "tried": [
        {
            "who": "ana",
            "teams": ["research.ml"],
            "code": "beyond_columns",
            "times": 1,
            "first": AT,
            "last": AT,
            "columns": ["y"],
            "entries": [42],
        }
    ],
    "bundles": [{"since": "2026-11-20T09:00:00Z", "until": AT, "digest": DIGEST, "entry": 1, "is_understood": True}],
    "pauses": [],
    "incomplete": [],
    "limits": ["Whoever reads files or databases around Remit leaves no entry in it."],
    "checkpoint": {"origin": LEDGER, "size": 41, "root": ROOT, "note": NOTE},
}
ACCEPTED = {"digest": DIGEST, "alerts": [7], "by": ["olga"], "needed": 2}
READY = {"database": True, "ledger": True, "policies": True, "issuer": True, "checkpoints": True}

ANSWERS: Mapping[str, Any] = {
    "GET /v1/datasets": {"items": [DATASET], "next": None},
    "GET /v1/datasets/{name}": DATASET,
    "POST /v1/reads:check": {
        "decision": "allow",
        "detail": f"grant {GRANT} permits it",
        "read": READ,
        "entry": 42,
        "grant": GRANT,
        "purpose": "train_ai_system.computer_use",
        "columns": [{"name": "x", "class": "user.behavior.pointer", "treatment": "clear"}],
        "rows": "(x < 900 and employee_id is not null) and (x < 500)",
        "limit": 1000,
        "limited_by": "limit",
        "rules": ["pointer"],
        "lacked": [],
        "help": "",
    },
    "POST /v1/grants": GRANTED,
    "GET /v1/grants": {"items": [GRANTED], "next": None},
    "POST /v1/policy:reload": {"digest": DIGEST},
    "POST /v1/policy:accept": ACCEPTED,
    "GET /healthz": {"status": "ok"},
    "GET /readyz": READY,
    "GET /v1/grants:review": {"items": [GRANT_DETAIL], "next": None},
    "GET /v1/grants/{id}": GRANT_DETAIL,
    "GET /v1/grants/{id}/reads": {"items": [ENDED], "next": None},
    "POST /v1/grants/{id}:revoke": {**GRANTED, "status": "revoked", "state": "revoked"},
    "POST /v1/grants/{id}:suspend": {**GRANTED, "status": "suspended", "state": "suspended"},
    "POST /v1/grants/{id}:resume": GRANTED,
    "POST /v1/requests": ASKED_FOR,
    "GET /v1/requests/{id}": ASKED_FOR,
    "GET /v1/requests": {"items": [ASKED_FOR], "next": None},
    "POST /v1/requests/{id}:approve": {**ASKED_FOR, "state": "granted", "missing": [], "grant": GRANT, "can": []},
    "POST /v1/requests/{id}:narrow": {**ASKED_FOR, "scope": {**SCOPE, "max_rows": 1_000_000}},
    "POST /v1/requests/{id}:deny": {**ASKED_FOR, "state": "denied", "can": []},
    "POST /v1/requests/{id}:withdraw": {**ASKED_FOR, "state": "withdrawn", "can": []},
    "POST /v1/requests/{id}:review": {**ASKED_FOR, "state": "granted", "break_glass": True, "reviewed_by": "mia"},
    "GET /v1/audit/entries": {"items": [ENTRY], "next": None},
    "GET /v1/audit/checkpoint": NOTE,
    "GET /v1/audit/proof/{seq}": f"c2sp.org/tlog-proof@v1\nextra eyJhY3Rvci…\nindex 1\nNtR3rT…\n\n{NOTE}",
    "GET /v1/audit/consistency": {"from": 5, "to": 20, "hashes": [ROOT]},
    "GET /v1/audit/keys": {
        "origin": LEDGER,
        "items": [{"vkey": f"{LEDGER}+65f51e02+Ae5PYo48fHbd…", "status": "activated"}],
    },
    "POST /v1/audit/verdicts": {"entry": 44},
    "GET /v1/reports/exposure": REPORT,
    "GET /v1/alerts": {"items": [ALERT], "next": None},
    "GET /v1/alerts/{id}": ALERT_DETAIL,
    "POST /v1/alerts/{id}:acknowledge": ALERT_DETAIL,
    "POST /v1/alerts/{id}:contain": {**ALERT_DETAIL, "state": "contained"},
    "POST /v1/alerts/{id}:resolve": {**ALERT_DETAIL, "state": "resolved"},
    "POST /v1/alerts/{id}:accept": ACCEPTED,
    "GET /v1/pauses": {"items": [PAUSE], "next": None},
    "POST /v1/pauses": PAUSE,
    "POST /v1/pauses/{id}:lift": {**PAUSE, "proposed": {"by": "otto", "at": AT, "why": "it is over"}},
    "POST /v1/subjects:erase": {"data_class": "user.unique_id", "erased": True},
    "GET /v1/whoami": {
        "name": "ana",
        "kind": "person",
        "teams": ["research.ml"],
        "attributes": {"privacy_training": "current"},
        "issuer": "https://login.example.com/realms/staff",
        "expires": AT,
    },
    "GET /.well-known/oauth-protected-resource": {
        "resource": "https://remit.example.com",
        "authorization_servers": ["https://login.example.com/realms/staff"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Remit",
        "remit_audience": "remit",
        "remit_client_id": "remit-cli",
    },
    "GET /metrics": '# TYPE remit_reads_total counter\nremit_reads_total{code="ok"} 4.0\n',
}
ALSO: Mapping[str, Any] = {"GET /readyz": {**READY, "issuer": False}}
"""Answers of a status that says what is missing."""
ROWS: Mapping[str, str] = {"text/csv": '"x"\r\n17\r\n', "application/x-ndjson": '{"x":17}\n'}
"""Rows as text; there are no words for the formats that are binary."""
