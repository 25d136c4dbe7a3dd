"""Before a bundle is let in: what would it open again? It stays out, unless two people accept it by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects.postgresql import insert

from audit.entries import Entry, Json, Kind
from audit.ledger import Ledger
from policy.bundle import Bundle
from policy.holding import Ways
from policy.values import Principal

from .errors import BundleHeld
from .holds import Check, Holds, by_way, sentence, told
from .pauses import PauseStore
from .tables import BUNDLE_ACCEPTANCES

NEEDED = 2
"""People who have to accept a bundle that opens what was closed."""
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A bundle by its digest, the alerts whose hold checks it opens, and who has accepted just that."""

    digest: str
    alerts: tuple[int, ...]
    by: tuple[str, ...]

    @property
    def is_enough(self) -> bool:
        """Whether so many have accepted it that it may be let in."""
        return len(self.by) >= NEEDED


class Gate:
    """Asks the hold checks of a bundle that is about to be put in force. Faults are SQLAlchemy's, or `NotRecorded`."""

    def __init__(
        self, engine: Engine, ledger: Ledger, holds: Holds, pauses: PauseStore, clock: Callable[[], datetime]
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._holds = holds
        self._pauses = pauses
        self._clock = clock

    def pass_through(self, bundle: Bundle, *, actor: str) -> tuple[str, ...]:
        """Who accepted `bundle`, where anybody had to; raises `BundleHeld` where it stays out, which is recorded."""
        opened = self._opened(bundle)
        if not opened:
            return ()
        acceptance = self._acceptance(bundle.digest, opened)
        if acceptance.is_enough:
            return acceptance.by
        self._refuse(bundle, opened, actor)
        raise BundleHeld(bundle.digest, acceptance.alerts, _what(opened))

    def accept(self, bundle: Bundle, *, by: Principal, why: str) -> Acceptance:
        """Accept `bundle` with what it opens now. What would open beyond that has to be accepted anew.

        Where it opens nothing there is nothing to accept, and nothing is written.
        """
        opened = self._opened(bundle)
        alerts = _alerts(opened)
        details: dict[str, Json] = {
            "offered": bundle.digest,
            "alerts": list(alerts),
            "why": why,
            "opens": _what(opened),
        }

        def work(connection: Connection) -> Sequence[Entry]:
            put_acceptance(connection, bundle.digest, alerts, by=by, why=why, at=self._clock())
            return [Entry(Kind.POLICY_ACCEPTED, by.name, by.teams, details=details)]

        if opened:
            self._ledger.change(work, raises_epoch=False)
        return self._acceptance(bundle.digest, opened)

    def _opened(self, bundle: Bundle) -> Mapping[tuple[int, str], Sequence[Check]]:
        """What `bundle` opens that is not open anyway, by alert and way."""
        checks = self._holds.all()
        pauses = [one.pause for one in self._pauses.in_force()] if checks else []
        now = self._holds.ask(checks, bundle, pauses, self._clock())
        fresh = [
            (check, Ways(ways.by_rules and not check.was.by_rules, ways.whole and not check.was.whole))
            for check, ways in zip(checks, now, strict=True)
        ]
        return by_way(fresh)

    def _acceptance(self, digest: str, opened: Mapping[tuple[int, str], Sequence[Check]]) -> Acceptance:
        alerts = _alerts(opened)
        with self._engine.connect() as connection:
            found = connection.execute(select(BUNDLE_ACCEPTANCES).where(BUNDLE_ACCEPTANCES.c.digest == digest)).all()
        return Acceptance(digest, alerts, tuple(sorted(row.by for row in found if set(alerts) <= set(row.alerts))))

    def _refuse(self, bundle: Bundle, opened: Mapping[tuple[int, str], Sequence[Check]], actor: str) -> None:
        details: dict[str, Json] = {
            "offered": bundle.digest,
            "alerts": list(_alerts(opened)),
            "problems": [_what(opened)],
        }
        entries = [Entry(Kind.POLICY_REFUSED, actor, details=details)]
        entries += [
            told(Kind.HOLD_WOULD_OPEN, alert, path, checks, offered=bundle.digest, offered_by=actor)
            for (alert, path), checks in sorted(opened.items())
        ]
        self._ledger.change(lambda _: entries, raises_epoch=False)


def put_acceptance(
    connection: Connection, digest: str, alerts: Sequence[int], *, by: Principal, why: str, at: datetime
) -> None:
    """Write within a change of the ledger that somebody accepts what `digest` names; who says it again counts once."""
    said = insert(BUNDLE_ACCEPTANCES).values(digest=digest, by=by.name, alerts=list(alerts), why=why, at=at)
    again = {name: said.excluded[name] for name in ("alerts", "why", "at")}
    connection.execute(said.on_conflict_do_update(index_elements=["digest", "by"], set_=again))


def _alerts(opened: Mapping[tuple[int, str], Sequence[Check]]) -> tuple[int, ...]:
    return tuple(sorted({alert for alert, _ in opened}))


def _what(opened: Mapping[tuple[int, str], Sequence[Check]]) -> str:
    said = dict.fromkeys(sentence(check.held.access) for checks in opened.values() for check in checks)
    more = f"; and {len(said) - MOST_NAMED} more" if len(said) > MOST_NAMED else ""
    return "; ".join(list(said)[:MOST_NAMED]) + more
