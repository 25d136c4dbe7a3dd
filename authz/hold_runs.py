"""Every minute: is what was closed still closed? One gateway at a time asks all hold checks of what is in force.

What changes is an entry at once, and one each hour says how often it was asked; none of them delivers any data.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import structlog
from sqlalchemy import Connection, Engine, text

from audit.entries import WRITER, Entry, Kind
from audit.ledger import Ledger
from policy.holding import Ways

from .control import State
from .holds import Check, Holds, by_way, put_ways, told

log = structlog.get_logger()

HOLDING = 7237124811
"""The advisory lock of whoever runs the checks; any number, as long as it stays."""
TAKE = text("SELECT pg_try_advisory_lock(:key)")
LEAVE = text("SELECT pg_advisory_unlock(:key)")
DUE = text("SELECT now() - at >= interval '1 minute', now() - said_at >= interval '1 hour', runs FROM hold_run")
RAN = text("UPDATE hold_run SET at = now(), runs = runs + 1")
SAID = text("UPDATE hold_run SET at = now(), said_at = now(), runs = 0")


class HoldRuns:
    """Runs the hold checks. Faults are SQLAlchemy's, `NotRecorded`, or `StaleEpoch`: then the next run comes soon."""

    def __init__(self, engine: Engine, ledger: Ledger, holds: Holds, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._ledger = ledger
        self._holds = holds
        self._clock = clock
        self._is_urgent = False

    def hurry(self) -> None:
        """Let the next run not wait for its minute: what is in force has changed."""
        self._is_urgent = True

    def run(self, state: Callable[[], State]) -> bool:
        """Ask every check under `state`, if a minute has passed since anybody did, or it is urgent; whether it was."""
        with self._turn() as turn:
            if turn is None:
                return False
            is_due, is_to_say, runs = turn.execute(DUE).one()
            if not (is_due or self._is_urgent):
                return False
            self._is_urgent = False
            checks = self._ask(state())
            if is_to_say and checks:
                self._ledger.append(_summary(checks, runs + 1))
            turn.execute(SAID if is_to_say and checks else RAN)
        return True

    @contextmanager
    def _turn(self) -> Iterator[Connection | None]:
        """A session that alone may run the checks, in no transaction: it may take long. None while another has it."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
            if not session.execute(TAKE, {"key": HOLDING}).scalar_one():
                yield None
                return
            try:
                yield session
            finally:
                session.execute(LEAVE, {"key": HOLDING})

    def _ask(self, state: State) -> list[tuple[Check, Ways]]:
        """Every check with what is open of it; what has changed is recorded with it, all or nothing."""
        checks = self._holds.all()
        ways = self._holds.ask(checks, state.bundle, state.pauses, self._clock())
        found = list(zip(checks, ways, strict=True))
        changed = [(check, now) for check, now in found if now != check.was]

        def work(connection: Connection) -> Sequence[Entry]:
            put_ways(connection, changed)
            return _changes(changed)

        if changed:
            for entry in self._ledger.change(work, raises_epoch=False, epoch=state.epoch):
                log.warning("hold_checks_changed", entry=entry.seq)
        return found


def _changes(changed: Sequence[tuple[Check, Ways]]) -> list[Entry]:
    opened = by_way((check, _only(now, check.was)) for check, now in changed)
    closed = by_way((check, _only(check.was, now)) for check, now in changed)
    entries = [told(Kind.HOLD_OPENED, alert, path, checks) for (alert, path), checks in sorted(opened.items())]
    return entries + [told(Kind.HOLD_CLOSED, alert, path, checks) for (alert, path), checks in sorted(closed.items())]


def _only(ways: Ways, other: Ways) -> Ways:
    """What is open in `ways` and not in `other`."""
    return Ways(ways.by_rules and not other.by_rules, ways.whole and not other.whole)


def _summary(found: Sequence[tuple[Check, Ways]], runs: int) -> Entry:
    return Entry(
        Kind.HOLD_CHECKED,
        WRITER,
        details={
            "runs": runs,
            "checks": len(found),
            "alerts": len({check.alert for check, _ in found}),
            "open_by_rules": sum(now.by_rules for _, now in found),
            "open_whole": sum(now.whole for _, now in found),
        },
    )
