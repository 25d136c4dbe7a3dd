"""A plan becomes one SELECT: built here, its values bound, and never a word of SQL from outside."""

import sys
from dataclasses import dataclass

import pyarrow as pa
from sqlglot import exp

from policy.ask import column_types
from policy.decision import Allow
from policy.rows import Filter, typed
from policy.values import Dataset, Treatment

from .coarse import coarse
from .errors import StoreFailed
from .filter_sql import Parameter, bound_row, where
from .store_columns import Columns
from .stores import TABLE
from .treatments import refuse_unnameable

# Writing a filter out takes sqlglot some 20 calls a level, and the row language allows 64 levels.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 5_000))


SUBJECT = "whose row it is"
"""What a statement calls the subject where that is not a column of the answer as it is in the store."""


@dataclass(frozen=True, slots=True)
class Given:
    """A column of the answer: what the reader really gets of it, and the Arrow type it has in the store."""

    name: str
    data_class: str
    treatment: Treatment
    stored: pa.DataType

    @property
    def field(self) -> pa.Field:
        """As the answer has it."""
        return pa.field(self.name, pa.string() if self.treatment is Treatment.PSEUDONYM else self.stored)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a store is asked, and what becomes of it.

    The statement's columns are those of `given` that are not hidden, in their order, and behind them the subject of
    each row, unless it is among them or was not asked for; `subject` is its place.
    """

    sql: str
    parameters: pa.RecordBatch | None
    given: tuple[Given, ...]
    subject: int | None


Filters = tuple[Filter, ...]
"""What the rows of a plan have to pass, each part with its types."""


def filters_of(plan: Allow) -> Filters:
    """The scope's filter and the read's, those of them that there are."""
    types = column_types(plan.dataset)
    return tuple(typed(one, types) for one in (plan.scope_rows, plan.asked_rows) if one is not None)


def select(plan: Allow, filters: Filters, columns: Columns, *, is_known: bool) -> Statement:
    """The statement for a plan with `filters_of` it, but for its limit, on a store that has `columns`.

    `is_known`: whose rows they are, so that the store need not be asked.

    Raises `StoreFailed` where a subject or pseudonym is to be made of what names nobody.
    """
    subject = plan.dataset.subject
    refuse_unnameable(subject, columns[subject].arrow)
    given: list[Given] = []
    shown: list[exp.Expression] = []
    whose = None
    for planned in plan.columns:
        name, stored = planned.column.name, columns[planned.column.name]
        treatment, expression = planned.treatment, exp.column(name, quoted=True)
        if treatment is Treatment.COARSE:
            made = coarse(planned.column, stored)
            treatment, expression = (Treatment.HIDDEN, expression) if made is None else (treatment, made)
        if treatment is Treatment.PSEUDONYM:
            refuse_unnameable(name, stored.arrow)
        if treatment is not Treatment.HIDDEN:
            if name == subject and treatment is not Treatment.COARSE:
                whose = len(shown)
            shown.append(exp.alias_(expression, name, quoted=True, copy=False))
        given.append(Given(name, planned.column.data_class, treatment, stored.arrow))
    parameters: list[Parameter] = []
    if whose is None and not (is_known and shown):  # where every column is hidden, somebody still counts the rows
        whose = len(shown)
        shown.append(exp.alias_(exp.column(subject, quoted=True), SUBJECT, quoted=True, copy=False))
    # Nothing is copied on the way: a copy of a filter costs more than to make it.
    query = exp.select(*shown, copy=False).from_(_kept(filters, plan.dataset, parameters), copy=False)
    return _statement(query, parameters, tuple(given), whose)


def count(plan: Allow, columns: Columns) -> Statement:
    """The statement that counts the rows of a plan and whose they are: one row, `rows` and `subjects`."""
    refuse_changed(plan, columns)
    parameters: list[Parameter] = []
    subject = exp.column(plan.dataset.subject, quoted=True)
    rows = exp.alias_(exp.Count(this=exp.Star()), "rows")
    subjects = exp.alias_(exp.Count(this=exp.Distinct(expressions=[subject])), "subjects")
    query = exp.select(rows, subjects).from_(_kept(filters_of(plan), plan.dataset, parameters))
    return _statement(query, parameters, (), 1)


def _statement(
    query: exp.Select, parameters: list[Parameter], given: tuple[Given, ...], subject: int | None
) -> Statement:
    sql = query.sql("duckdb", copy=False)
    return Statement(sql, bound_row(parameters) if parameters else None, given, subject)


def _kept(filters: Filters, dataset: Dataset, parameters: list[Parameter]) -> exp.Expression:
    """The rows that may leave. Inside of their own query, for outside `"x"` may mean the coarse `x`."""
    types = column_types(dataset)
    rows = exp.select(exp.Star(), copy=False).from_(exp.Table(this=exp.to_identifier(TABLE)), copy=False)
    for filter in filters:
        rows = rows.where(where(filter, types, parameters), copy=False)
    return rows.subquery("kept", copy=False)


def refuse_changed(plan: Allow, columns: Columns) -> None:
    """Raises `StoreFailed` where the store has not, or not any more, every column that the catalog declares."""
    for name, column in plan.dataset.columns.items():
        if name not in columns:
            raise StoreFailed(f"the store has no column `{name}` any more, or not in every file")
        if columns[name].type is not column.type:
            raise StoreFailed(f"column `{name}` has another type in the store than when the catalog was loaded")
