"""Pauses as they are kept: a deny above all rules, with its reason, that outlives a restart."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, delete, insert, select

from audit.entries import Entry, Kind
from audit.ledger import Ledger
from audit.tables import PAUSES
from policy.values import Pause, Principal

from .permit import Permitted


@dataclass(frozen=True, slots=True)
class PauseInForce:
    """A pause with its id, who set it and when."""

    id: str
    pause: Pause
    set_by: str
    set_at: datetime


class PauseStore:
    """The pauses in force; setting and lifting one raises the control epoch with its entry."""

    def __init__(self, engine: Engine, ledger: Ledger) -> None:
        self._engine = engine
        self._ledger = ledger

    def in_force(self) -> tuple[PauseInForce, ...]:
        """Every pause in force, in the order in which they were set."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(PAUSES).order_by(PAUSES.c.set_at, PAUSES.c.id)).all()
        return tuple(
            PauseInForce(row.id, Pause(row.kind, row.target, row.reason), row.set_by, row.set_at) for row in rows
        )

    def set(self, pause: Pause, *, by: Principal, at: datetime, under: Permitted) -> PauseInForce:
        """Pause reading from the commit of this on, in every process."""
        one = PauseInForce(f"p-{at:%Y%m%d%H%M%S}-{secrets.token_hex(5)}", pause, by.name, at)

        def work(connection: Connection) -> Sequence[Entry]:
            connection.execute(
                insert(PAUSES).values(
                    id=one.id, kind=pause.kind, target=pause.target, reason=pause.reason, set_by=by.name, set_at=at
                )
            )
            return [_entry(Kind.PAUSE_SET, one, by, under)]

        self._ledger.change(work, epoch=under.epoch)
        return one

    def lift(self, id: str, *, by: Principal, why: str, under: Permitted) -> PauseInForce | None:
        """Lift a pause; None where there is none with this id."""
        lifted: list[PauseInForce] = []

        def work(connection: Connection) -> Sequence[Entry]:
            row = connection.execute(delete(PAUSES).where(PAUSES.c.id == id).returning(PAUSES)).one_or_none()
            if row is None:
                return []
            lifted.append(PauseInForce(row.id, Pause(row.kind, row.target, row.reason), row.set_by, row.set_at))
            return [_entry(Kind.PAUSE_LIFTED, lifted[0], by, under, why)]

        self._ledger.change(work, epoch=under.epoch)
        return lifted[0] if lifted else None


def _entry(kind: Kind, one: PauseInForce, by: Principal, under: Permitted, why: str | None = None) -> Entry:
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
            **({"why": why} if why else {}),
        },
    )
