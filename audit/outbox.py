"""The outbox: what is to be told stands in the database with what happened, in one transaction; nothing is forgotten.

1. A letter is written by the transaction that changes its alert, one for each channel, each with a key of its own.
2. A letter is taken by one sender at a time, on a lease. It is sent at least once, and always under its key.
3. Of one alert, a channel hears everything in the order in which it happened.

All times are the database's: gateways share it, and not their clocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from .alert_tables import ALERTING, CHANNELS, OUTBOX
from .instances import lock_key
from .letters import Event, Letter, Letters, letter_of
from .severities import Severity
from .signals import Alert

LEASE = 60
"""Seconds that one sending may take; a gateway that is gone is noticed sooner, by its instance's lock."""

_DUE = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, bindparam("after"))
WRITTEN = (
    insert(OUTBOX)
    .values(
        at=func.coalesce(bindparam("happened", type_=OUTBOX.c.at.type), func.now()),
        due_at=_DUE,
        state="waiting",
        next_at=_DUE,
    )
    .on_conflict_do_nothing(index_elements=["key"])
)
CLAIM = text("""
    UPDATE outbox SET leased_by = :by, leased_until = clock_timestamp() + make_interval(secs => :lease),
        attempts = attempts + 1
    WHERE id = (
        SELECT id FROM outbox each
        WHERE channel = :channel AND state = 'waiting' AND next_at <= clock_timestamp()
            AND (leased_until IS NULL OR leased_until < clock_timestamp())
            AND NOT EXISTS (
                SELECT FROM outbox earlier WHERE earlier.channel = each.channel AND earlier.alert = each.alert
                    AND earlier.state = 'waiting' AND earlier.id < each.id
            )
        ORDER BY severity, next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING id, key, event, severity, letter, at, attempts
""")
# Before the planner knows that there are ten thousand, it would compare each with each: seconds for a letter.
NOT_EACH_BY_EACH = text("SET LOCAL enable_nestloop = off")
DELIVERED = text("""
    UPDATE outbox SET state = 'delivered', settled_at = clock_timestamp(), leased_by = NULL, leased_until = NULL,
        fault = NULL
    WHERE id = :id AND state = 'waiting'
""")
HEARD = text("UPDATE channels SET failures = 0, failing_since = NULL WHERE name = :channel AND failures > 0")
# A channel that is back gets at once what waited for it, in the order of how bad it is.
REVIVE = text("""
    UPDATE outbox SET next_at = clock_timestamp()
    WHERE channel = :channel AND state = 'waiting' AND attempts > 0 AND leased_by IS NULL
        AND next_at > clock_timestamp()
""")
FAILED = text("""
    UPDATE outbox SET next_at = clock_timestamp() + make_interval(secs => :wait), fault = :fault,
        leased_by = NULL, leased_until = NULL
    WHERE id = :id AND state = 'waiting' AND leased_by = :by AND attempts = :attempts
""")
UNHEARD = text("""
    UPDATE channels SET failures = failures + 1, failing_since = coalesce(failing_since, clock_timestamp())
    WHERE name = :channel
""")
LEASED = text("SELECT DISTINCT leased_by FROM outbox WHERE state = 'waiting' AND leased_by IS NOT NULL")
RELEASE = text("""
    UPDATE outbox SET leased_by = NULL, leased_until = NULL
    WHERE state = 'waiting' AND leased_by = :gone AND pg_try_advisory_xact_lock(:lock)
""")


def call(connection: Connection, alerts: Sequence[Alert]) -> None:
    """Write that these alerts, which were just stored, were raised; as part of the caller's transaction.

    It goes to every channel, to those of later levels when their time has come.
    """
    paging = [alert for alert in alerts if alert.severity.pages]
    if not paging:
        return
    name, channels, event = _name(connection), _called(connection), Event.RAISED
    letters = [(alert, letter_of(alert, event, _thread(name, alert))) for alert in paging]
    write(
        connection,
        [
            Row(channel, alert.id, event, 1, alert.severity, letter, alert.last_at, after)
            for alert, letter in letters
            for channel, after in channels
        ],
    )


def enqueue(connection: Connection, alert: Alert, event: Event | str, *, by: str = "", why: str = "") -> None:
    """Write that `event` befell `alert`, which was raised, to whom it concerns; as part of the caller's transaction.

    `by` and `why` say who did it, where that was a person. What calls somebody (reopened) goes to every channel, as it
    was raised; what somebody did, to those that were called and follow each step. Once it is acknowledged or resolved,
    levels whose time has not come are not called any more.
    """
    event = Event(event)
    if not alert.severity.pages:
        return
    if event in (Event.ACKNOWLEDGED, Event.RESOLVED):
        connection.execute(_call_off(alert.id))
    letter = letter_of(alert, event, _thread(_name(connection), alert), by=by, why=why)
    step = _next_step(connection, alert.id, event)
    channels = _called(connection) if event.calls else _following(connection, alert.id)
    rows = [Row(channel, alert.id, event, step, alert.severity, letter, after=after) for channel, after in channels]
    write(connection, rows)


@dataclass(frozen=True, slots=True)
class Row:
    """A letter to be written: to whom, about which alert (None: of many), and how many seconds after now it is due."""

    channel: str
    alert: int | None
    event: Event
    step: int
    severity: Severity
    letter: Letters
    at: datetime | None = None
    after: int = 0


def write(connection: Connection, rows: Sequence[Row]) -> None:
    """Write letters, each unless one with its key is there; `at` None is now."""
    if rows:
        connection.execute(WRITTEN, [_values(row) for row in rows])


def _values(row: Row) -> dict[str, Any]:
    return {
        "key": f"{row.letter['thread']}/{row.event}/{row.step}/{row.channel}",
        "channel": row.channel,
        "alert": row.alert,
        "event": row.event,
        "step": row.step,
        "severity": int(row.severity),
        "letter": row.letter,
        "happened": row.at,
        "after": row.after,
    }


def _name(connection: Connection) -> str:
    return str(connection.execute(select(ALERTING.c.name)).scalar_one())


def _thread(name: str, alert: Alert) -> str:
    # With its time: a database that was set back gives the number once more, to an alert that nobody has heard of.
    return f"{name}/{alert.id}-{alert.first_at.timestamp() * 1_000_000:.0f}"


def _next_step(connection: Connection, alert: int, event: Event) -> int:
    """How often this has happened to the alert: it can be acknowledged again after it was reopened."""
    query = select(func.max(OUTBOX.c.step)).where(OUTBOX.c.alert == alert, OUTBOX.c.event == event)
    return 1 + (connection.execute(query).scalar_one() or 0)


def _called(connection: Connection) -> Sequence[tuple[str, int]]:
    query = select(CHANNELS.c.name, CHANNELS.c.after_seconds).where(CHANNELS.c.after_seconds.is_not(None))
    return [(name, after) for name, after in connection.execute(query.order_by(CHANNELS.c.name))]


def _following(connection: Connection, alert: int) -> Sequence[tuple[str, int]]:
    """Those that were called, or are just being, and want to know how it goes on."""
    called = select(OUTBOX.c.channel).where(
        OUTBOX.c.alert == alert, OUTBOX.c.state.in_(("waiting", "delivered")), OUTBOX.c.due_at <= func.now()
    )
    query = select(CHANNELS.c.name).where(CHANNELS.c.hears_steps, CHANNELS.c.name.in_(called))
    return [(name, 0) for (name,) in connection.execute(query.order_by(CHANNELS.c.name))]


def _call_off(alert: int) -> Any:
    """Levels whose time has not come. What was due at once is sent all the same: that it happened is to be known."""
    return (
        update(OUTBOX)
        .where(OUTBOX.c.alert == alert, OUTBOX.c.state == "waiting", OUTBOX.c.due_at > func.now())
        .values(state="not_needed", settled_at=func.now())
    )


class Outbox:
    """The senders' side of it, for one gateway. `gateway` is its instance. Faults are SQLAlchemy's."""

    def __init__(self, engine: Engine, gateway: str) -> None:
        self._engine, self._gateway = engine, gateway

    def claim(self, channel: str) -> Letter | None:
        """The letter to send next, the worst first, nobody else's for a while; None where none is due."""
        with self._engine.begin() as connection:
            given = {"by": self._gateway, "lease": LEASE, "channel": channel}
            connection.execute(NOT_EACH_BY_EACH)
            row = connection.execute(CLAIM, given).mappings().one_or_none()
        return _letter(row) if row else None

    def delivered(self, letter: Letter, channel: str) -> None:
        """The channel has it."""
        with self._engine.begin() as connection:
            connection.execute(DELIVERED, {"id": letter.id})
            if connection.execute(HEARD, {"channel": channel}).rowcount:
                connection.execute(REVIVE, {"channel": channel})

    def failed(self, letter: Letter, channel: str, fault: str, *, wait: float) -> None:
        """The channel does not have it, for all we know; it is due again in `wait` seconds. No secret in `fault`."""
        given = {"id": letter.id, "by": self._gateway, "attempts": letter.attempts, "fault": fault, "wait": wait}
        with self._engine.begin() as connection:
            connection.execute(FAILED, given)
            connection.execute(UNHEARD, {"channel": channel})

    def release(self) -> None:
        """Let go of what gateways that are gone had taken: a crash does not hold a page back until the lease ends."""
        with self._engine.begin() as connection:
            for gone in connection.execute(LEASED).scalars().all():
                if gone != self._gateway:
                    connection.execute(RELEASE, {"gone": gone, "lock": lock_key(gone)})


def _letter(row: RowMapping) -> Letter:
    kept = row["letter"]
    return Letter(
        id=row["id"],
        key=row["key"],
        event=Event(row["event"]),
        severity=Severity(row["severity"]),
        title=kept["title"],
        body=kept["body"],
        thread=kept["thread"],
        about=kept["about"],
        at=row["at"],
        attempts=row["attempts"],
    )
