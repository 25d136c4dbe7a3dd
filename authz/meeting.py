"""Whom a read meets for the first time, batch by batch: by a look at each row, or by the roster of a read before."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from .changes import Changes
from .dictionary import REMEMBERED
from .errors import StoreFailed
from .rosters import Batch, Roster

AHEAD = 16
"""Batches whose people are recorded ahead, at least, where it is known who they are."""
OTHER_ROWS = "the store gave other rows of the same files than before"


@dataclass(frozen=True, slots=True)
class Met:
    """Of one batch: who was not met before, in the order of first rows, and how many rows are nobody's.

    `column` says whose each row is, and is empty where that was not asked.
    """

    values: pa.Array
    nameless: int
    column: pa.Array


class Meeting(Protocol):
    """One read's. `meet` each batch in turn, and say when that was the `last`; one thread at a time."""

    def meet(self, rows: int, column: pa.Array) -> Met:
        """Whom the next batch, of so many rows, has that those before it had not."""

    def coming(self) -> pa.Array:
        """Subjects of the batches that come next, as far as they are known."""

    def last(self) -> None:
        """There is no other batch. May be called again."""


class Looking:
    """Looks at the subject of each row; hands the roster to `learned` once all rows were seen, unless it is large."""

    def __init__(self, learned: Callable[[Roster], None]) -> None:
        self._learned = learned
        self._known: pa.Array | None = None
        self._changes = Changes()
        self._batches: list[Batch] | None = []

    def meet(self, rows: int, column: pa.Array) -> Met:
        """As `Meeting` says. Raises `StoreFailed` where the column does not say whose each row is."""
        if len(column) != rows:
            raise StoreFailed("the store did not say whose rows these are")
        if self._known is None:
            self._known = column.slice(0, 0)
        elif len(self._known) > REMEMBERED:
            self._known, self._batches = column.slice(0, 0), None
        changes = self._changes.of(column)
        is_new = pc.invert(pc.is_in(changes, value_set=self._known))
        values = column.slice(0, 0)
        if is_new.true_count > changes.null_count:
            values = changes.filter(is_new).drop_null().unique()
            self._known = pa.concat_arrays([self._known, values])
        if self._batches is not None:
            self._batches.append(Batch(rows, column.null_count, len(self._known)))
        return Met(values, column.null_count, column)

    def coming(self) -> pa.Array:
        """Of nobody is it known."""
        return pa.nulls(0)

    def last(self) -> None:
        """As `Meeting` says."""
        if self._batches is not None and self._known is not None:
            self._learned(Roster(self._known, tuple(self._batches)))


class Recalling:
    """Goes by the roster. Raises `StoreFailed` where the rows are not those that it tells of."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._next = 0
        self._met = 0

    def meet(self, rows: int, column: pa.Array) -> Met:
        """As `Meeting` says."""
        batch = self._roster.batches[self._next] if self._next < len(self._roster.batches) else None
        if batch is None or batch.rows != rows:
            raise StoreFailed(OTHER_ROWS)
        new = self._roster.names.slice(self._met, batch.people - self._met)
        self._next, self._met = self._next + 1, batch.people
        return Met(new, batch.nameless, column)

    def coming(self) -> pa.Array:
        """Those of twice as many batches as came: a crash leaves no more people too many in the record."""
        last = min(self._next + max(AHEAD, 2 * self._next), len(self._roster.batches)) - 1
        return self._roster.names.slice(self._met, self._roster.batches[last].people - self._met)

    def last(self) -> None:
        """As `Meeting` says."""
        if self._next < len(self._roster.batches):
            raise StoreFailed(OTHER_ROWS)
