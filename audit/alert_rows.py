"""Alerts as rows of their table, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Connection,
    RowMapping,
    bindparam,
    func,
    insert,
    select,
    tuple_,
    union_all,
    update,
)

from .alert_tables import ALERTS
from .folding import QUIET
from .severities import SEVERAL_EXCESSES, SPREAD_WITHIN, Severity
from .signals import Alert, Evidence

_SAME = tuple(
    {field.name for field in fields(Alert)}
    & {column.name for column in ALERTS.c} - {"id", "severity", "data_classes", "evidence"}
)
"""What is in the table as it is in an `Alert`."""

LARGEST_ID = 2**63 - 1
"""What an id can be at most; PostgreSQL would call a larger one a fault."""

RAISED = insert(ALERTS).returning(ALERTS.c.id, sort_by_parameter_order=True)
# Only what counting changes: an acknowledgement that commits meanwhile is not undone.
COUNTED = (
    update(ALERTS)
    .where(ALERTS.c.id == bindparam("of"))
    .values({name: bindparam(f"new_{name}") for name in ("count", "last_seq", "last_at", "evidence")})
)


def _known() -> CompoundSelect[Any]:
    """Alerts of these `keys` since `quiet`, and since `spread` each last excess of the `spreading` principals."""
    dataset, grant = func.coalesce(ALERTS.c.dataset, ""), func.coalesce(ALERTS.c.grant_id, "")
    of_key = tuple_(ALERTS.c.actor, dataset, grant, ALERTS.c.code).in_(bindparam("keys", expanding=True))
    same = select(ALERTS).where(ALERTS.c.last_at >= bindparam("quiet"), of_key)
    kind = (ALERTS.c.actor, dataset, ALERTS.c.code)
    recent = (
        ALERTS.c.last_at >= bindparam("spread"),
        ALERTS.c.actor.in_(bindparam("spreading", expanding=True)),
        ALERTS.c.evidence["is_excess"].as_boolean(),
    )
    latest = select(*kind, func.max(ALERTS.c.last_at)).where(*recent).group_by(*kind)
    return union_all(same, select(ALERTS).where(*recent, tuple_(*kind, ALERTS.c.last_at).in_(latest)))


_KNOWN = _known()


def known_to(connection: Connection, signals: Sequence[Alert]) -> Sequence[Alert]:
    """The stored alerts that `fold` has to know for these signals: few, however many their principals have.

    Those with the key of a signal, or of the alert over several excesses; and of the other excesses of these principals
    the last one of each dataset and code.
    """
    first = min(signal.last_at for signal in signals)
    spreading = {signal.actor for signal in signals if signal.evidence.is_excess}
    keys = {tuple(part or "" for part in signal.key) for signal in signals}
    keys |= {(actor, "", "", SEVERAL_EXCESSES.name) for actor in spreading}
    wanted = {"keys": keys, "quiet": first - QUIET, "spreading": spreading, "spread": first - SPREAD_WITHIN}
    rows = connection.execute(_KNOWN, wanted).mappings()
    return tuple({row["id"]: alert_of(row) for row in rows}.values())


def held(connection: Connection, id: int) -> Alert | None:
    """The alert as it is now, kept so until the transaction ends; None where there is none."""
    if not 0 < id <= LARGEST_ID:
        return None
    query = select(ALERTS).where(ALERTS.c.id == id).with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    return alert_of(row) if row else None


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
