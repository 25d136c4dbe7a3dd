"""Whether a read asks for rows that its scope has none of (`beyond_rows`), decided column by column.

What a conjunct lets through of its one column is a set of stretches between *cuts*. A cut lies just below (0) or just
above (1) a value; `_BOTTOM` and `_TOP` enclose them all, NaN included. NULL is kept apart. A part that compares two
columns, or asks `like` with a wildcard, may let anything through: so nothing is called excluded that could be given.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from math import ceil, floor
from typing import Any

from .rows_tree import (
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
    all_of,
    any_of,
    columns_of,
    conjuncts,
)
from .values import ColumnType

_Cut = tuple[Any, ...]
_BOTTOM: _Cut = (-1,)
_TOP: _Cut = (1,)
_OPPOSITES = {
    Operator.EQUAL: Operator.UNEQUAL,
    Operator.UNEQUAL: Operator.EQUAL,
    Operator.LESS: Operator.AT_LEAST,
    Operator.AT_LEAST: Operator.LESS,
    Operator.GREATER: Operator.AT_MOST,
    Operator.AT_MOST: Operator.GREATER,
}


@dataclass(frozen=True, slots=True)
class _Values:
    """Some values of one column: `stretches` in order, none touching another, from cut to cut; and perhaps NULL."""

    stretches: tuple[tuple[_Cut, _Cut], ...]
    null: bool = False


_NOTHING = _Values(())
_ANYTHING = _Values(((_BOTTOM, _TOP),), null=True)


def excludes(asked: Filter, scope: Filter) -> frozenset[str]:
    """The columns on which no value satisfies both filters, both typed, although one satisfies `asked` alone.

    Sound, not complete: a column is only named when the rows asked for and those in scope cannot meet on it.
    """
    wanted, granted = _by_column(asked), _by_column(scope)
    shared = wanted.keys() & granted.keys()
    return frozenset(
        name for name in shared if wanted[name] != _NOTHING and _meet([wanted[name], granted[name]]) == _NOTHING
    )


def _by_column(filter: Filter) -> dict[str, _Values]:
    """What the top-level conjuncts that look at one column leave of it."""
    found: dict[str, list[_Values]] = {}
    for conjunct in conjuncts(_inward(filter, negated=False)):
        if len(names := columns_of(conjunct)) == 1:
            found.setdefault(next(iter(names)), []).append(_passed(conjunct))
    return {name: _meet(sets) for name, sets in found.items()}


def _inward(filter: Filter, *, negated: bool) -> Filter:
    """The same filter with every `not` moved down to a single test; this holds in three-valued logic too."""
    match filter:
        case Not(part):
            return _inward(part, negated=not negated)
        case And(parts) | Or(parts):
            connect = all_of if isinstance(filter, And) is not negated else any_of
            return connect(*(_inward(part, negated=negated) for part in parts))
        case Comparison(column, operator, other) if negated:
            return Comparison(column, _OPPOSITES[operator], other)
        case Between(column, low, high):
            ends = Comparison(column, Operator.AT_LEAST, low), Comparison(column, Operator.AT_MOST, high)
            return _inward(And(ends), negated=negated)
        case _:
            return Not(filter) if negated else filter


def _passed(filter: Filter) -> _Values:
    """The values for which a filter of one column, with `not` moved inward, may be true."""
    match filter:
        case And(parts):
            return _meet(map(_passed, parts))
        case Or(parts):
            return _join(map(_passed, parts))
        case IsNull():
            return _Values((), null=True)
        case Not(IsNull(column)):
            return _Values(_whole(column))
        case Comparison(column, operator, Literal() as literal):
            return _compared(column, operator, literal)
        case In(column, options):
            return _join(_compared(column, Operator.EQUAL, option) for option in options)
        case Not(In(column, options)):
            return _meet(_compared(column, Operator.UNEQUAL, option) for option in options)
        case Like(column, pattern) if _is_plain(pattern):
            return _compared(column, Operator.EQUAL, pattern)
        case Not(Like(column, pattern)) if _is_plain(pattern):
            return _compared(column, Operator.UNEQUAL, pattern)
        case _:
            return _ANYTHING


def _is_plain(pattern: Literal) -> bool:
    return not {"%", "_"} & set(str(pattern.value))


def _compared(column: ColumnRef, operator: Operator, literal: Literal) -> _Values:
    if column.type is ColumnType.OTHER:
        return _ANYTHING
    below, above = _cuts(column, literal)
    ((bottom, top),) = _whole(column)
    stretches = {
        Operator.EQUAL: [(below, above)],
        Operator.UNEQUAL: [(bottom, below), (above, top)],
        Operator.LESS: [(bottom, below)],
        Operator.AT_MOST: [(bottom, above)],
        Operator.GREATER: [(above, top)],
        Operator.AT_LEAST: [(below, top)],
    }
    return _Values(_tidy(stretches[operator]))


def _cuts(column: ColumnRef, literal: Literal) -> tuple[_Cut, _Cut]:
    """Below and above a literal. Among whole values, above one is below the next: nothing lies between 5 and 6."""
    value: Any = literal.value
    match column.type:
        case ColumnType.INTEGER | ColumnType.BOOLEAN:
            return (0, ceil(value), 0), (0, floor(value) + 1, 0)
        case ColumnType.DATE:
            return (0, value.toordinal(), 0), (0, value.toordinal() + 1, 0)
        case _:
            return (0, value, 0), (0, value, 1)


def _whole(column: ColumnRef) -> tuple[tuple[_Cut, _Cut]]:
    return (((0, 0, 0), (0, 2, 0)),) if column.type is ColumnType.BOOLEAN else ((_BOTTOM, _TOP),)


def _join(sets: Iterable[_Values]) -> _Values:
    sets = list(sets)
    stretches = chain.from_iterable(values.stretches for values in sets)
    return _Values(_tidy(stretches), any(values.null for values in sets))


def _meet(sets: Iterable[_Values]) -> _Values:
    return _others(_join(map(_others, sets)))


def _others(values: _Values) -> _Values:
    """Everything else."""
    starts = [_BOTTOM, *(end for _, end in values.stretches)]
    ends = [*(start for start, _ in values.stretches), _TOP]
    return _Values(_tidy(zip(starts, ends, strict=True)), not values.null)


def _tidy(stretches: Iterable[tuple[_Cut, _Cut]]) -> tuple[tuple[_Cut, _Cut], ...]:
    """In order, those that touch made one, empty ones left out."""
    tidy: list[tuple[_Cut, _Cut]] = []
    for start, end in sorted(stretch for stretch in stretches if stretch[0] < stretch[1]):
        if tidy and start <= tidy[-1][1]:
            tidy[-1] = (tidy[-1][0], max(tidy[-1][1], end))
        else:
            tidy.append((start, end))
    return tuple(tidy)
