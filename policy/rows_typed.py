"""Gives a filter its types: every column one, and every literal a value that compares with the column exactly.

On a float column a literal with a point or an exponent is the nearest double, as everywhere; an integer stays what it
is, because `x = 9007199254740993` is true of no double. Times become aware UTC, to the microsecond.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isinf

from .errors import BadRows, UnknownColumn
from .rows_tree import And, Between, ColumnRef, Comparison, Filter, In, IsNull, Like, Literal, Not, Or, Value
from .tables import closest
from .values import ColumnType

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP = re.compile(
    _DATE.pattern + r"(?:[T ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)


def typed(filter: Filter, types: Mapping[str, ColumnType]) -> Filter:
    """The same filter with types. `types` is by column name; typing a typed filter again changes nothing.

    Raises `UnknownColumn` for a name that `types` lacks and `BadRows` where a literal or another column does not fit.
    """
    match filter:
        case And(parts) | Or(parts):
            return type(filter)(tuple(typed(part, types) for part in parts))
        case Not(part):
            return Not(typed(part, types))
        case IsNull(column):
            return IsNull(_with_type(column, types))
        case Comparison(column, operator, other):
            return _comparison(Comparison(_with_type(column, types), operator, other), types)
        case Between(column, low, high):
            column = _with_type(column, types)
            return Between(column, _fitted(column, low), _fitted(column, high))
        case In(column, options):
            column = _with_type(column, types)
            return In(column, tuple(_fitted(column, option) for option in options))
        case Like(column, pattern):
            return Like(_text_only(_with_type(column, types)), pattern)


def _with_type(column: ColumnRef, types: Mapping[str, ColumnType]) -> ColumnRef:
    if column.name not in types:
        raise UnknownColumn(column.name, closest(column.name, types))
    return replace(column, type=types[column.name])


def _comparison(comparison: Comparison, types: Mapping[str, ColumnType]) -> Comparison:
    column, other = comparison.column, comparison.other
    if isinstance(other, Literal):
        return replace(comparison, other=_fitted(column, other))
    other = _with_type(other, types)
    if other.type is not column.type or other.type is ColumnType.OTHER:
        raise BadRows(f"{_described(column)} and {_described(other)}; only columns of one type compare")
    return replace(comparison, other=other)


def _text_only(column: ColumnRef) -> ColumnRef:
    if column.type is not ColumnType.TEXT:
        raise BadRows(f"{_described(column)}; `like` is for text columns")
    return column


def _fitted(column: ColumnRef, literal: Literal) -> Literal:
    if column.type is ColumnType.OTHER:
        raise BadRows(f"{_described(column)}; it can only be asked `is null` or `is not null`")
    wanted, fit = _FITS[column.type]
    value = fit(literal.value)
    if value is None:
        raise BadRows(f"{_described(column)}; compare it with {wanted}")
    return Literal(value)


def _described(column: ColumnRef) -> str:
    return f"`{column.name}` is a column of type {column.type.value}"


def _boolean(value: Value) -> Value | None:
    return value if isinstance(value, bool) else None


def _text(value: Value) -> Value | None:
    return value if isinstance(value, str) else None


def _number(value: Value) -> Value | None:
    return value if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _integer(value: Value) -> Value | None:
    return int(value) if isinstance(value, Decimal) and value == int(value) else _number(value)


def _float(value: Value) -> Value | None:
    if not isinstance(value, Decimal):
        return value if isinstance(value, float) else _number(value)
    nearest = float(value)
    return value if isinf(nearest) else nearest


def _date(value: Value) -> Value | None:
    if not isinstance(value, str):
        return value if type(value) is date else None
    try:
        return date.fromisoformat(value) if _DATE.fullmatch(value) else None
    except ValueError:
        return None


def _timestamp(value: Value) -> Value | None:
    if not isinstance(value, str):
        return value if isinstance(value, datetime) else None
    try:
        return utc(datetime.fromisoformat(value)) if _TIMESTAMP.fullmatch(value) else None
    except (ValueError, OverflowError):
        return None


def utc(time: datetime) -> datetime:
    """The time in UTC; one without a zone is taken to be in UTC already."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


_FITS: Mapping[ColumnType, tuple[str, Callable[[Value], Value | None]]] = {
    ColumnType.BOOLEAN: ("`true` or `false`", _boolean),
    ColumnType.INTEGER: ("a number", _integer),
    ColumnType.FLOAT: ("a number", _float),
    ColumnType.DECIMAL: ("a number", _number),
    ColumnType.TEXT: ("a text in single quotes", _text),
    ColumnType.DATE: ("a date like '2026-06-01'", _date),
    ColumnType.TIMESTAMP: ("a time like '2026-06-01T09:00:00Z', to the microsecond at most", _timestamp),
}
