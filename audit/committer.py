"""Group commit: what concurrent callers hand in while one batch is being written goes out together in the next."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from .drafts import Draft
from .errors import AuditError, NotRecorded

LARGEST_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where and when an entry was written, durably, and the control epoch of that moment."""

    seq: int
    at: datetime
    epoch: int


Outcome = Recorded | AuditError


@dataclass(slots=True, eq=False)
class Slip:
    """One caller's entry and the epoch it was decided under; `outcome` is there once `settled` is released."""

    draft: Draft
    epoch: int | None
    outcome: Outcome | None = None
    settled: threading.Lock = field(default_factory=threading.Lock)


class Committer:
    """One thread that gives `write` everything that is waiting, at once when idle.

    `write` returns one outcome for each slip, in order, or raises the `NotRecorded` that is everybody's.
    """

    def __init__(self, write: Callable[[Sequence[Slip]], Sequence[Outcome]]) -> None:
        self._write = write
        self._waiting: list[Slip] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="remit-ledger", daemon=True)
        self._thread.start()

    def submit(self, draft: Draft, epoch: int | None) -> Recorded:
        """Waits until `draft` is durable. Raises the `AuditError` that kept it from being so."""
        slip = Slip(draft, epoch)
        slip.settled.acquire()
        with self._changed:
            if self._closed:
                raise NotRecorded("the ledger is closed")
            self._waiting.append(slip)
            if len(self._waiting) == 1:
                self._changed.notify()
        slip.settled.acquire()
        if isinstance(slip.outcome, Recorded):
            return slip.outcome
        raise slip.outcome or NotRecorded("the ledger's writer ended before this entry was written")

    def close(self) -> None:
        """Writes what is waiting and ends the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while batch := self._next():
                self._settle(batch)
        finally:
            with self._changed:
                self._closed = True
                left, self._waiting = self._waiting, []
            _release(left)

    def _next(self) -> Sequence[Slip]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
            return batch

    def _settle(self, batch: Sequence[Slip]) -> None:
        outcomes: Sequence[Outcome | None] = [None] * len(batch)
        try:
            outcomes = self._write(batch)
        except NotRecorded as fault:
            # One each: threads that raise the same exception would share its traceback.
            outcomes = [type(fault)(*fault.args) for _ in batch]
        finally:
            for slip, outcome in zip(batch, outcomes, strict=True):
                slip.outcome = outcome
            _release(batch)


def _release(slips: Sequence[Slip]) -> None:
    for slip in slips:
        slip.settled.release()
