"""The dead man's switch: alerting that stands still is an alert, told past the follower that should have told it.

Every gateway looks whether the cursor moves while the ledger grows. Whichever sees first that it does not writes the
entry, its alert and its letters in one transaction; the follower, when it is back, finds the alert there.
"""

from collections.abc import Callable, Mapping, Sequence

import structlog
from sqlalchemy import Connection, Engine, text

from policy.amounts import amount

from .alerts import Alerts
from .entries import WRITER, Entry, Json, Kind
from .ledger import Ledger

STANDS_STILL = 60
"""Seconds without a step, while there is something to follow, after which alerting is blind."""
UNWATCHED = 30
"""Seconds without a look after which nobody knows since when: a whole service that was stopped is no blindness."""

LOOK = text("""
    UPDATE alerting SET watched_at = clock_timestamp(), moved_seq = cursor.seq, moved_at = CASE
        WHEN cursor.seq <> moved_seq OR cursor.seq >= head.size
            OR watched_at < clock_timestamp() - make_interval(secs => :unwatched)
        THEN clock_timestamp() ELSE moved_at END
    FROM alert_cursor cursor, audit_head head
    RETURNING extract(epoch FROM clock_timestamp() - moved_at)::bigint AS still, is_blind, cursor.seq, head.size
""")
SAY = text("UPDATE alerting SET is_blind = :is_blind WHERE is_blind <> :is_blind")

log = structlog.get_logger()


class Watchman:
    """One gateway's. `told` is called when letters were written. Faults are SQLAlchemy's, or `NotRecorded`."""

    def __init__(self, engine: Engine, ledger: Ledger, alerts: Alerts, told: Callable[[], object]) -> None:
        self._engine, self._ledger, self._alerts, self._told = engine, ledger, alerts, told

    def look(self) -> None:
        """Look whether alerting moves, and say where that has changed."""
        with self._engine.begin() as connection:
            still, was_blind, cursor, size = connection.execute(LOOK, {"unwatched": UNWATCHED}).one()
        is_blind = still > STANDS_STILL
        if is_blind == was_blind:
            return
        log.error("alerting_stands_still", seconds=still) if is_blind else log.info("alerting_moves_again")
        entry = _entry(int(still), int(size) - int(cursor)) if is_blind else Entry(Kind.ALERTING_BACK, WRITER)

        def work(connection: Connection) -> Sequence[Entry]:
            if not connection.execute(SAY, {"is_blind": is_blind}).rowcount:
                return []
            return self._alerts.raise_at_once(connection, entry) if is_blind else [entry]

        self._ledger.change(work, raises_epoch=False)
        self._told()


def _entry(seconds: int, entries: int) -> Entry:
    why = f"{amount(entries, 'entry was', 'entries were')} not looked at for {seconds} s"
    details: Mapping[str, Json] = {"seconds": seconds, "entries": entries, "why": why}
    return Entry(Kind.ALERTING_BLIND, WRITER, code="alerting_blind", details=details)
