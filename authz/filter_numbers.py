"""Compares a column with a number that it may not be able to hold: no store has to round, or to overflow, for it."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor, inf, nextafter

from policy.rows import Operator
from policy.values import ColumnType

Number = int | float | Decimal

_LEAST_INTEGER = -(2**63)
_GREATEST_INTEGER = 2**64 - 1
DECIMAL_DIGITS = 38
"""Digits that a store's decimal has at most, before the point and after it (Arrow's decimal128, DuckDB's DECIMAL)."""
_UNIT = 10**DECIMAL_DIGITS
_GREATEST_DECIMAL = _UNIT**2 - 1


def rounded(operator: Operator, value: Number, type: ColumnType) -> tuple[Operator, Number | None]:
    """The same comparison with a number that a column of `type`, of whatever width, can hold.

    `x < 2.5` is `x <= 2` among integers. None says that no such number is left: then only `!=` holds, and always.
    """
    below, above = _neighbours(value, type)
    if below is not None and below == above:
        return operator, below
    match operator:
        case Operator.EQUAL | Operator.UNEQUAL:
            return operator, None
        case Operator.LESS | Operator.AT_MOST:
            return Operator.AT_MOST, below
        case Operator.GREATER | Operator.AT_LEAST:
            return Operator.AT_LEAST, above


def halves(value: Decimal) -> tuple[Decimal, Decimal]:
    """What stands before the point and what after it, both with the sign: `-12.5` is `-12` and `-0.5`."""
    sign, digits, _ = value.as_tuple()
    before, after = digits[:-DECIMAL_DIGITS], digits[-DECIMAL_DIGITS:]
    return Decimal((sign, before, 0)), Decimal((sign, after, -DECIMAL_DIGITS))


def _neighbours(value: Number, type: ColumnType) -> tuple[Number | None, Number | None]:
    """The greatest number of the type that is not above `value`, and the least that is not below it."""
    match type:
        case ColumnType.INTEGER:
            return _between(floor(value), ceil(value), _LEAST_INTEGER, _GREATEST_INTEGER)
        case ColumnType.FLOAT:
            return _doubles(value)
        case _:
            scaled = Fraction(value) * _UNIT
            below, above = _between(floor(scaled), ceil(scaled), -_GREATEST_DECIMAL, _GREATEST_DECIMAL)
            return _decimal(below), _decimal(above)


def _between(below: int, above: int, least: int, greatest: int) -> tuple[int | None, int | None]:
    return min(below, greatest) if below >= least else None, max(above, least) if above <= greatest else None


def _doubles(value: Number) -> tuple[float, float]:
    try:
        nearest = float(value)
    except OverflowError:
        nearest = inf if value > 0 else -inf
    if nearest == value:
        return nearest, nearest
    return (nearest, nextafter(nearest, inf)) if nearest < value else (nextafter(nearest, -inf), nearest)


def _decimal(scaled: int | None) -> Decimal | None:
    if scaled is None:
        return None
    sign, digits, _ = Decimal(scaled).as_tuple()
    return Decimal((sign, digits, -DECIMAL_DIGITS))
