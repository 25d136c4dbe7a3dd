"""What `coarse` makes of a column, as SQL in the column's own type.

No value in a row can make it fail: what does not fit the type any more is NULL, what lies below the type's first whole
bin is the type's least value.
"""

import re
from decimal import ROUND_CEILING, Decimal, localcontext

from sqlglot import exp

from policy.values import Column, ColumnType

from .sql_types import sql_type
from .store_columns import StoreColumn

SIGNED = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64}
"""Bits of the types that have values below zero."""

WIDEST = 2**62
"""Bins of whole numbers are narrower, so that a sum of two of them fits."""

DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def coarse(column: Column, stored: StoreColumn) -> exp.Expression | None:
    """What to ask the store for in place of a column; None where its setting is absent or fits no value of its type."""
    value = exp.column(column.name, quoted=True)
    match stored.type, column.coarse:
        case _, None | bool():
            return None
        case ColumnType.INTEGER, int(width) if 0 < width < WIDEST:
            made = _whole(value, width, stored.sql)
        case ColumnType.DECIMAL, (int() | float()) as width if width > 0:
            made = _decimal(value, Decimal(str(width)), stored.sql)
        case ColumnType.FLOAT, (int() | float()) as width if width > 0:
            made = _floored(value, width)
        case ColumnType.TEXT, int(length) if length >= 0:
            made = exp.Anonymous(this="left", expressions=[value, exp.Literal.number(length)])
        case ((ColumnType.TIMESTAMP | ColumnType.DATE), ("hour" | "day" | "month") as unit):
            start = exp.Anonymous(this="date_trunc", expressions=[exp.Literal.string(unit), value])
            made = exp.Anonymous(this="try", expressions=[start])
        case _:
            return None
    return None if made is None else exp.TryCast(this=made, to=sql_type(stored.sql))


def _whole(value: exp.Expression, width: int, sql: str) -> exp.Expression:
    bits = SIGNED.get(sql)
    if bits is None:
        return exp.Sub(this=value, expression=_paren(exp.Mod(this=value.copy(), expression=_number(width))))
    least = -(2 ** (bits - 1))
    return _binned(
        exp.Cast(this=value, to=sql_type("BIGINT")), _number(width), _number(least), _number(-(-least // width) * width)
    )


def _decimal(value: exp.Expression, width: Decimal, sql: str) -> exp.Expression | None:
    match = DECIMAL.fullmatch(sql)
    if match is None:
        return None
    digits, scale = int(match[1]), int(match[2])
    with localcontext(prec=2 * digits + 2):
        most = (Decimal(10) ** digits - 1).scaleb(-scale)
        if width > most or width != round(width, scale):
            return None
        first = (-most / width).to_integral_value(ROUND_CEILING) * width
        return _binned(value, *(exp.Cast(this=_number(one), to=sql_type(sql)) for one in (width, -most, first)))


def _binned(
    value: exp.Expression, width: exp.Expression, least: exp.Expression, first: exp.Expression
) -> exp.Expression:
    """`value` rounded down to a multiple of `width`, without ever computing what the type cannot hold."""
    rest = _paren(exp.Mod(this=value, expression=width))
    down = exp.Case().when(exp.LT(this=rest.copy(), expression=exp.Literal.number(0)), width.copy())
    down = _paren(down.else_(exp.Sub(this=width.copy(), expression=width.copy())))
    bin_ = exp.Sub(this=exp.Sub(this=value.copy(), expression=rest), expression=down)
    return exp.Case().when(exp.LT(this=value.copy(), expression=first), least).else_(bin_)


def _floored(value: exp.Expression, width: float) -> exp.Expression:
    step = exp.Cast(this=exp.Literal.number(repr(float(width))), to=sql_type("DOUBLE"))
    bins = exp.Anonymous(
        this="floor", expressions=[exp.Div(this=exp.Cast(this=value, to=sql_type("DOUBLE")), expression=step)]
    )
    return exp.Mul(this=bins, expression=step.copy())


def _number(value: int | Decimal) -> exp.Expression:
    return _paren(exp.Literal.number(f"{value:f}" if isinstance(value, Decimal) else value))


def _paren(expression: exp.Expression) -> exp.Expression:
    return exp.Paren(this=expression)
