"""The rows of one read together with whose they are: which may leave, once that is recorded."""

from collections import deque
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from audit.entries import Json

from .dictionary import REMEMBERED, Dictionary
from .permit import Permit
from .reader import RowStream
from .subjects import Subjects
from .treatments import canonical

MOST_AHEAD = 8
"""Batches that are recorded together, at most, where one after the other has subjects that were not met before."""

AHEAD_BYTES = 16_000_000
"""And of no more than about so many bytes: they wait in memory."""

FEW = 8
"""Rows are compared with each other where at most one of so many is of somebody else than the row before."""

MIXED = 16
"""Batches after which it is tried again, where that was not so."""


@dataclass(frozen=True, slots=True)
class Met:
    """Some rows, and the subjects among them that the read had not met before, in the order of their first rows."""

    rows: pa.RecordBatch
    column: pa.Array
    values: pa.Array
    ordinals: list[int]
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
        self._known: pa.Array | None = None
        self._waiting: deque[Met] = deque()
        self._ahead = 1
        self._mixed = 0

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
        met = self._waiting.popleft()
        if self._most is None:
            if not met.is_recorded:
                every = (ordinal for one in (met, *self._waiting) for ordinal in one.ordinals)
                self._account.record(list(every))
                self._waiting = deque(replace(one, is_recorded=True) for one in self._waiting)
            room = len(met.ordinals)
        else:
            room = self._account.charge(met.ordinals, self._most) if met.ordinals else 0
        self._account.give(met.ordinals[:room])
        rows = met.rows
        if room < len(met.ordinals):
            self.is_cut = True
            rows = rows.slice(0, pc.index(pc.is_in(met.column, value_set=met.values.slice(room, 1)), True).as_py())
        self.nameless += met.column.slice(0, rows.num_rows).null_count
        return rows

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
                break
            met = self._met(rows, self._rows.subjects, epoch)
            self._waiting.append(met)
            size += rows.nbytes
            if not met.ordinals:
                break
        # Under a budget each batch is counted alone: what was counted and did not leave could not be given back, for
        # another read may have relied on it.
        is_worth = self._most is None and all(met.ordinals for met in self._waiting)
        self._ahead = min(2 * self._ahead, MOST_AHEAD) if is_worth else 1

    def _met(self, rows: pa.RecordBatch, column: pa.Array, epoch: int) -> Met:
        if self._known is None or len(self._known) > REMEMBERED:
            self._known = column.slice(0, 0)
        changes = self._changes(column)
        is_known = pc.is_in(changes, value_set=self._known)
        values = changes.filter(pc.invert(is_known)).drop_null().unique()
        ordinals: list[int] = []
        if len(values):
            names = [canonical(value) for value in values.to_pylist()]
            ordinals = self._dictionary.ordinals(self._data_class, names, epoch=epoch)
            self._known = pa.concat_arrays([self._known, values])
        return Met(rows, column, values, ordinals, is_recorded=not ordinals)

    def _changes(self, column: pa.Array) -> pa.Array:
        """The subjects of rows that are not the same as of the row before, where that leaves few: to compare with the
        row before costs a quarter of looking a subject up."""
        if self._mixed > 0 or len(column) < 2:
            self._mixed -= 1
            return column
        is_other = pc.fill_null(pc.not_equal(column.slice(1), column.slice(0, len(column) - 1)), True)
        if is_other.true_count * FEW > len(column):
            self._mixed = MIXED
            return column
        return pa.concat_arrays([column.slice(0, 1), column.slice(1).filter(is_other)])
