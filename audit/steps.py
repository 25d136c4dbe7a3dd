"""The steps of an alert: each moves its state, is kept with who and why, and leaves an entry, all or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection, Engine, insert, select, update

from .alert_tables import ALERT_STEPS, ALERTS
from .entries import Entry, Json, Kind
from .outbox import enqueue
from .signals import Alert
from .states import Event, follows
from .tables import AUDIT_HEAD

KIND_OF = {
    Event.ACKNOWLEDGED: Kind.ALERT_ACKNOWLEDGED,
    Event.CONTAINED: Kind.ALERT_CONTAINED,
    Event.RESOLVED: Kind.ALERT_RESOLVED,
    Event.REOPENED: Kind.ALERT_REOPENED,
}
"""The entry that each event leaves."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happened to an alert: `event`, the state it led to, who, why, and `seq` of the entry that says so.

    `details` are the event's own: what was contained, how much was found open.
    """

    event: str
    state: str
    by: str
    at: datetime
    why: str
    seq: int
    details: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Doing:
    """An event that is about to happen to an alert, by whom and why; `at` is aware."""

    event: Event
    by: str
    why: str
    at: datetime
    teams: tuple[str, ...] = ()
    details: Mapping[str, Json] = field(default_factory=dict)


def step(connection: Connection, alert: Alert, doing: Doing, *, behind: int = 0) -> Entry | None:
    """Take the step and give its entry, `behind` so many others of the same change; None where it cannot happen.

    Only within `Ledger.change`, which holds the head: that is where the entry's number comes from. `alert` is as it
    was read under that lock.
    """
    state = follows(alert.state, doing.event)
    if state is None:
        return None
    connection.execute(update(ALERTS).where(ALERTS.c.id == alert.id).values(state=state, **_taken_on(doing)))
    size = connection.execute(select(AUDIT_HEAD.c.size)).scalar_one()
    connection.execute(
        insert(ALERT_STEPS).values(
            alert=alert.id,
            seq=size + 1 + behind,
            event=doing.event,
            state=state,
            by=doing.by,
            at=doing.at,
            why=doing.why,
            details=dict(doing.details),
        )
    )
    enqueue(connection, replace(alert, state=state), doing.event.value, by=doing.by, why=doing.why)
    return Entry(
        KIND_OF[doing.event],
        actor=doing.by,
        teams=doing.teams,
        dataset=alert.dataset,
        grant=alert.grant,
        code=alert.code,
        details={
            "alert": alert.id,
            "severity": str(alert.severity),
            "principal": alert.actor,
            "why": doing.why,
            **doing.details,
        },
    )


def steps_of(engine: Engine, alerts: Sequence[int]) -> Mapping[int, tuple[Step, ...]]:
    """The steps of each of these alerts, oldest first; an alert without one is not there. Faults are SQLAlchemy's."""
    query = select(ALERT_STEPS).where(ALERT_STEPS.c.alert.in_(alerts)).order_by(ALERT_STEPS.c.seq)
    found: dict[int, list[Step]] = {}
    with engine.connect() as connection:
        for row in connection.execute(query):
            one = Step(row.event, row.state, row.by, row.at, row.why, row.seq, row.details)
            found.setdefault(row.alert, []).append(one)
    return {alert: tuple(steps) for alert, steps in found.items()}


def _taken_on(doing: Doing) -> dict[str, object]:
    """Who is on it: whoever acknowledged it; nobody any more once it is open again."""
    match doing.event:
        case Event.ACKNOWLEDGED:
            return {"acknowledged_by": doing.by, "acknowledged_at": doing.at, "acknowledged_why": doing.why}
        case Event.REOPENED:
            return {"acknowledged_by": None, "acknowledged_at": None, "acknowledged_why": None}
        case _:
            return {}
