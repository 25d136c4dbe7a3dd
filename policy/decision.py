"""What a decision says: `Allow`, with all that a reader needs, or `Refuse`, with all that a person needs."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from .rows import Filter
from .values import Column, Dataset, Excess, Grant, Sensitivity, Treatment


class Code(StrEnum):
    """Every answer of the decision table, in the order in which it is decided."""

    BAD_REQUEST = "bad_request"
    UNKNOWN_DATASET = "unknown_dataset"
    UNKNOWN_COLUMN = "unknown_column"
    BAD_ROWS = "bad_rows"
    PAUSED = "paused"
    NO_GRANT = "no_grant"
    NOT_STARTED = "not_started"
    EXPIRED = "expired"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    WRONG_PURPOSE = "wrong_purpose"
    BEYOND_AUDIENCE = "beyond_audience"
    BEYOND_COLUMNS = "beyond_columns"
    UNCLASSIFIED = "unclassified"
    NO_RULE = "no_rule"
    DENIED_BY_RULE = "denied_by_rule"
    BEYOND_ROWS = "beyond_rows"
    BEYOND_BUDGET = "beyond_budget"


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """A column of the answer and how much of it may be seen."""

    column: Column
    treatment: Treatment


@dataclass(frozen=True, slots=True)
class Allow:
    """The read may happen, like this: these columns, rows of `scope_rows` and `asked_rows`, at most `limit`.

    `limited_by` says what set the limit; `rules` are the names of the rules that decided, `lacked` what
    conditions could not be told (see `policy.engine.Answer`). `subjects_left` is how many people more may have their
    rows in it than were counted before; None where nobody counts.
    """

    dataset: Dataset
    grant: Grant
    purpose: str
    columns: tuple[PlannedColumn, ...]
    scope_rows: Filter | None
    asked_rows: Filter | None
    limit: int | None
    limited_by: Literal["limit", "budget"] | None
    rules: tuple[str, ...]
    lacked: tuple[str, ...]
    sensitivity: Sensitivity
    subjects_left: int | None = None


Side = str | Filter | None
"""One side of an excess, in words or as a filter: whoever shows a filter decides which literals to show."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The read may not happen: `code` says which line of the table, `detail` why, `help` what to do next.

    `columns` are those that were too much; `declared` and `asked` put the scope and the ask side by side;
    `sensitivity` is the highest among the classes of what was asked in excess.
    """

    code: Code
    detail: str
    help: str
    excess: Excess | None = None
    grant: Grant | None = None
    purpose: str | None = None
    columns: tuple[str, ...] = ()
    data_classes: tuple[str, ...] = ()
    declared: Side = None
    asked: Side = None
    rules: tuple[str, ...] = ()
    lacked: tuple[str, ...] = ()
    sensitivity: Sensitivity | None = None


Decision = Allow | Refuse
