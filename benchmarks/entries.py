"""Entries as a governed read leaves them: one before its first row, one after its last."""

import secrets

from audit.drafts import draft, stamp
from audit.entries import Entry, Kind
from gateway.wiring import utc_now

DIGEST = "sha256:" + 64 * "0"
AUTHORIZED = {
    "principal": {"kind": "person", "attributes": {"privacy_training": "current", "region": "eu"}},
    "columns": [{"name": name, "treatment": "clear"} for name in ("at", "x", "y", "button")],
    "data_classes": ["user.behavior.pointer"],
    "sensitivity": "low",
    "asked": {"columns": ["at", "x", "y", "button"], "rows": "x < 960"},
    "declared_columns": ["who", "at", "x", "y", "button"],
    "rows": "x < 960",
    "rules": ["pointer"],
    "lacked": [],
}


def a_read() -> tuple[Entry, Entry]:
    """The two entries of one read, which has an id of its own."""
    read = f"r-{secrets.token_hex(16)}"
    return _entry(Kind.READ_AUTHORIZED, read), _entry(Kind.READ_COMPLETED, read)


def a_read_as_text() -> tuple[str, str]:
    """The same as the ledger keeps it, canonical and with a time, for opponents that are spared the making."""
    first, last = (draft(entry, "opponent").sealed(stamp(utc_now())).decode() for entry in a_read())
    return first, last


def _entry(kind: Kind, read: str) -> Entry:
    return Entry(
        kind,
        actor="ana",
        teams=("research.ml",),
        read=read,
        dataset="wide",
        purpose="train_ai_system.computer_use",
        grant="g-20261121080000-0123456789",
        digest=DIGEST,
        details=AUTHORIZED if kind is Kind.READ_AUTHORIZED else {"rows": 1_000, "ended_by": "end"},
    )
