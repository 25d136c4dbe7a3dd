"""The nouns that everybody speaks of: who reads, what there is, what was granted, what was asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Literal

from .names import is_within

Attribute = str | int | bool
"""What an attribute of a principal or a dataset may be."""


class Treatment(IntEnum):
    """How much of a column may be seen; a greater one reveals more."""

    HIDDEN = 0
    PSEUDONYM = 1
    COARSE = 2
    CLEAR = 3

    def __str__(self) -> str:
        return self.name.lower()


class Sensitivity(IntEnum):
    """How much harm a data class can do; nothing declared is `CRITICAL`."""

    LOW = 0
    MODERATE = 1
    HIGH = 2
    CRITICAL = 3

    def __str__(self) -> str:
        return self.name.lower()


class Action(StrEnum):
    """What a rule can let somebody do."""

    READ = "read"
    APPROVE = "approve"
    ADMINISTER = "administer"
    RESPOND = "respond"


class Excess(StrEnum):
    """How an ask went too far: beyond a grant in force, or outside any."""

    BEYOND = "beyond"
    OUTSIDE = "outside"


class ColumnType(Enum):
    """What the row language knows of a column's type; `OTHER` can only be asked `is null`."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    TEXT = "text"
    TIMESTAMP = "timestamp"
    DATE = "date"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who reads, as a verified token says: `sub`, teams that are names (sorted), attributes (sorted by name)."""

    name: str
    kind: Literal["person", "service"] = "person"
    teams: tuple[str, ...] = ()
    attributes: tuple[tuple[str, Attribute], ...] = ()

    def is_member(self, team: str) -> bool:
        """Whether one of the principal's teams is `team` or lies within it."""
        return any(is_within(own, team) for own in self.teams)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a dataset: its data class, its type in the store, and what `coarse` makes of it.

    `coarse` is a bin width (numbers), `hour`, `day` or `month` (times), a prefix length (text), or None: hidden.
    """

    name: str
    data_class: str
    type: ColumnType = ColumnType.OTHER
    coarse: float | int | str | None = None


@dataclass(frozen=True, slots=True)
class Audience:
    """A team and a purpose that a dataset's owner wants to be able to read it; either may be `*`."""

    team: str
    purpose: str


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A table in a store, as the catalog describes it and a look into the store completed it.

    `undeclared` are columns that the store has and the catalog does not name: they are never readable.
    `attributes` are what conditions may ask of it, `region` for instance, sorted by name.
    """

    name: str
    owner: str
    store: str
    location: str
    subject: str
    title: str = ""
    source: str = ""
    occurred_at: str | None = None
    attributes: tuple[tuple[str, Attribute], ...] = ()
    audience: tuple[Audience, ...] = ()
    columns: Mapping[str, Column] = field(default_factory=lambda: MappingProxyType({}))
    undeclared: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Store:
    """Where datasets lie: a name, the driver that opens it, and its uri (empty for files)."""

    name: str
    driver: str
    uri: str = ""


@dataclass(frozen=True, slots=True)
class DatasetScope:
    """What a declared scope says of one dataset: columns, and a filter in the row language (empty: every row)."""

    dataset: str
    columns: tuple[str, ...]
    rows: str = ""


class GrantStatus(StrEnum):
    """What was done to a grant; whether it is in force also depends on its `starts` and `ends`."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Scope:
    """A declared scope: who (`principal` or `team`, exactly one), why, what of which datasets, how many, until when.

    `starts` and `ends` are aware UTC times; `max_rows` and `max_subjects` count over the whole life of the grant.
    """

    purpose: str
    starts: datetime
    ends: datetime
    justification: str
    datasets: tuple[DatasetScope, ...]
    principal: str | None = None
    team: str | None = None
    max_rows: int | None = None
    training_run: str | None = None
    assessment: str | None = None
    max_subjects: int | None = None

    def of(self, dataset: str) -> DatasetScope | None:
        """What the scope says of `dataset`; None where it does not cover it."""
        return next((scope for scope in self.datasets if scope.dataset == dataset), None)

    def is_for(self, principal: Principal) -> bool:
        """Whether the scope was declared by this principal or for one of its teams."""
        if self.principal is not None:
            return self.principal == principal.name
        return self.team is not None and principal.is_member(self.team)


@dataclass(frozen=True, slots=True)
class Grant:
    """A declared scope that was approved: `id`, what was done to it since, how many rows and subjects it has used.

    `has_met_more` says that rows of somebody came for whom there was no room in `max_subjects`: then it is spent.
    Subjects are counted only where there is that limit. `added_at` is when it was put in, where that is known.
    """

    id: str
    scope: Scope
    status: GrantStatus = GrantStatus.ACTIVE
    rows_used: int = 0
    subjects_used: int = 0
    has_met_more: bool = False
    added_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Reading is paused: everywhere (`everything`), or for one dataset, team, purpose or principal: `target`."""

    kind: Literal["everything", "dataset", "team", "purpose", "principal"]
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One ask for rows. Columns left out mean all of the scope's; purpose left out means the grant's."""

    dataset: str
    columns: tuple[str, ...] | None = None
    rows: str = ""
    limit: int | None = None
    purpose: str | None = None
    grant: str | None = None
