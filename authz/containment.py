"""Contain an alert, resolve it, lift what contained it. What is closed becomes a hold check in the same transaction.

What always holds:

- What contains is in force from the commit on, in every process: it raises the control epoch.
- An alert is resolved, and a pause lifted, only where its hold checks stay refused without that pause.
- A pause is lifted by two people, never by one twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, Engine

from audit.alert_rows import held
from audit.alerts import Alerts
from audit.entries import Entry
from audit.ledger import Ledger
from audit.severities import Document
from audit.signals import Alert
from audit.states import Event, State
from audit.steps import Doing, step
from audit.trail import named
from policy.bundle import Bundle
from policy.holding import Access, Held, is_touched
from policy.values import GrantStatus, Pause, Principal

from .accesses import accesses_of
from .grants import GrantStore
from .holds import Check, Holds, put
from .measures import Measure
from .pauses import PauseInForce, PauseStore
from .permit import Permitted


@dataclass(frozen=True, slots=True)
class StillOpen:
    """It is not done: these accesses would be open, and must not be."""

    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Lifting:
    """What became of a pause: lifted, or proposed to be lifted, by `pause.proposed`."""

    pause: PauseInForce
    is_lifted: bool


class Containment:
    """Everything that changes raises `NotRecorded`, or `StaleEpoch` where it was permitted under an older epoch."""

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        *,
        alerts: Alerts,
        grants: GrantStore,
        pauses: PauseStore,
        holds: Holds,
        clock: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._alerts = alerts
        self._grants = grants
        self._pauses = pauses
        self._holds = holds
        self._clock = clock

    def entries_of(self, alert: Alert) -> list[Document]:
        """The documents that an alert rests on, oldest first."""
        return [line.doc for line in reversed(named(self._engine, alert.evidence.entries))]

    def contain(
        self, alert: Alert, measure: Measure, *, by: Principal, why: str, under: Permitted, again: bool = True
    ) -> bool:
        """Do `measure` about `alert`, mark it contained and keep what must stay closed; False where it is over.

        Also false, without `again`, where it is contained by now: people may do more, a gateway does it once.
        """
        at = self._clock()
        in_force = self._pauses.in_force()
        reason = f"alert {alert.id}: {why}"
        pause = None if measure.kind == "grant" else Pause(measure.kind, measure.target, reason)
        suspended = measure.target if measure.kind == "grant" else None
        pauses = [one.pause for one in in_force] + ([pause] if pause else [])
        kept = self._holds.all(alert.id)
        helds = (
            [] if kept else self._holds.made(self._accesses(alert, under.bundle), under.bundle, pauses, at, suspended)
        )

        def work(connection: Connection) -> Sequence[Entry]:
            now = held(connection, alert.id)
            if now is not None and now.state == State.CONTAINED and not again:
                return []
            details = {"what": measure.kind, "target": measure.target}
            doing = Doing(Event.CONTAINED, by.name, why, at, by.teams, details)
            contained = step(connection, now, doing) if now else None
            if contained is None:
                return []
            entries = [contained]
            if suspended is not None:
                _, changed = self._grants.put_status(
                    connection, suspended, GrantStatus.SUSPENDED, by=by, why=reason, under=under
                )
                entries += changed
            elif pause is not None and not any(_is_same(one.pause, pause) for one in in_force):
                _, entry = self._pauses.put(connection, pause, by=by, at=at, under=under, alert=alert.id)
                entries.append(entry)
            return [*entries, put(connection, alert, helds)] if helds else entries

        return bool(self._ledger.change(work, epoch=under.epoch))

    def resolve(self, alert: Alert, *, by: Principal, why: str, under: Permitted) -> StillOpen | bool:
        """Say that `alert` is over, if what it was about stays refused without its own pauses; False where it is."""
        at = self._clock()
        pauses = [one.pause for one in self._pauses.in_force() if one.alert != alert.id]
        checks = self._holds.all(alert.id)
        if still := self._open(checks, under.bundle, pauses, at):
            return StillOpen(still)
        kept = [each.held for each in checks if not each.held.is_outsider]
        accesses = [each.access for each in kept] or list(self._accesses(alert, under.bundle))
        helds = _with_kept(kept, self._holds.made(accesses, under.bundle, pauses, at, None))

        def work(connection: Connection) -> Sequence[Entry]:
            now = held(connection, alert.id)
            resolved = step(connection, now, Doing(Event.RESOLVED, by.name, why, at, by.teams)) if now else None
            if resolved is None:
                return []
            return [resolved, put(connection, alert, helds)] if helds else [resolved]

        return bool(self._ledger.change(work, epoch=under.epoch))

    def lift(self, one: PauseInForce, *, by: Principal, why: str, under: Permitted) -> StillOpen | Lifting | None:
        """Propose to lift a pause, or lift it where somebody else proposed that; None where `by` did so themselves."""
        if one.proposed is not None and one.proposed.by == by.name:
            return None
        at = self._clock()
        others = [each.pause for each in self._pauses.in_force() if each.id != one.id]
        touched = [check for check in self._holds.all() if is_touched(check.held.access, one.pause, under.bundle)]
        if still := self._open(touched, under.bundle, others, at):
            return StillOpen(still)
        if one.proposed is None:
            self._pauses.propose(one, by=by, at=at, why=why, under=under)
            proposed = self._pauses.get(one.id)
            return Lifting(proposed or one, is_lifted=False)
        return Lifting(one, is_lifted=self._pauses.lift(one, by=by, why=why, under=under))

    def _open(
        self, checks: Sequence[Check], bundle: Bundle, pauses: Sequence[Pause], at: datetime
    ) -> tuple[Check, ...]:
        ways = self._holds.ask(checks, bundle, pauses, at)
        return tuple(check for check, now in zip(checks, ways, strict=True) if now.by_rules or now.whole)

    def _accesses(self, alert: Alert, bundle: Bundle) -> tuple[Access, ...]:
        return accesses_of(self.entries_of(alert), bundle)


def _with_kept(kept: Sequence[Held], made: Sequence[Held]) -> tuple[Held, ...]:
    """What is refused now, and what was when the alert was contained: that a grant is gone must not end that."""
    found = {each.access: each for each in kept}
    for each in made:
        was = found.get(each.access, each)
        found[each.access] = replace(each, by_rules=each.by_rules or was.by_rules, whole=each.whole or was.whole)
    return tuple(each for each in found.values() if each.by_rules or each.whole)


def _is_same(pause: Pause, other: Pause) -> bool:
    return (pause.kind, pause.target) == (other.kind, other.target)
