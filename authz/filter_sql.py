"""Turns a filter into one SQL condition for a store: built by us, values bound, never text from outside.

It says what `policy.rows.evaluate` says, on columns of any width, and no value in a row can make it fail: an error that
hidden rows raise would tell of them. Held in sessions whose time zone is UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from sqlglot import exp

from policy.rows import (
    And,
    Between,
    ColumnRef,
    Comparison,
    Filter,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Operator,
    Or,
    Value,
    typed,
)
from policy.values import ColumnType

from .filter_numbers import DECIMAL_DIGITS, Number, halves, rounded
from .sql_types import sql_type

_SIGNS: Mapping[Operator, type[exp.Binary]] = {
    Operator.EQUAL: exp.EQ,
    Operator.UNEQUAL: exp.NEQ,
    Operator.LESS: exp.LT,
    Operator.AT_MOST: exp.LTE,
    Operator.GREATER: exp.GT,
    Operator.AT_LEAST: exp.GTE,
}
_STRICT = {Operator.AT_MOST: Operator.LESS, Operator.AT_LEAST: Operator.GREATER}
_NANOSECONDS = (datetime(1677, 9, 22, tzinfo=UTC), datetime(2262, 4, 11, tzinfo=UTC))
"""Between these a column of nanoseconds can be compared without a cast; outside, casting the literal would overflow."""
PART = 16
"""Values of an `in` that are compared one by one."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value to bind. Decimals have at most 38 digits either side of the point; times are UTC, without their zone."""

    value: Value
    type: ColumnType

    def array(self) -> pa.Array:
        """One value as Arrow, in the type that the condition was built for."""
        return pa.array([self.value], _arrow_type(self))


def bound_row(parameters: Sequence[Parameter]) -> pa.RecordBatch:
    """The one row to bind for `$1`, `$2` and so on, each of its type; with no parameters there is nothing to bind."""
    names = [str(number) for number in range(1, len(parameters) + 1)]
    return pa.RecordBatch.from_arrays([parameter.array() for parameter in parameters], names=names)


def where(filter: Filter, types: Mapping[str, ColumnType], parameters: list[Parameter]) -> exp.Expression:
    """The condition for a store; its values are appended to `parameters` and stand in it as `$n`, counted from 1.

    Raises what `policy.rows.typed` raises.
    """
    return _Condition(parameters).of(typed(filter, types))


def placeholder(parameter: Parameter, parameters: list[Parameter]) -> exp.Expression:
    """Appends a parameter and returns its `$n`; a decimal's has its type beside it, for it may be bound as text."""
    parameters.append(parameter)
    number = exp.Parameter(this=exp.Literal.number(len(parameters)))
    if isinstance(parameter.value, Decimal):
        scale = -int(parameter.value.as_tuple().exponent)
        return exp.Cast(this=number, to=sql_type(f"DECIMAL({DECIMAL_DIGITS}, {scale})"))
    return number


class _Condition:
    def __init__(self, parameters: list[Parameter]) -> None:
        self._parameters = parameters

    def of(self, filter: Filter) -> exp.Expression:
        match filter:
            case And(parts):
                return _joined(exp.And, [self.of(part) for part in parts])
            case Or(parts):
                return _joined(exp.Or, [self.of(part) for part in parts])
            case Not(part):
                return exp.Not(this=exp.Paren(this=self.of(part)))
            case IsNull(column):
                return _is_null(column)
            case Comparison(column, operator, ColumnRef() as other):
                return _between_columns(column, operator, other)
            case Comparison(column, operator, Literal(value)):
                return self._compared(column, operator, value)
            case Between(column, low, high):
                at_least = self._compared(column, Operator.AT_LEAST, low.value)
                return _joined(exp.And, [at_least, self._compared(column, Operator.AT_MOST, high.value)])
            case In(column, options):
                return self._in(column, options)
            case Like(column, pattern):
                return self._like(column, str(pattern.value))

    def _compared(self, column: ColumnRef, operator: Operator, value: Value) -> exp.Expression:
        match value:
            case datetime():
                return self._time(column, operator, value)
            case bool() | str() | date():
                return _SIGNS[operator](this=_column(column), expression=self._bound(column, value))
            case _:
                return self._number(column, *rounded(operator, value, column.type))

    def _number(self, column: ColumnRef, operator: Operator, value: Number | None) -> exp.Expression:
        if value is None:
            return _told_by_null(column, holds=operator is Operator.UNEQUAL)
        if isinstance(value, Decimal):
            before, after = (self._bound(column, half) for half in halves(value))
            return _by_halves(operator, _halves(column), (before, after))
        plain = _SIGNS[operator](this=_column(column), expression=self._bound(column, value))
        return plain if column.type is ColumnType.INTEGER else _beside_nan(column, plain)

    def _time(self, column: ColumnRef, operator: Operator, value: datetime) -> exp.Expression:
        least, greatest = _NANOSECONDS
        side = _column(column) if least < value < greatest else _in_microseconds(column)
        return _SIGNS[operator](this=side, expression=self._bound(column, value.replace(tzinfo=None)))

    def _in(self, column: ColumnRef, options: tuple[Literal, ...]) -> exp.Expression:
        if column.type in (ColumnType.DECIMAL, ColumnType.TIMESTAMP):
            return _joined(exp.Or, [self._compared(column, Operator.EQUAL, option.value) for option in options])
        held = [value for option in options if (value := _held(column, option.value)) is not None]
        if not held:
            return _told_by_null(column, holds=False)
        return self._among(column, sorted(set(held)))

    def _among(self, column: ColumnRef, values: Sequence[Any]) -> exp.Expression:
        """One of these, which ascend. Stores look at them one by one, so of many only some are looked at for a row."""
        if len(values) <= PART:
            plain = exp.In(this=_column(column), expressions=[self._bound(column, value) for value in values])
            return _beside_nan(column, plain) if column.type is ColumnType.FLOAT else plain
        size = -(-len(values) // PART)
        *parts, last = (values[at : at + size] for at in range(0, len(values), size))
        case = exp.Case()
        for part in parts:
            at_most = exp.LTE(this=_column(column), expression=self._bound(column, part[-1]))
            case = case.when(at_most, self._among(column, part), copy=False)
        return case.else_(self._among(column, last), copy=False)

    def _like(self, column: ColumnRef, pattern: str) -> exp.Expression:
        like = exp.Like(this=_column(column), expression=self._bound(column, pattern))
        # PostgreSQL takes a backslash for an escape unless it is told that there is none.
        return exp.Escape(this=like, expression=exp.Literal.string(""))

    def _bound(self, column: ColumnRef, value: Value) -> exp.Expression:
        return placeholder(Parameter(value, column.type), self._parameters)


def _joined(connector: type[exp.Connector], parts: list[exp.Expression]) -> exp.Expression:
    """As a balanced tree: thousands of parts must not make one that is thousands deep."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    sides = (exp.Paren(this=_joined(connector, half)) for half in (parts[:middle], parts[middle:]))
    return connector(this=next(sides), expression=next(sides))


def _held(column: ColumnRef, value: Value) -> Value | None:
    """The value as the column would hold it; None where it cannot."""
    if isinstance(value, bool | str | date):
        return value
    return rounded(Operator.EQUAL, value, column.type)[1]


def _column(column: ColumnRef) -> exp.Expression:
    return exp.column(column.name, quoted=True)


def _is_null(column: ColumnRef) -> exp.Expression:
    """In a shape that DuckDB 2.0 does not hand down to its reader of Parquet files.

    That one takes all rows of a row group for NULL where its texts are one value and NULLs, without a dictionary.
    """
    is_null = exp.Is(this=_column(column), expression=exp.Null())
    return exp.Case(ifs=[exp.If(this=is_null, true=exp.true())], default=exp.false())


def _told_by_null(column: ColumnRef, *, holds: bool) -> exp.Expression:
    """Always the same answer but for NULL, of which nothing is known."""
    return (exp.EQ if holds else exp.NEQ)(this=_column(column), expression=_column(column))


def _between_columns(column: ColumnRef, operator: Operator, other: ColumnRef) -> exp.Expression:
    match column.type:
        case ColumnType.DECIMAL:
            return _by_halves(operator, _halves(column), _halves(other))
        case ColumnType.FLOAT:
            return _SIGNS[operator](this=_with_nan(column), expression=_with_nan(other))
        case ColumnType.TIMESTAMP:
            return _SIGNS[operator](this=_in_microseconds(column), expression=_in_microseconds(other))
        case _:
            return _SIGNS[operator](this=_column(column), expression=_column(other))


def _with_nan(column: ColumnRef) -> exp.Expression:
    """The column, in a shape from which DuckDB sees that it may be NaN.

    Statistics of a Parquet file leave NaN out and DuckDB believes them: where all other values are below 5 it takes
    `x < 5` for true, and would hand out the rows that are NaN.
    """
    nan = exp.Cast(this=exp.Literal.string("NaN"), to=sql_type("DOUBLE"))
    is_nan = exp.If(this=exp.IsNan(this=_column(column)), true=nan)
    return exp.Case(ifs=[is_nan], default=_column(column))


def _beside_nan(column: ColumnRef, plain: exp.Expression) -> exp.Expression:
    """The same test, right for NaN too; where NaN fails it, the plain test stays beside it and skips row groups."""
    careful = plain.copy()
    careful.set("this", _with_nan(column))
    if isinstance(plain, exp.GT | exp.GTE | exp.NEQ):
        return careful
    return _joined(exp.And, [plain, careful])


def _in_microseconds(column: ColumnRef) -> exp.Expression:
    """From any other unit or zone; the way to nanoseconds could overflow, this one cannot."""
    return exp.Cast(this=_column(column), to=sql_type("TIMESTAMP"))


_Halves = tuple[exp.Expression, exp.Expression]


def _halves(column: ColumnRef) -> _Halves:
    before = exp.Anonymous(this="trunc", expressions=[_column(column)])
    return before, exp.Paren(this=exp.Sub(this=_column(column), expression=before.copy()))


def _by_halves(operator: Operator, left: _Halves, right: _Halves) -> exp.Expression:
    """Compares decimals before the point, then after it: whole, two scales may have no common type that holds both."""
    (left_before, left_after), (right_before, right_after) = left, right
    after = _SIGNS[operator](this=left_after, expression=right_after)
    if operator is Operator.UNEQUAL:
        return _joined(exp.Or, [exp.NEQ(this=left_before, expression=right_before), after])
    level = _joined(exp.And, [exp.EQ(this=left_before, expression=right_before), after])
    if operator is Operator.EQUAL:
        return level
    strict = _SIGNS[_STRICT.get(operator, operator)](this=left_before.copy(), expression=right_before.copy())
    return _joined(exp.Or, [strict, level])


def _arrow_type(parameter: Parameter) -> pa.DataType:
    value = parameter.value
    if isinstance(value, Decimal):
        return pa.decimal128(DECIMAL_DIGITS, -int(value.as_tuple().exponent))
    if parameter.type is ColumnType.INTEGER and isinstance(value, int) and value >= 2**63:
        return pa.uint64()
    return _ARROW[parameter.type]


_ARROW: Mapping[ColumnType, pa.DataType] = {
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.TEXT: pa.string(),
    ColumnType.TIMESTAMP: pa.timestamp("us"),
    ColumnType.DATE: pa.date32(),
}
