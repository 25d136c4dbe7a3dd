"""Open an alert again: what it was about was found open once more, and who had taken it on is not on it any more."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, update

from .alert_rows import held
from .alert_tables import ALERTS
from .entries import WRITER, Entry
from .signals import Alert
from .states import Event, State
from .steps import Doing, step


@dataclass(frozen=True, slots=True)
class Reopened:
    """Alerts that are open again with their entries, and the signals that opened none."""

    alerts: tuple[Alert, ...]
    entries: tuple[Entry, ...]
    rest: tuple[Alert, ...]


def reopened(connection: Connection, signals: Sequence[Alert], at: datetime) -> Reopened:
    """Open again what signals say is open again; one that is open anyway stays, and the signal stands for itself.

    Only within `Ledger.change`, as `step`.
    """
    alerts: list[Alert] = []
    entries: list[Entry] = []
    rest: list[Alert] = []
    for signal in signals:
        known = held(connection, signal.reopens) if signal.reopens else None
        if known is None:
            rest.append(signal)
            continue
        alert = _again(known, signal)
        doing = Doing(
            Event.REOPENED, WRITER, signal.evidence.asked or signal.title, at, details={"entry": signal.last_seq}
        )
        entry = step(connection, alert, doing, behind=len(entries))
        if entry is None:
            rest.append(signal)
            continue
        connection.execute(update(ALERTS).where(ALERTS.c.id == alert.id).values(_opened_anew(alert)))
        alerts.append(replace(alert, state=State.REOPENED))
        entries.append(entry)
    return Reopened(tuple(alerts), tuple(entries), tuple(rest))


def _again(alert: Alert, signal: Alert) -> Alert:
    """An old alert that a signal opens again: as severe as the signal says, with what both rest on."""
    evidence = replace(
        alert.evidence,
        line=signal.evidence.line,
        given=signal.evidence.given,
        next=signal.evidence.next,
        entries=(*alert.evidence.entries, signal.last_seq),
    )
    return replace(
        alert,
        severity=min(alert.severity, signal.severity),
        title=signal.title,
        count=alert.count + 1,
        last_seq=signal.last_seq,
        last_at=signal.last_at,
        evidence=evidence,
        acknowledged_by=None,
        acknowledged_at=None,
        acknowledged_why=None,
    )


def _opened_anew(alert: Alert) -> dict[str, Any]:
    same = {name: getattr(alert, name) for name in ("title", "count", "last_seq", "last_at")}
    return same | {"severity": int(alert.severity), "evidence": asdict(alert.evidence)}
