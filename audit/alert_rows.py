"""Alerts as rows of their table, and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import RowMapping, bindparam, update

from .alert_tables import ALERTS
from .severities import Severity
from .signals import Alert, Evidence

_SAME = tuple(
    {field.name for field in fields(Alert)}
    & {column.name for column in ALERTS.c} - {"id", "severity", "data_classes", "evidence"}
)
"""What is in the table as it is in an `Alert`."""

# Only what counting changes: an acknowledgement that commits meanwhile is not undone.
COUNTED = (
    update(ALERTS)
    .where(ALERTS.c.id == bindparam("of"))
    .values({name: bindparam(f"new_{name}") for name in ("count", "last_seq", "last_at", "evidence")})
)


def counts_of(alert: Alert) -> dict[str, Any]:
    """What `COUNTED` takes of an alert that was counted on."""
    return {
        "of": alert.id,
        "new_count": alert.count,
        "new_last_seq": alert.last_seq,
        "new_last_at": alert.last_at,
        "new_evidence": asdict(alert.evidence),
    }


def row_of(alert: Alert) -> dict[str, Any]:
    """The row of an alert, but for its id."""
    row = {name: getattr(alert, name) for name in _SAME}
    return row | {
        "severity": int(alert.severity),
        "grant_id": alert.grant,
        "data_classes": sorted(alert.data_classes),
        "evidence": asdict(alert.evidence),
    }


def alert_of(row: RowMapping) -> Alert:
    """The alert that a row holds."""
    same = {name: row[name] for name in _SAME}
    return Alert(
        **same,
        id=row["id"],
        severity=Severity(row["severity"]),
        grant=row["grant_id"],
        data_classes=frozenset(row["data_classes"]),
        evidence=_evidence_of(row["evidence"]),
    )


def _evidence_of(json: Mapping[str, Any]) -> Evidence:
    said: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in json.items()}
    return Evidence(**said)
