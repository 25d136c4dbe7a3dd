"""Every read gets its end written: at once, or as soon as the database can be reached again.

A crash loses what waits here; then another gateway, or the next start, closes the read as interrupted (`left_behind`).
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType

import structlog
from sqlalchemy.exc import SQLAlchemyError

from audit.entries import Entry, Json, Kind
from audit.errors import NotRecorded
from audit.ledger import Ledger

from .grants import GrantStore
from .permit import Permit

log = structlog.get_logger()

NOBODYS: Mapping[str, Json] = MappingProxyType({"subjects": 0})
"""Of a read that contained no rows."""

RETRY_AFTER = 0.5
"""Seconds between tries while the database is away."""


class Endings:
    """Writes ends in the order in which they came; what fails is tried again. Gives back unused budget."""

    def __init__(self, ledger: Ledger, grants: GrantStore) -> None:
        self._ledger = ledger
        self._grants = grants
        self._waiting: deque[Entry] = deque()
        self._arrived = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="endings", daemon=True)

    @property
    def waiting(self) -> int:
        """How many ends could not be written yet."""
        return len(self._waiting)

    @property
    def is_running(self) -> bool:
        """Whether the thread that tries again lives."""
        return self._thread.is_alive()

    def __enter__(self) -> "Endings":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Try once more what waits, then stop; another gateway closes what is still open."""
        self._stopping.set()
        self._arrived.set()
        self._thread.join()

    def end(self, permit: Permit, kind: Kind, *, rows: int, ended_by: str, whose: Mapping[str, Json] = NOBODYS) -> None:
        """Write how a permitted read ended, after how many rows, and `whose` they were."""
        entry = Entry(
            kind,
            actor=permit.principal.name,
            teams=permit.principal.teams,
            read=permit.read,
            dataset=permit.plan.dataset.name,
            purpose=permit.plan.purpose,
            grant=permit.plan.grant.id,
            digest=permit.digest,
            details={"rows": rows, "ended_by": ended_by, **whose},
        )
        if self._waiting or not self._succeeds(lambda: self._ledger.append(entry)):
            self._waiting.append(entry)
            self._arrived.set()

    def refund(self, grant: str, rows: int) -> None:
        """Give `rows` of a budget back, if that can be done now: one that is tried twice could be given twice."""
        try:
            self._grants.refund(grant, rows)
        except SQLAlchemyError as fault:
            log.warning("refund_lost", grant=grant, rows=rows, fault=type(fault).__name__)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._arrived.wait()
            self._arrived.clear()
            while self._waiting and not self._stopping.is_set():
                if not self._first_succeeds():
                    self._stopping.wait(RETRY_AFTER)
        while self._waiting and self._first_succeeds():
            pass
        if self._waiting:
            log.warning("ends_left_to_the_next_start", ends=len(self._waiting))

    def _first_succeeds(self) -> bool:
        succeeded = self._succeeds(lambda: self._again(self._waiting[0]))
        if succeeded:
            self._waiting.popleft()
        return succeeded

    def _again(self, entry: Entry) -> None:
        """Write an end that failed, unless it was written all the same: a read has one end."""
        if entry.read is not None and self._ledger.is_open(entry.read):
            self._ledger.append(entry)

    def _succeeds(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except NotRecorded as fault:
            log.warning("end_not_written_yet", fault=type(fault).__name__)
            return False
        return True
