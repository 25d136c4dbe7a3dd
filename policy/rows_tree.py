"""The tree of a row filter: frozen, hashable, the same for equal meaning of brackets and keywords' case."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from .values import ColumnType

Value = bool | int | float | Decimal | str | datetime | date
"""What a literal may be; floats and times only come from `typed`, times with a clock are aware and UTC."""


class Operator(StrEnum):
    """A comparison, by its sign."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="

    @property
    def mirrored(self) -> "Operator":
        """The operator that says the same with both sides swapped."""
        return Operator(self.value.translate(str.maketrans("<>", "><")))


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that a filter spells out. `1`, `1.0` and `true` are equal in Python; as literals they are not."""

    value: Value
    kind: type = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", type(self.value))


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """A column by its exact name; its type is `OTHER`, of which nothing is known, until `typed` fills it in."""

    name: str
    type: ColumnType = ColumnType.OTHER


@dataclass(frozen=True, slots=True)
class Comparison:
    """`column operator other`, where the other is a literal or a column of the same type."""

    column: ColumnRef
    operator: Operator
    other: Literal | ColumnRef


@dataclass(frozen=True, slots=True)
class Between:
    """`column between low and high`, both included."""

    column: ColumnRef
    low: Literal
    high: Literal


@dataclass(frozen=True, slots=True)
class In:
    """`column in (options)`, at least one."""

    column: ColumnRef
    options: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """`column like pattern`: `%` is any text, `_` any one code point, nothing escapes them."""

    column: ColumnRef
    pattern: Literal


@dataclass(frozen=True, slots=True)
class IsNull:
    """`column is null`."""

    column: ColumnRef


@dataclass(frozen=True, slots=True)
class Not:
    """`not part`; `is not null`, `not in`, `not like` and `not between` are this too."""

    part: "Filter"


@dataclass(frozen=True, slots=True)
class And:
    """All of at least two parts; none of them is itself an `And`."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of at least two parts; none of them is itself an `Or`."""

    parts: tuple["Filter", ...]


Filter = Comparison | Between | In | Like | IsNull | Not | And | Or


def all_of(*filters: Filter) -> Filter:
    """What holds where each of at least one filter holds; an `And` among them is taken apart."""
    parts = tuple(part for filter in filters for part in conjuncts(filter))
    return parts[0] if len(parts) == 1 else And(parts)


def any_of(*filters: Filter) -> Filter:
    """What holds where at least one of the filters holds; an `Or` among them is taken apart."""
    nested = (filter.parts if isinstance(filter, Or) else (filter,) for filter in filters)
    parts = tuple(part for inner in nested for part in inner)
    return parts[0] if len(parts) == 1 else Or(parts)


def conjuncts(filter: Filter) -> tuple[Filter, ...]:
    """The parts that must all hold: those of an `And`, else the filter itself."""
    return filter.parts if isinstance(filter, And) else (filter,)


def columns_of(filter: Filter) -> frozenset[str]:
    """The names of all columns that the filter looks at."""
    return frozenset(column.name for column in _references(filter))


def _references(filter: Filter) -> Iterator[ColumnRef]:
    match filter:
        case And(parts) | Or(parts):
            yield from _each(parts)
        case Not(part):
            yield from _references(part)
        case Comparison(column, _, ColumnRef() as other):
            yield column
            yield other
        case _:
            yield filter.column


def _each(parts: Iterable[Filter]) -> Iterator[ColumnRef]:
    for part in parts:
        yield from _references(part)
