"""What two people accept by name though it should stay closed: what would be open of one alert's hold checks.

It is asked with the alert's own pauses thought away, as when the alert is resolved; so it can be accepted while it is
still contained. What was accepted is asked no more, until the alert is resolved anew.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from audit.entries import Entry, Json, Kind
from audit.ledger import Ledger
from audit.signals import Alert
from policy.bundle import Bundle
from policy.holding import Ways
from policy.values import Principal

from .accesses import access_to_json
from .gate import NEEDED, Acceptance, put_acceptance
from .holds import MOST_TOLD, Check, Holds, sentence
from .pauses import PauseStore
from .permit import Permitted
from .tables import BUNDLE_ACCEPTANCES, HOLD_CHECKS


@dataclass(frozen=True, slots=True)
class Opened:
    """What would be open of an alert's checks, each with the ways that would be."""

    alert: Alert
    found: tuple[tuple[Check, Ways], ...]

    @property
    def name(self) -> str:
        """The digest by which just this is accepted; after the alert counted again, it is another."""
        said = [
            [access_to_json(check.held.access), check.dataset, ways.by_rules, ways.whole] for check, ways in self.found
        ]
        text = json.dumps([self.alert.id, self.alert.last_seq, said], sort_keys=True)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class Acceptances:
    """Faults are SQLAlchemy's, `NotRecorded`, or `StaleEpoch` where what is in force has changed meanwhile."""

    def __init__(self, ledger: Ledger, holds: Holds, pauses: PauseStore, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._holds = holds
        self._pauses = pauses
        self._clock = clock

    def opened(self, alert: Alert, bundle: Bundle) -> Opened:
        """What would be open under `bundle` without the alert's own pauses."""
        pauses = [one.pause for one in self._pauses.in_force() if one.alert != alert.id]
        checks = self._holds.all(alert.id)
        ways = self._holds.ask(checks, bundle, pauses, self._clock())
        return Opened(
            alert, tuple(each for each in zip(checks, ways, strict=True) if each[1].by_rules or each[1].whole)
        )

    def accept(self, opened: Opened, *, by: Principal, why: str, under: Permitted) -> Acceptance:
        """Say that just this may be open; once enough people have, it is not asked any more."""
        alert, name = opened.alert, opened.name
        accepted: list[str] = []

        def work(connection: Connection) -> Sequence[Entry]:
            put_acceptance(connection, name, [alert.id], by=by, why=why, at=self._clock())
            query = select(BUNDLE_ACCEPTANCES.c.by).where(BUNDLE_ACCEPTANCES.c.digest == name)
            accepted.extend(sorted(connection.execute(query).scalars()))
            if len(accepted) >= NEEDED:
                _let_go(connection, opened)
            return [_entry(opened, accepted, by, why)]

        self._ledger.change(work, raises_epoch=False, epoch=under.epoch)
        return Acceptance(name, (alert.id,), tuple(accepted))


def _let_go(connection: Connection, opened: Opened) -> None:
    """What was accepted does not count from now on."""
    for check, ways in opened.found:
        counts = {
            "counts_rules": check.held.by_rules and not ways.by_rules,
            "counts_whole": check.held.whole and not ways.whole,
            "open_rules": False,
            "open_whole": False,
        }
        own = HOLD_CHECKS.c.alert == check.alert, HOLD_CHECKS.c.number == check.number
        connection.execute(update(HOLD_CHECKS).where(*own).values(counts))


def _entry(opened: Opened, accepted: Sequence[str], by: Principal, why: str) -> Entry:
    alert = opened.alert
    accesses = [check.held.access for check, _ in opened.found]
    details: dict[str, Json] = {
        "alert": alert.id,
        "offered": opened.name,
        "accesses": [access_to_json(access) for access in accesses[:MOST_TOLD]],
        "in_all": len(accesses),
        "opens": "; ".join(sentence(access) for access in accesses[:3]),
        "by": list(accepted),
        "is_enough": len(accepted) >= NEEDED,
        "why": why,
    }
    return Entry(Kind.HOLD_ACCEPTED, by.name, by.teams, dataset=alert.dataset, code=alert.code, details=details)
