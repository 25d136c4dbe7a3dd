"""Group commit: what concurrent callers hand in while one batch is being written goes out together in the next.

Who finds nobody writing and nobody waiting writes its entry itself: a change of threads there and back costs a lone
caller more than the statement does.
"""

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


def _held() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class Slip:
    """One caller's entry and the epoch it was decided under; `outcome` is there once `settled` is released."""

    draft: Draft
    epoch: int | None
    outcome: Outcome | None = None
    settled: threading.Lock = field(default_factory=_held)


class Committer:
    """Gives `write` one entry, or by its one thread everything that is waiting; never two at the same time.

    `write` returns one outcome for each slip, in order, or raises the `NotRecorded` that is everybody's.
    """

    def __init__(self, write: Callable[[Sequence[Slip]], Sequence[Outcome]]) -> None:
        self._write = write
        self._waiting: list[Slip] = []
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="remit-ledger", daemon=True)
        self._thread.start()

    def submit(self, draft: Draft, epoch: int | None) -> Recorded:
        """Waits until `draft` is durable. Raises the `AuditError` that kept it from being so."""
        slip = Slip(draft, epoch)
        if not self._waiting and self._writing.acquire(blocking=False):
            try:
                self._refuse_closed()
                self._settle([slip])
            finally:
                self._writing.release()
        else:
            self._queue(slip)
        slip.settled.acquire()
        if isinstance(slip.outcome, Recorded):
            return slip.outcome
        raise slip.outcome or NotRecorded("the ledger's writer ended before this entry was written")

    def close(self) -> None:
        """Writes what is waiting and ends the thread; waits for whoever writes."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        with self._writing:
            pass

    def _refuse_closed(self) -> None:
        if self._closed:
            raise NotRecorded("the ledger is closed")

    def _queue(self, slip: Slip) -> None:
        with self._changed:
            self._refuse_closed()
            self._waiting.append(slip)
            if len(self._waiting) == 1:
                self._changed.notify()

    def _run(self) -> None:
        try:
            while self._is_awaited():
                with self._writing:
                    self._settle(self._next())
        finally:
            with self._changed:
                self._closed = True
                left, self._waiting = self._waiting, []
            _release(left)

    def _is_awaited(self) -> bool:
        """Waits until somebody does; False once the ledger is closed and nobody does any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return bool(self._waiting)

    def _next(self) -> Sequence[Slip]:
        with self._changed:
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
