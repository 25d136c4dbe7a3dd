"""SEV4 calls nobody: once a day its alerts go to the owners of the data, one letter for each owner and dataset.

The moment and how far the last digest went stand in the database, and change with the letters: no day is told twice,
whichever gateways run, and a day on which none ran at that time is told when one does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby

from sqlalchemy import Connection, Engine, select, update

from policy.amounts import amount

from .alert_tables import ALERT_CURSOR, ALERTING, ALERTS
from .escalation import Escalation
from .letters import Event, Letters
from .outbox import Row, write
from .severities import Severity
from .signals import plain, shown

MOST = 20
"""Alerts that one letter names."""

OwnerOf = Callable[[str | None], str]
"""The team that owns a dataset; empty where nobody knows."""
Group = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Told:
    id: int
    actor: str
    dataset: str | None
    code: str
    count: int
    last_at: datetime


class Digests:
    """One gateway's. `clock` gives aware UTC times."""

    def __init__(
        self, engine: Engine, escalation: Escalation, owner_of: OwnerOf, *, clock: Callable[[], datetime]
    ) -> None:
        self._engine, self._escalation, self._owner_of, self._clock = engine, escalation, owner_of, clock

    def look(self) -> None:
        """Write today's letters, when their time has come and nobody has. Faults are SQLAlchemy's."""
        moment = _last(self._clock(), self._escalation.digest_at)
        place = select(ALERTING.c.digested_at, ALERTING.c.digested_seq, ALERTING.c.name)
        with self._engine.connect() as connection:
            if not _is_due(connection.execute(place).one().digested_at, moment):
                return
        with self._engine.begin() as connection:
            # Held, so that what is counted meanwhile comes after it: each alert is in this digest or in the next.
            upto = connection.execute(select(ALERT_CURSOR.c.seq).with_for_update()).scalar_one()
            last = connection.execute(place.with_for_update()).one()
            if _is_due(last.digested_at, moment):
                self._write(connection, f"{last.name}/digest/{moment:%Y-%m-%d}", moment, last.digested_seq, upto)
                connection.execute(update(ALERTING).values(digested_at=moment, digested_seq=upto))

    def _write(self, connection: Connection, name: str, moment: datetime, after: int, upto: int) -> None:
        query = select(ALERTS.c.id, ALERTS.c.actor, ALERTS.c.dataset, ALERTS.c.code, ALERTS.c.count, ALERTS.c.last_at)
        is_new = ALERTS.c.last_seq > after, ALERTS.c.last_seq <= upto
        found = connection.execute(query.where(ALERTS.c.severity == int(Severity.SEV4), *is_new).order_by(ALERTS.c.id))
        alerts = sorted((_Told(*row) for row in found), key=self._group)
        for (owner, dataset), group in groupby(alerts, self._group):
            letter = _letter(owner, dataset, tuple(group), moment.date(), f"{name}/{owner}/{dataset}")
            channels = self._escalation.owners.get(owner, self._escalation.digests)
            rows = [Row(channel, None, Event.DIGEST, 1, Severity.SEV4, letter, moment) for channel in channels]
            write(connection, rows)

    def _group(self, told: _Told) -> Group:
        return self._owner_of(told.dataset), told.dataset or ""


def _last(now: datetime, at: time) -> datetime:
    """The newest moment up to `now` that is `at` in UTC."""
    today = datetime.combine(now.astimezone(UTC), at, UTC)
    return today if today <= now else today - timedelta(days=1)


def _is_due(last: datetime, moment: datetime) -> bool:
    """One a day, also when the time of day was changed."""
    return last.astimezone(UTC).date() < moment.date()


def _letter(owner: str, dataset: str, alerts: Sequence[_Told], day: date, thread: str) -> Letters:
    count, people = sum(told.count for told in alerts), len({told.actor for told in alerts})
    lines = [
        f"{told.id}: {shown(told.actor)} {shown(told.code)}, {told.count} in all, last {told.last_at:%m-%d %H:%M} UTC"
        for told in alerts[:MOST]
    ]
    if len(alerts) > MOST:
        lines.append(f"and {amount(len(alerts) - MOST, 'more alert')}")
    lines.append("see: `remit alerts list`; nothing of it calls for anybody at once")
    return {
        "title": f"SEV4 digest of {day}: excesses on {shown(dataset or 'remit')}: {count}, by {people}",
        "body": "\n".join((f"for: {plain(owner) or 'whoever owns it'}", *lines)),
        "thread": thread,
        "about": {
            "digest": f"{day}",
            "owner": plain(owner),
            "dataset": plain(dataset),
            "count": count,
            "alerts": [told.id for told in alerts],
        },
    }
