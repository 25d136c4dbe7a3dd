"""The alerts that are kept: raised and counted by the follower, listed and acknowledged by people."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, bindparam, insert, select, update

from .drafts import stamp
from .entries import Entry, Kind
from .folding import QUIET, Folded, fold
from .ledger import Ledger
from .letters import Event
from .outbox import enqueue
from .severities import Severity
from .signals import Alert, Evidence, signal_of
from .tables import ALERT_CURSOR, ALERTS, AUDIT_HEAD

WRITER = "remit"
"""The actor of `alert.raised`: nobody in person."""
_LARGEST_ID = 2**63 - 1
_SAME = tuple(
    {field.name for field in fields(Alert)}
    & {column.name for column in ALERTS.c} - {"id", "severity", "data_classes", "evidence"}
)
"""What is in the table as it is in an `Alert`."""


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
            query = query.where(ALERTS.c.id < min(before, _LARGEST_ID))
        if state is not None:
            query = query.where(ALERTS.c.state == state)
        with self._engine.connect() as connection:
            return tuple(_alert_of(row) for row in connection.execute(query).mappings())

    def get(self, id: int) -> Alert | None:
        """The alert with this id; None where there is none."""
        if not 0 < id <= _LARGEST_ID:
            return None
        with self._engine.connect() as connection:
            row = connection.execute(select(ALERTS).where(ALERTS.c.id == id)).mappings().one_or_none()
        return _alert_of(row) if row else None

    def acknowledge(self, id: int, *, by: str, why: str, teams: Sequence[str] = ()) -> Alert | None:
        """Acknowledge an open alert and write `alert.acknowledged`, both or neither; None where there is none.

        One that is not open stays as it is, with whoever acknowledged it first, and nothing is written.
        """
        alert = self.get(id)
        if alert is None or alert.state != "open":
            return alert

        def work(connection: Connection) -> Sequence[Entry]:
            changed = connection.execute(
                update(ALERTS)
                .where(ALERTS.c.id == id, ALERTS.c.state == "open")
                .values(
                    state="acknowledged",
                    acknowledged_by=by,
                    acknowledged_at=self._clock(),
                    acknowledged_why=why,
                )
            )
            if not changed.rowcount:
                return []
            enqueue(connection, alert, Event.ACKNOWLEDGED, by=by, why=why)
            return [_acknowledged(alert, by, tuple(teams), why)]

        self._ledger.change(work, raises_epoch=False)
        return self.get(id)

    def take(self, signals: Sequence[Alert], *, after: int, upto: int) -> tuple[Alert, ...]:
        """Fold the signals of the entries `after` < seq ≤ `upto`, move the cursor; what was raised, oldest first.

        All in one transaction that holds the cursor's row, so that each entry counts once however many gateways
        follow the ledger and wherever one of them stops. Nothing where another has moved the cursor meanwhile.
        """
        with self._engine.begin() as connection:
            if not _hold_cursor(connection, after):
                return ()
            folded = _fold(connection, signals)
            if not folded.raised:
                _store(connection, folded, upto)
                return ()
        raised: list[Alert] = []

        # Raising writes entries, and the ledger's head has to be locked before the cursor: hence once more, in order.
        def work(connection: Connection) -> Sequence[Entry]:
            if _hold_cursor(connection, after):
                raised.extend(_store(connection, _fold(connection, signals), upto))
            return [_raised(alert) for alert in raised]

        self._ledger.change(work, raises_epoch=False)
        return tuple(raised)

    def raise_at_once(self, connection: Connection, entry: Entry) -> Sequence[Entry]:
        """Raise what `entry` says without waiting for the follower; the entries to write, `entry` first.

        For the work of a `Ledger.change`, which holds the head: so the number that `entry` will have is known. Where
        there is such an alert already, the follower counts the entry when it comes to it, and otherwise not again.
        """
        seq = 1 + int(connection.execute(select(AUDIT_HEAD.c.size)).scalar_one())
        signal = signal_of(seq, {**asdict(entry), "at": stamp(self._clock())})
        raised = _fold(connection, [signal]).raised if signal else ()
        return [entry, *(_raised(_insert(connection, alert)) for alert in raised)]


def _hold_cursor(connection: Connection, after: int) -> bool:
    return bool(connection.execute(select(ALERT_CURSOR.c.seq).with_for_update()).scalar_one() == after)


def _fold(connection: Connection, signals: Sequence[Alert]) -> Folded:
    if not signals:
        return Folded((), ())
    known = connection.execute(
        select(ALERTS).where(
            ALERTS.c.actor.in_({signal.actor for signal in signals}),
            ALERTS.c.last_at >= min(signal.last_at for signal in signals) - QUIET,
        )
    ).mappings()
    return fold(map(_alert_of, known), signals)


def _store(connection: Connection, folded: Folded, upto: int) -> tuple[Alert, ...]:
    connection.execute(update(ALERT_CURSOR).values(seq=upto))
    if folded.counted:
        connection.execute(_COUNTED, [_counts_of(alert) for alert in folded.counted])
    return tuple(_insert(connection, alert) for alert in folded.raised)


def _insert(connection: Connection, alert: Alert) -> Alert:
    """The alert as it is kept, with what is to be told about it."""
    id = connection.execute(insert(ALERTS).values(_row_of(alert)).returning(ALERTS.c.id)).scalar_one()
    stored = replace(alert, id=id)
    enqueue(connection, stored, Event.RAISED)
    return stored


# Only what counting changes: an acknowledgement that commits meanwhile is not undone.
_COUNTED = (
    update(ALERTS)
    .where(ALERTS.c.id == bindparam("of"))
    .values({name: bindparam(f"new_{name}") for name in ("count", "last_seq", "last_at", "evidence")})
)


def _counts_of(alert: Alert) -> dict[str, Any]:
    return {
        "of": alert.id,
        "new_count": alert.count,
        "new_last_seq": alert.last_seq,
        "new_last_at": alert.last_at,
        "new_evidence": asdict(alert.evidence),
    }


def _row_of(alert: Alert) -> dict[str, Any]:
    row = {name: getattr(alert, name) for name in _SAME}
    return row | {
        "severity": int(alert.severity),
        "grant_id": alert.grant,
        "data_classes": sorted(alert.data_classes),
        "evidence": asdict(alert.evidence),
    }


def _alert_of(row: RowMapping) -> Alert:
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


def _acknowledged(alert: Alert, by: str, teams: tuple[str, ...], why: str) -> Entry:
    return Entry(
        Kind.ALERT_ACKNOWLEDGED,
        actor=by,
        teams=teams,
        dataset=alert.dataset,
        grant=alert.grant,
        code=alert.code,
        details={"alert": alert.id, "severity": str(alert.severity), "principal": alert.actor, "why": why},
    )
