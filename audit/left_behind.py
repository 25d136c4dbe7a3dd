"""Ends for the reads of gateways that die while others live, or did before this one started.

One is gone whose lock was free at two looks in a row, with longer between them than a gateway streams on that cannot
confirm the control epoch (2 seconds): after a crash of the database every lock is free until its holder is back.
"""

import structlog

from .ledger import Ledger

log = structlog.get_logger()

APART = 3.0
"""Seconds between two looks."""


class LeftBehind:
    """`look` is to be called every `APART` seconds, for as long as this gateway lives."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._missing: frozenset[str] = frozenset()

    def look(self) -> int:
        """How many reads it closed. Raises `NotRecorded` on a fault of the database; then nobody was looked at."""
        before, self._missing = self._missing, frozenset()
        missing = self._ledger.missing()
        closed = len(self._ledger.close_orphans(missing & before)) if missing & before else 0
        self._missing = missing
        if closed:
            log.info("orphan_reads_closed", reads=closed)
        return closed
