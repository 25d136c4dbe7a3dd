"""The rows of one read together with whose they are: which may leave, once that is recorded."""

from collections import deque
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from audit.entries import Json

from .dictionary import Dictionary
from .meeting import Met
from .permit import Permit
from .reader import RowStream
from .subjects import Subjects
from .treatments import canonical

MOST_AHEAD = 8
"""Batches that are recorded together, at most, where one after the other has subjects that were not met before."""

AHEAD_BYTES = 16_000_000
"""And of no more than about so many bytes: they wait in memory."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Some rows, and the subjects among them that the read had not met before, in the order of their first rows.

    `coming` are subjects of the rows behind them that are recorded with these; nobody, where these are recorded.
    """

    rows: pa.RecordBatch
    met: Met
    ordinals: list[int]
    coming: list[int]
    is_recorded: bool


class CountedRows:
    """`fetch`, and where there is something, `admit` it and let it go. One thread at a time, but for `close`.

    `nameless` is how many rows had no subject; `is_cut` whether rows of somebody came for whom there was no room.
    """

    def __init__(self, permit: Permit, rows: RowStream, dictionary: Dictionary, subjects: Subjects) -> None:
        plan = permit.plan
        self.schema = rows.schema
        self.nameless = 0
        self.is_cut = False
        self._rows = rows
        self._dictionary = dictionary
        self._account = subjects.account(permit.read, plan.grant.id)
        self._data_class = plan.dataset.columns[plan.dataset.subject].data_class
        self._most = plan.grant.scope.max_subjects
        self._left = plan.subjects_left
        self._waiting: deque[Fetched] = deque()
        self._ahead = 1

    def fetch(self, epoch: int) -> int | None:
        """How many rows come next at most, for a read that is permitted under `epoch`; None at the end.

        Raises as `RowStream.read_next` does.
        """
        if self.is_cut:
            return None
        if not self._waiting:
            self._read_ahead(epoch)
        return self._waiting[0].rows.num_rows if self._waiting else None

    def admit(self) -> pa.RecordBatch:
        """The rows that were fetched, up to the first whose subject there is no room for; whose they are is durable."""
        next_ = self._waiting.popleft()
        if self._most is None:
            if not self._account.has_recorded(next_.ordinals):
                self._account.record(chain(next_.coming, *(one.ordinals for one in (next_, *self._waiting))))
            room = len(next_.ordinals)
        else:
            room = self._account.charge(next_.ordinals, self._most) if next_.ordinals else 0
        self._account.give(next_.ordinals[:room])
        if room < len(next_.ordinals):
            self.is_cut = True
            return self._before(next_, room)
        self.nameless += next_.met.nameless
        return next_.rows

    def _before(self, cut: Fetched, room: int) -> pa.RecordBatch:
        """The rows before the first of the one for whom there is no room."""
        column = cut.met.column
        rows = pc.index(pc.is_in(column, value_set=cut.met.values.slice(room, 1)), True).as_py()
        self.nameless += column.slice(0, rows).null_count
        return cut.rows.slice(0, rows)

    @property
    def was_told(self) -> bool:
        """Whether the reader was told up front that these rows would end here: nobody else took of the budget."""
        return self._left is not None and self._account.newly_counted >= self._left

    def close(self) -> None:
        """Stop reading and free everything; returns when that is done. May be called again, from any thread."""
        self._rows.close()

    def settle(self) -> dict[str, Json]:
        """What the end of the read says of whose rows it contained."""
        said = self._account.settle()
        return {**said, "rows_without_subject": self.nameless} if self.nameless else said

    def _read_ahead(self, epoch: int) -> None:
        size = 0
        while len(self._waiting) < self._ahead and size < AHEAD_BYTES:
            rows = self._rows.read_next()
            if rows is None:
                self._rows.meeting.last()
                break
            fetched = self._met(rows, epoch)
            self._waiting.append(fetched)
            size += rows.nbytes
            if fetched.is_recorded:
                break
        # Under a budget each batch is counted alone: what was counted and did not leave could not be given back, for
        # another read may have relied on it.
        is_worth = self._most is None and not any(fetched.is_recorded for fetched in self._waiting)
        self._ahead = min(2 * self._ahead, MOST_AHEAD) if is_worth else 1

    def _met(self, rows: pa.RecordBatch, epoch: int) -> Fetched:
        met = self._rows.meeting.meet(rows.num_rows, self._rows.subjects)
        ordinals = self._ordinals(met.values, epoch)
        is_recorded = self._account.has_recorded(ordinals)
        coming = [] if is_recorded else self._ordinals(self._rows.meeting.coming(), epoch)
        return Fetched(rows, met, ordinals, coming, is_recorded)

    def _ordinals(self, subjects: pa.Array, epoch: int) -> list[int]:
        names = [canonical(subject) for subject in subjects.to_pylist()]
        return self._dictionary.ordinals(self._data_class, names, epoch=epoch) if names else []
