"""Statements that were made before, for the next read that asks alike: making one takes longer than running it.

A statement follows from its key and from nothing else, so what is remembered stays right across reloads, revocations
and changed files: they lead to other keys. A limit is no part of it, for what is left of a budget is another each time.
"""

import threading
from collections import OrderedDict
from dataclasses import replace

from policy.decision import Allow, PlannedColumn

from .select import Filters, Statement, refuse_changed, select
from .store_columns import Columns, StoreColumn

REMEMBERED = 512
"""Statements that are kept; the one that was asked for longest ago makes room."""

LONGEST = 8_192
"""Characters of a statement that is kept: a filter may be as long as the body of a request."""

COUNTED_BY_STORE = 65_536
"""The largest limit that the store is told. DuckDB counts rows in one thread, and a budget is a limit too; whoever
reads the rows stops at the larger ones."""

Key = tuple[Filters, bool, str, StoreColumn, tuple[tuple[object, ...], ...]]


class Statements:
    """Makes statements, each once. Thread-safe."""

    def __init__(self) -> None:
        self._made: OrderedDict[Key, Statement] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, plan: Allow, filters: Filters, columns: Columns, *, is_known: bool) -> Statement:
        """The statement for a plan with `filters_of` it on a store that has `columns`. Raises as `select` does."""
        refuse_changed(plan, columns)
        subject = plan.dataset.subject
        key = (filters, is_known, subject, columns[subject], tuple(_told(one, columns) for one in plan.columns))
        statement = self._recalled(key)
        if statement is None:
            statement = select(plan, filters, columns, is_known=is_known)
            self._remember(key, statement)
        if plan.limit is None or plan.limit > COUNTED_BY_STORE:
            return statement
        return replace(statement, sql=f"{statement.sql} LIMIT {plan.limit:d}")

    def _recalled(self, key: Key) -> Statement | None:
        with self._lock:
            statement = self._made.get(key)
            if statement is not None:
                self._made.move_to_end(key)
            return statement

    def _remember(self, key: Key, statement: Statement) -> None:
        if len(statement.sql) > LONGEST:
            return
        with self._lock:
            self._made[key] = statement
            if len(self._made) > REMEMBERED:
                self._made.popitem(last=False)


def _told(planned: PlannedColumn, columns: Columns) -> tuple[object, ...]:
    column = planned.column
    # `1`, `1.0` and `true` are equal in Python, and coarse in different ways.
    setting = (type(column.coarse), column.coarse)
    return column.name, column.data_class, *setting, planned.treatment, columns[column.name]
