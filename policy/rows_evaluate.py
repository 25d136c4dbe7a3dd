"""What a filter says of one row, in SQL's three-valued logic: the reference that the stores' SQL is held against."""

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import isnan
from typing import Any

from .rows_tree import And, Between, ColumnRef, Comparison, Filter, In, IsNull, Like, Literal, Not, Operator, Or
from .rows_typed import utc

_SIGNS: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: operator.eq,
    Operator.UNEQUAL: operator.ne,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
}


def evaluate(filter: Filter, row: Mapping[str, object]) -> bool | None:
    """Whether a typed filter holds for a row, None where SQL says unknown; only True lets a row through.

    `row` has for each column None or a Python value of its type: bool, int, float, Decimal, str, datetime or date.
    Numbers compare by what they are worth, NaN equals itself and is greatest, a datetime without a zone is UTC.
    """
    match filter:
        case And(parts):
            return _all(tuple(evaluate(part, row) for part in parts))
        case Or(parts):
            return _not(_all(tuple(_not(evaluate(part, row)) for part in parts)))
        case Not(part):
            return _not(evaluate(part, row))
        case IsNull(column):
            return row[column.name] is None
        case Comparison(column, sign, other):
            return _compared(row[column.name], sign, row[other.name] if isinstance(other, ColumnRef) else other.value)
        case Between(column, low, high):
            return _all((_against(column, Operator.AT_LEAST, low, row), _against(column, Operator.AT_MOST, high, row)))
        case In(column, options):
            found = (_against(column, Operator.EQUAL, option, row) for option in options)
            return None if row[column.name] is None else any(found)
        case Like(column, pattern):
            value = row[column.name]
            return None if value is None else is_like(str(value), str(pattern.value))


def order_of(value: object) -> tuple[Any, ...]:
    """A key that puts the values of one column in order, NaN above all numbers."""
    if isinstance(value, float) and isnan(value):
        return (1,)
    return (0, utc(value) if isinstance(value, datetime) else value)


def is_like(text: str, pattern: str) -> bool:
    """Whether the whole of `text` matches: `%` any text, `_` one code point. At most length × length steps."""
    at = retry_pattern = retry_text = 0
    position, starred = 0, False
    while position < len(text):
        if at < len(pattern) and pattern[at] == "%":
            starred, retry_pattern, retry_text = True, at, position
            at += 1
        elif at < len(pattern) and pattern[at] in ("_", text[position]):
            at, position = at + 1, position + 1
        elif starred:
            at, retry_text = retry_pattern + 1, retry_text + 1
            position = retry_text
        else:
            return False
    return not pattern[at:].strip("%")


def _against(column: ColumnRef, sign: Operator, literal: Literal, row: Mapping[str, object]) -> bool | None:
    return _compared(row[column.name], sign, literal.value)


def _compared(left: object, sign: Operator, right: object) -> bool | None:
    return None if left is None or right is None else _SIGNS[sign](order_of(left), order_of(right))


def _not(truth: bool | None) -> bool | None:
    return None if truth is None else not truth


def _all(truths: Sequence[bool | None]) -> bool | None:
    if False in truths:
        return False
    return None if None in truths else True
