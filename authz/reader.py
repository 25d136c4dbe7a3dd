"""Opens what a permit permits and gives the rows out, treated, batch by batch; memory stays flat."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa

from audit.committer import Recorded
from policy.decision import Allow
from policy.values import Dataset, Treatment

from .blanks import blanked
from .doors import Doors
from .errors import DoorClosed, StoreFailed
from .files import File
from .keys import Keys
from .meeting import Looking, Meeting, Recalling
from .permit import Permit
from .rosters import Roster, Which
from .select import Given, Statement, count, filters_of
from .statements import LONGEST, Statements
from .stores import Door, Rows
from .treatments import Pseudonyms

BATCH_ROWS = 65_536
TRIES = 5
"""How often the way to a dataset may be closed under a read that opens, before it counts as a fault."""


class RowStream:
    """The rows of one read. One thread at a time reads; `close` may come from any thread, in the middle too."""

    def __init__(
        self,
        rows: Rows,
        files: tuple[File, ...],
        statement: Statement,
        pseudonyms: dict[str, Pseudonyms],
        batch_rows: int,
        limit: int | None,
        meeting: Meeting,
    ) -> None:
        self.schema = pa.schema([column.field for column in statement.given])
        self.meeting = meeting
        """Says of each batch in turn whom it has that was not met before."""
        self.subjects = pa.nulls(0)
        """Whose the rows are that were read last, as the store has it: NULL where that is not known; empty unasked."""
        self._rows = rows
        self._files = files
        self._given = statement.given
        self._subject = statement.subject
        self._pseudonyms = pseudonyms
        self._batch_rows = batch_rows
        self._left = sys.maxsize if limit is None else limit

    def read_next(self) -> pa.RecordBatch | None:
        """The next rows, `batch_rows` of them or all that are left below the limit; None at the end, and only there.

        Raises `StoreFailed` where the store breaks or its files change, `ReadStopped` after `close`.
        """
        batches = self._rows.read(min(self._batch_rows, self._left))
        self._left -= sum(batch.num_rows for batch in batches)
        # Also at the end: rows of a file that was replaced may be among those that were given out last.
        if not all(file.is_unchanged() for file in self._files):
            self.close()
            raise StoreFailed("the dataset's files changed while they were read")
        match batches:
            case []:
                return None
            case [batch]:
                return self._treated(batch)
            case _:
                return self._treated(pa.concat_batches(batches))

    def close(self) -> None:
        """Stop reading and free everything; returns when that is done. May be called again."""
        self._rows.stop()

    def _treated(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """What leaves of rows as the store has them: the one place where both are at hand."""
        if self._subject is not None:
            self.subjects = batch.column(self._subject)
        shown = map(blanked, batch.columns)
        arrays = [self._column(column, shown, batch.num_rows) for column in self._given]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _column(self, column: Given, shown: Iterator[pa.Array], rows: int) -> pa.Array:
        match column.treatment:
            case Treatment.HIDDEN:
                return pa.nulls(rows, column.stored)
            case Treatment.PSEUDONYM:
                return self._pseudonyms[column.name].of(next(shown))
            case Treatment.COARSE | Treatment.CLEAR:
                return next(shown)


class Reader:
    """Reads datasets from their stores. `catalog_folder` is what relative locations start from. Thread-safe."""

    def __init__(self, *, catalog_folder: Path, keys: Keys) -> None:
        self._doors = Doors(catalog_folder)
        self._keys = keys
        self._statements = Statements()

    def open(self, permit: Permit, batch_rows: int = BATCH_ROWS) -> RowStream:
        """The read of a permit, which starts when its first rows are read. Raises `StoreFailed`."""
        plan = permit.plan
        which = Which(filters_of(plan), plan.dataset.subject, batch_rows)
        rows, door, statement, roster = self._run(plan, partial(self._made, plan, which))
        key = self._keys.of_grant(plan.grant.id)
        pseudonyms = {
            column.name: Pseudonyms(key, column.data_class)
            for column in statement.given
            if column.treatment is Treatment.PSEUDONYM
        }
        meeting = Looking(partial(_learn, door, which, plan.limit, statement)) if roster is None else Recalling(roster)
        return RowStream(rows, door.files, statement, pseudonyms, batch_rows, plan.limit, meeting)

    def count(self, plan: Allow, _recorded: Recorded) -> tuple[int, int]:
        """How many rows a plan without a grant would give, and of how many subjects. Raises `StoreFailed`.

        Nothing but the two numbers comes out, and only after the entry that says so.
        """
        rows, *_ = self._run(plan, lambda door: (count(plan, door.columns), None))
        try:
            (batch,) = rows.read(1)
        finally:
            rows.stop()
        return int(batch.column(0)[0].as_py()), int(batch.column(1)[0].as_py())

    def files(self, dataset: Dataset) -> tuple[File, ...]:
        """The files of a dataset as they are now: what was counted in others has to be counted anew."""
        return self._doors.door(dataset.location).files

    def _made(self, plan: Allow, which: Which, door: Door) -> tuple[Statement, Roster | None]:
        # Under a budget of subjects, the rows of one more have to be found in the middle of a batch.
        roster = door.rosters.of(which) if plan.grant.scope.max_subjects is None else None
        if roster is not None and plan.limit is not None and plan.limit < roster.rows:
            roster = None
        return self._statements.of(plan, which.filters, door.columns, is_known=roster is not None), roster

    def _run(
        self, plan: Allow, made: Callable[[Door], tuple[Statement, Roster | None]]
    ) -> tuple[Rows, Door, Statement, Roster | None]:
        for _ in range(TRIES):
            door = self._doors.door(plan.dataset.location)
            statement, roster = made(door)
            try:
                return door.run(statement.sql, statement.parameters), door, statement, roster
            except DoorClosed:
                continue
            except StoreFailed:
                self._doors.drop(plan.dataset.location)
                raise
        raise DoorClosed

    def close(self) -> None:
        """Close every door; streams that run end as they would have."""
        self._doors.close()


def _learn(door: Door, which: Which, limit: int | None, statement: Statement, roster: Roster) -> None:
    # At its limit a read ends as it does at its last row; and a filter may be as long as the body of a request.
    if (limit is None or roster.rows < limit) and len(statement.sql) <= LONGEST:
        door.rosters.keep(which, roster)
