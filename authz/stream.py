"""A governed stream: rows leave batch by batch, and before each one it is asked again whether they may."""

import threading
import time
from collections.abc import Callable
from datetime import datetime

import pyarrow as pa

from audit.entries import Kind

from .control import Control
from .counting import CountedRows
from .endings import Endings
from .errors import AuthzError, ReadStopped
from .grants import GrantStore
from .guard import Guard
from .permit import Permit

LONGEST = 3600.0
"""Seconds after which every stream ends."""

CHUNK = 1_048_576
"""Rows that are charged ahead to a budget, at most, before they leave; a crash keeps so many too many."""


class StreamEnded(AuthzError):
    """The stream may not go on: `ended_by` says why. What was sent so far must not look complete."""

    def __init__(self, ended_by: str) -> None:
        super().__init__(f"the stream was ended by {ended_by}")
        self.ended_by = ended_by


class GovernedStream:
    """Batches of one permitted read. Iterate `next_batch`, then call `complete` or `interrupt` exactly once.

    Only one thread iterates; `interrupt` may come from any thread. Every way out leaves one entry.
    """

    def __init__(
        self,
        permit: Permit,
        rows: CountedRows,
        *,
        guard: Guard,
        control: Control,
        grants: GrantStore,
        endings: Endings,
        clock: Callable[[], datetime],
        on_end: Callable[["GovernedStream"], None],
    ) -> None:
        self.permit = permit
        self.rows_out = 0
        self._rows = rows
        self._guard = guard
        self._control = control
        self._grants = grants
        self._endings = endings
        self._clock = clock
        self._on_end = on_end
        self._charged = 0
        self._started = time.monotonic()
        self._closing = threading.Lock()
        self._is_closed = False

    @property
    def schema(self) -> pa.Schema:
        """The answer's columns, in the order that was asked for."""
        return self._rows.schema

    @property
    def is_under_its_epoch(self) -> bool:
        """Whether nothing that is in force has changed since it was last asked; where it has, `confirm` looks again."""
        return not self._is_closed and self._control.state.epoch == self.permit.recorded.epoch

    def next_batch(self) -> pa.RecordBatch | None:
        """The next rows that may leave; None at the clean end.

        Raises `StreamEnded` where the read may not go on, `StoreFailed` where the store does not.
        """
        self.confirm()
        try:
            rows = self._rows.fetch(self.permit.recorded.epoch)
        except ReadStopped as stopped:
            raise StreamEnded("stopping") from stopped
        if rows is None:
            self._refuse_surprise()
            return None
        self.confirm()
        with self._closing:
            # Under the lock: once the end is written, nothing is charged, counted or given out any more.
            if self._is_closed:
                raise StreamEnded("stopping")
            self._charge(rows)
            batch = self._rows.admit()
            self.rows_out += batch.num_rows
        if self._rows.is_cut and not batch.num_rows:
            self._refuse_surprise()
            return None
        return batch

    def complete(self) -> None:
        """All rows have left: write the end."""
        self._close(Kind.READ_COMPLETED, self._clean_end())

    def interrupt(self, ended_by: str) -> None:
        """The stream breaks here: write the end, unless it was written before."""
        self._close(Kind.READ_INTERRUPTED, ended_by)

    def _refuse_surprise(self) -> None:
        """Raises `StreamEnded` where a budget of subjects cut a read that was promised more, or got nothing."""
        if self._rows.is_cut and not (self.rows_out and self._rows.was_told):
            raise StreamEnded("budget")

    def _clean_end(self) -> str:
        plan = self.permit.plan
        if self._rows.is_cut:
            return "budget"
        was_cut = plan.limit is not None and self.rows_out >= plan.limit
        return plan.limited_by or "end" if was_cut else "end"

    def confirm(self) -> None:
        """Ask again whether rows may go out; raises `StreamEnded` where they may not."""
        if self._is_closed:
            raise StreamEnded("stopping")
        if time.monotonic() - self._started > LONGEST:
            raise StreamEnded("an hour")
        if self._clock() >= self.permit.plan.grant.scope.ends:
            raise StreamEnded("expired")
        if not self._control.is_confirmed:
            raise StreamEnded("unconfirmed")
        if self._control.state.epoch != self.permit.recorded.epoch:
            again = self._guard.still(self.permit)
            if isinstance(again, str):
                raise StreamEnded(again)
            self.permit = again

    def _charge(self, rows: int) -> None:
        plan = self.permit.plan
        if plan.grant.scope.max_rows is None:
            return
        missing = self.rows_out + rows - self._charged
        if missing > 0:
            # As much again as was used so far: a small read never holds what another could have.
            ahead = min(CHUNK, self._charged, (plan.limit or 0) - self._charged)
            self._charged += self._grants.charge(plan.grant.id, max(missing, ahead))
        if self.rows_out + rows > self._charged:
            raise StreamEnded("budget")

    def _close(self, kind: Kind, ended_by: str) -> None:
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
        try:
            self._rows.close()
        finally:
            unused = self._charged - self.rows_out
            if unused > 0:
                self._endings.refund(self.permit.plan.grant.id, unused)
            whose = self._rows.settle()
            self._endings.end(self.permit, kind, rows=self.rows_out, ended_by=ended_by, whose=whose)
            self._on_end(self)
