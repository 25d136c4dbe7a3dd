"""The alerts that are kept: raised and counted by the follower, listed and acknowledged by people."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import Connection, Engine, bindparam, select, update

from .alert_rows import COUNTED, LARGEST_ID, RAISED, alert_of, counts_of, held, known_to, row_of
from .alert_tables import ALERT_CURSOR, ALERTS
from .drafts import stamp
from .entries import WRITER, Entry, Kind
from .folding import Folded, fold
from .ledger import Ledger
from .mending import Mended
from .outbox import call
from .reopening import reopened
from .severities import Severity
from .signals import Alert, signal_of
from .states import Event, State
from .steps import Doing, step
from .tables import AUDIT_HEAD

_MOVED = update(ALERT_CURSOR).where(ALERT_CURSOR.c.seq == bindparam("after")).values(seq=bindparam("upto"))


class Alerts:
    """Every alert there is. Faults of the database are SQLAlchemy's, or `NotRecorded` where an entry was to be written.

    `clock` gives aware UTC times, for acknowledgements; what is raised has its entries' times.
    """

    def __init__(self, engine: Engine, ledger: Ledger, *, clock: Callable[[], datetime]) -> None:
        self._engine, self._ledger, self._clock = engine, ledger, clock

    def list(self, *, before: int | None = None, limit: int = 100, state: str | None = None) -> tuple[Alert, ...]:
        """Newest first, at most `limit`; `before` is the id of the last one of the page before."""
        query = select(ALERTS).order_by(ALERTS.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(ALERTS.c.id < min(before, LARGEST_ID))
        if state is not None:
            query = query.where(ALERTS.c.state == state)
        with self._engine.connect() as connection:
            return tuple(alert_of(row) for row in connection.execute(query).mappings())

    def get(self, id: int) -> Alert | None:
        """The alert with this id; None where there is none."""
        if not 0 < id <= LARGEST_ID:
            return None
        with self._engine.connect() as connection:
            row = connection.execute(select(ALERTS).where(ALERTS.c.id == id)).mappings().one_or_none()
        return alert_of(row) if row else None

    def acknowledge(self, id: int, *, by: str, why: str, teams: Sequence[str] = ()) -> Alert | None:
        """Take an alert on and write `alert.acknowledged`, both or neither; None where there is none.

        One that somebody took on already, or that is over, stays as it is, and nothing is written.
        """
        alert = self.get(id)
        if alert is None or alert.acknowledged_by is not None:
            return alert

        def work(connection: Connection) -> Sequence[Entry]:
            alert = held(connection, id)
            if alert is None or alert.acknowledged_by is not None:
                return []
            doing = Doing(Event.ACKNOWLEDGED, by, why, self._clock(), tuple(teams))
            return _those(step(connection, alert, doing))

        self._ledger.change(work, raises_epoch=False)
        return self.get(id)

    def uncontained(self, worst: Severity, since: datetime) -> tuple[Alert, ...]:
        """Alerts of `worst` or worse that counted since then, are of a dataset, and neither contained nor over."""
        loose = (State.OPEN, State.ACKNOWLEDGED, State.REOPENED)
        query = select(ALERTS).where(
            ALERTS.c.severity <= int(worst), ALERTS.c.last_at >= since, ALERTS.c.state.in_(loose)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(ALERTS.c.dataset.is_not(None)).order_by(ALERTS.c.id)).mappings()
            return tuple(alert_of(row) for row in rows)

    def take(
        self, signals: Sequence[Alert], mended: Sequence[Mended] = (), *, after: int, upto: int
    ) -> tuple[Alert, ...] | None:
        """Fold the signals of the entries `after` < seq ≤ `upto`, move the cursor; what was raised, oldest first.

        What a signal opens again is among it; what is `mended` is resolved.

        All in one transaction that holds the cursor's row, so that each entry counts once however many gateways
        follow the ledger and wherever one of them stops. None where another has moved the cursor meanwhile.
        """
        with self._engine.begin() as connection:
            if not _moves_cursor(connection, after, upto):
                return None
            # All who append wait for whoever has the ledger's head. Under its lock is only what needs it: entries, and
            # rows that others lock under it too. To open an alert again is a step, which does.
            late = signals if any(signal.reopens for signal in signals) else ()
            folded = _fold(connection, () if late else signals)
            raised = _inserted(connection, folded)
            if not (raised or late or mended):
                _count(connection, folded)
                return ()

            def work(connection: Connection) -> Sequence[Entry]:
                again = reopened(connection, late, self._clock())
                rest = _fold(connection, again.rest)
                new = raised + _inserted(connection, rest)
                _count(connection, folded)
                _count(connection, rest)
                raised[:] = [*again.alerts, *new]
                entries = [*again.entries, *map(_raised, new)]
                return entries + _mended(connection, mended, self._clock(), behind=len(entries))

            self._ledger.change_within(connection, work, raises_epoch=False)
        return tuple(raised)

    def raise_at_once(self, connection: Connection, entry: Entry) -> Sequence[Entry]:
        """Raise what `entry` says without waiting for the follower; the entries to write, `entry` first.

        For the work of a `Ledger.change`, which holds the head: so the number that `entry` will have is known. Where
        there is such an alert already, the follower counts the entry when it comes to it, and otherwise not again.
        """
        seq = 1 + int(connection.execute(select(AUDIT_HEAD.c.size)).scalar_one())
        signal = signal_of(seq, {**asdict(entry), "at": stamp(self._clock())})
        return [entry, *map(_raised, _inserted(connection, _fold(connection, [signal] if signal else ())))]


def _moves_cursor(connection: Connection, after: int, upto: int) -> bool:
    """Whether the cursor was at `after`; then it is at `upto`, and nobody else's until the transaction ends."""
    return bool(connection.execute(_MOVED, {"after": after, "upto": upto}).rowcount)


def _fold(connection: Connection, signals: Sequence[Alert]) -> Folded:
    if not signals:
        return Folded((), ())
    return fold(known_to(connection, signals), signals)


def _inserted(connection: Connection, folded: Folded) -> list[Alert]:
    """The raised alerts as they are kept, with what is to be told about them."""
    if not folded.raised:
        return []
    ids = connection.execute(RAISED, [row_of(alert) for alert in folded.raised]).scalars()
    stored = [replace(alert, id=id) for alert, id in zip(folded.raised, ids, strict=True)]
    call(connection, stored)
    return stored


def _count(connection: Connection, folded: Folded) -> None:
    if folded.counted:
        connection.execute(COUNTED, [counts_of(alert) for alert in folded.counted])


def _mended(connection: Connection, mended: Sequence[Mended], at: datetime, *, behind: int) -> list[Entry]:
    """Resolve the alerts that each of `mended` ends; their entries."""
    entries: list[Entry] = []
    for over in mended:
        ended = select(ALERTS).where(
            ALERTS.c.code == over.code, ALERTS.c.state != State.RESOLVED, ALERTS.c.last_seq < over.seq
        )
        for row in connection.execute(ended.order_by(ALERTS.c.id).with_for_update()).mappings().all():
            doing = Doing(Event.RESOLVED, WRITER, over.why, at, details={"entry": over.seq})
            entries += _those(step(connection, alert_of(row), doing, behind=behind + len(entries)))
    return entries


def _those(entry: Entry | None) -> list[Entry]:
    return [] if entry is None else [entry]


def _raised(alert: Alert) -> Entry:
    return Entry(
        Kind.ALERT_RAISED,
        actor=WRITER,
        dataset=alert.dataset,
        grant=alert.grant,
        code=alert.code,
        details={
            "alert": alert.id,
            "severity": str(alert.severity),
            "principal": alert.actor,
            "data_classes": sorted(alert.data_classes),
            "entries": alert.evidence.entries,
        },
    )
