"""Pauses as they are kept: a deny above all rules, with its reason, that outlives a restart. Two people lift one."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from audit.entries import Entry, Kind
from audit.ledger import Ledger
from policy.values import Pause, Principal

from .permit import Permitted
from .tables import PAUSES


@dataclass(frozen=True, slots=True)
class Proposed:
    """Who wants a pause to be lifted, since when and why; somebody else has to agree."""

    by: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class PauseInForce:
    """A pause with its id, who set it and when, for which alert, and who wants it lifted."""

    id: str
    pause: Pause
    set_by: str
    set_at: datetime
    alert: int | None = None
    proposed: Proposed | None = None


class PauseStore:
    """The pauses in force; setting and lifting one raises the control epoch with its entry."""

    def __init__(self, engine: Engine, ledger: Ledger) -> None:
        # What changes a pause goes through the ledger; all else is one statement, which needs no BEGIN and COMMIT.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._ledger = ledger

    def in_force(self) -> tuple[PauseInForce, ...]:
        """Every pause in force, in the order in which they were set."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(PAUSES).order_by(PAUSES.c.set_at, PAUSES.c.id)).all()
        return tuple(map(_pause, rows))

    def get(self, id: str) -> PauseInForce | None:
        """The pause with this id; None where there is none."""
        with self._engine.connect() as connection:
            row = connection.execute(select(PAUSES).where(PAUSES.c.id == id)).one_or_none()
        return _pause(row) if row else None

    def set(self, pause: Pause, *, by: Principal, at: datetime, under: Permitted) -> PauseInForce:
        """Pause reading from the commit of this on, in every process."""
        made: list[PauseInForce] = []

        def work(connection: Connection) -> Sequence[Entry]:
            one, entry = self.put(connection, pause, by=by, at=at, under=under)
            made.append(one)
            return [entry]

        self._ledger.change(work, epoch=under.epoch)
        return made[-1]

    def put(
        self,
        connection: Connection,
        pause: Pause,
        *,
        by: Principal,
        at: datetime,
        under: Permitted,
        alert: int | None = None,
    ) -> tuple[PauseInForce, Entry]:
        """As `set`, within a change of the ledger: the pause, for an alert where one is named, and its entry."""
        one = PauseInForce(f"p-{at:%Y%m%d%H%M%S}-{secrets.token_hex(5)}", pause, by.name, at, alert)
        connection.execute(
            insert(PAUSES).values(
                id=one.id,
                kind=pause.kind,
                target=pause.target,
                reason=pause.reason,
                set_by=by.name,
                set_at=at,
                alert=alert,
            )
        )
        return one, _entry(Kind.PAUSE_SET, one, by, under)

    def propose(self, one: PauseInForce, *, by: Principal, at: datetime, why: str, under: Permitted) -> bool:
        """Say that a pause should be lifted; whether that was the first such word. Reading stays paused."""

        def work(connection: Connection) -> Sequence[Entry]:
            first = PAUSES.c.id == one.id, PAUSES.c.proposed_by.is_(None)
            said = {"proposed_by": by.name, "proposed_at": at, "proposed_why": why}
            changed = connection.execute(update(PAUSES).where(*first).values(**said))
            return [_entry(Kind.PAUSE_LIFT_PROPOSED, one, by, under, why=why)] if changed.rowcount else []

        return bool(self._ledger.change(work, raises_epoch=False, epoch=under.epoch))

    def lift(self, one: PauseInForce, *, by: Principal, why: str, under: Permitted) -> bool:
        """Lift a pause that somebody other than `by` proposed to lift; False where that does not hold any more."""

        def work(connection: Connection) -> Sequence[Entry]:
            agreed = PAUSES.c.id == one.id, PAUSES.c.proposed_by != by.name
            row = connection.execute(delete(PAUSES).where(*agreed).returning(PAUSES)).one_or_none()
            if row is None:
                return []
            return [_entry(Kind.PAUSE_LIFTED, _pause(row), by, under, why=why, proposed_by=row.proposed_by)]

        return bool(self._ledger.change(work, epoch=under.epoch))


def _pause(row: Row[Any]) -> PauseInForce:
    proposed = Proposed(row.proposed_by, row.proposed_at, row.proposed_why) if row.proposed_by else None
    pause = Pause(row.kind, row.target, row.reason)
    return PauseInForce(row.id, pause, row.set_by, row.set_at, row.alert, proposed)


def _entry(kind: Kind, one: PauseInForce, by: Principal, under: Permitted, **said: str) -> Entry:
    pause = one.pause
    return Entry(
        kind,
        actor=by.name,
        teams=by.teams,
        dataset=pause.target if pause.kind == "dataset" else None,
        purpose=pause.target if pause.kind == "purpose" else None,
        digest=under.bundle.digest,
        details={
            "pause": one.id,
            "what": pause.kind,
            "target": pause.target,
            "reason": pause.reason,
            **({"alert": one.alert} if one.alert else {}),
            **said,
        },
    )
