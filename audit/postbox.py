"""Which channels there are, and how each is doing. One that lags is told on the others, and so is its return.

Every gateway says again and again that it serves its channels. A channel that nobody serves any more is behind as soon
as a letter waits for it; later it is gone, and the others get what it left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, RowMapping, text

from policy.amounts import amount

from .channels import Channel
from .entries import WRITER, Entry, Json, Kind
from .escalation import Escalation
from .ledger import Ledger

LATE = 300
"""Seconds after which a letter that was due is late, and its channel behind."""
FAILING = 60
FAILURES = 5
"""So many failures without a letter that arrived, over so many seconds, and a channel is behind."""
GONE = 600
"""Seconds after which a channel that no gateway serves is not there any more."""

SERVE = text("""
    INSERT INTO channels (name, after_seconds, hears_steps, served_at)
    VALUES (:name, :after_seconds, :hears_steps, clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET after_seconds = excluded.after_seconds, hears_steps = excluded.hears_steps,
        served_at = excluded.served_at
    WHERE (channels.after_seconds, channels.hears_steps)
        IS DISTINCT FROM (excluded.after_seconds, excluded.hears_steps)
        OR channels.served_at < clock_timestamp() - interval '30 s'
""")
# Alerts of before there was anybody to tell are nobody's letters.
FIRST = text("""
    UPDATE alerting SET first_alert = greatest(first_alert, (SELECT coalesce(max(id), 0) FROM alerts))
    WHERE NOT EXISTS (SELECT FROM channels)
""")
STATE = text("""
    SELECT name, is_behind, failures, waiting, late, (
        late > :late OR failures >= :failures AND failing_since < clock_timestamp() - make_interval(secs => :failing)
    ) AS lags, (SELECT fault FROM outbox WHERE channel = name AND state = 'waiting' AND fault IS NOT NULL
        ORDER BY id DESC LIMIT 1) AS fault
    FROM channels, LATERAL (
        SELECT count(*) AS waiting,
            coalesce(extract(epoch FROM clock_timestamp() - min(due_at)), 0)::bigint AS late
        FROM outbox WHERE channel = name AND state = 'waiting' AND due_at <= clock_timestamp()
    ) AS due ORDER BY name
""")
SAY = text("UPDATE channels SET is_behind = :is_behind WHERE name = :name AND is_behind <> :is_behind")
LEAVE = text("""
    DELETE FROM channels WHERE served_at < clock_timestamp() - make_interval(secs => :gone)
        AND EXISTS (SELECT FROM channels others
            WHERE others.after_seconds = 0 AND others.served_at >= clock_timestamp() - make_interval(secs => :gone))
    RETURNING name
""")
# The step stays, so that a channel that had its own letter about it does not get it again.
INHERIT = text("""
    INSERT INTO outbox (key, channel, alert, event, step, severity, letter, at, due_at, state, next_at)
    SELECT (letter ->> 'thread') || '/' || event || '/' || step || '/' || channels.name, channels.name,
        alert, event, step, severity, letter, at, now(), 'waiting', now()
    FROM outbox, channels
    WHERE channel = :gone AND state = 'waiting' AND event IN ('raised', 'reopened') AND after_seconds = 0
    ON CONFLICT (key) DO NOTHING
""")
MOVED = text("UPDATE outbox SET state = 'moved', settled_at = now() WHERE channel = :gone AND state = 'waiting'")


@dataclass(frozen=True, slots=True)
class Standing:
    """How one channel is doing: letters that are due, seconds that the oldest of them waits, and the last fault."""

    name: str
    lags: bool
    is_behind: bool
    waiting: int
    late: int
    failures: int
    fault: str


class Postbox:
    """One gateway's view of the channels. Faults are SQLAlchemy's, or `NotRecorded`."""

    def __init__(self, engine: Engine, ledger: Ledger, channels: Sequence[Channel], escalation: Escalation) -> None:
        self._engine, self._ledger = engine, ledger
        self._rows = [
            {
                "name": channel.name,
                "after_seconds": escalation.after.get(channel.name),
                "hears_steps": channel.hears_steps,
            }
            for channel in channels
        ]

    def look(self) -> None:
        """Say that our channels are served, hand on what was left by others, and tell which lag and which are back."""
        self.serve()
        with self._engine.begin() as connection:
            for gone in connection.execute(LEAVE, {"gone": GONE}).scalars().all():
                connection.execute(INHERIT, {"gone": gone})
                connection.execute(MOVED, {"gone": gone})
        for standing in self.standings():
            if standing.lags != standing.is_behind and (standing.lags or standing.late == 0):
                self._say(standing)

    def serve(self) -> None:
        """Say that our channels are there; to be called before the first alert can be raised."""
        if self._rows:
            with self._engine.begin() as connection:
                connection.execute(FIRST)
                connection.execute(SERVE, self._rows)

    def standings(self) -> tuple[Standing, ...]:
        """How each channel is doing now."""
        given = {"late": LATE, "failures": FAILURES, "failing": FAILING}
        with self._engine.connect() as connection:
            return tuple(map(_standing, connection.execute(STATE, given).mappings()))

    def _say(self, standing: Standing) -> None:
        """Once when it begins and once when it ends, whichever gateway sees it first: the database knows."""

        def work(connection: Connection) -> Sequence[Entry]:
            changed = connection.execute(SAY, {"name": standing.name, "is_behind": standing.lags})
            return [_entry(standing)] if changed.rowcount else []

        self._ledger.change(work, raises_epoch=False)


def _standing(row: RowMapping) -> Standing:
    return Standing(
        row["name"],
        bool(row["lags"]),
        row["is_behind"],
        row["waiting"],
        row["late"],
        row["failures"],
        row["fault"] or "",
    )


def _entry(standing: Standing) -> Entry:
    details: Mapping[str, Json] = {"channel": standing.name}
    # Each channel is an actor of its own: else one that fails would be folded into the alert about another.
    actor = f"{WRITER}/{standing.name}"
    if not standing.lags:
        return Entry(Kind.DELIVERY_BACK, actor, details=details)
    waiting = amount(standing.waiting, "letter waits", "letters wait")
    tries = amount(standing.failures, "try")
    why = f"{standing.name}: {waiting}, the oldest for {standing.late} s; {tries}"
    said = {**details, "waiting": standing.waiting, "seconds": standing.late, "failures": standing.failures}
    return Entry(
        Kind.DELIVERY_BEHIND,
        actor,
        code="delivery_behind",
        details={**said, "fault": standing.fault, "why": f"{why} failed ({standing.fault or 'nobody sends'})"},
    )
