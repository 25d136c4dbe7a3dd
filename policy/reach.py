"""What could be read of a dataset: every decision that one bundle, one grant and one token would have led to.

A column is reached for a purpose exactly where `decide` allows a read of it alone, without a filter, before anything of
the budget is used.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from .bundle import Bundle
from .decide import decide
from .decision import Allow, Code
from .errors import BadRows
from .names import ANY, ancestry, is_within
from .policies import Policies
from .rows import columns_of, parse
from .taxonomy import OVERSIGHT, PURPOSES
from .values import Dataset, DatasetScope, Grant, Pause, Principal, ReadRequest, Scope, Treatment

OF_ONE_COLUMN = frozenset(
    {Code.UNKNOWN_COLUMN, Code.BEYOND_COLUMNS, Code.UNCLASSIFIED, Code.NO_RULE, Code.DENIED_BY_RULE}
)
"""Refusals of a whole read after which some of its columns may still be had."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A column that could be read, and how much of it."""

    name: str
    data_class: str
    treatment: Treatment


@dataclass(frozen=True, slots=True)
class Opening:
    """For any of `purposes` these columns could be read, by `rules`; `conditions` are what they ask, where assumed."""

    purposes: tuple[str, ...]
    columns: tuple[Reached, ...]
    rules: tuple[str, ...]
    conditions: tuple[str, ...] = ()


Reach = tuple[Opening, ...]


def reach(
    bundle: Bundle, dataset: str, grant: Grant, principal: Principal, pauses: Sequence[Pause], at: datetime
) -> Reach:
    """What `principal` could read of `dataset` under `grant` at `at`: purposes that open the same columns together."""
    scope, described = grant.scope.of(dataset), bundle.catalog.datasets.get(dataset)
    if scope is None or described is None or not _fits(scope, described):
        return ()
    whole = replace(grant, scope=_without_rows(grant.scope), rows_used=0)
    purposes: dict[tuple[Reached, ...], list[str]] = {}
    rules: dict[tuple[Reached, ...], set[str]] = {}
    for alike in _purposes(bundle.policies, grant.scope.purpose, _named(described, pauses)):
        asked = ReadRequest(dataset, scope.columns, purpose=alike[0], grant=grant.id)
        allowed = list(_allowed(asked, bundle, whole, principal, pauses, at))
        columns = tuple(
            Reached(c.column.name, c.column.data_class, c.treatment) for one in allowed for c in one.columns
        )
        if columns:
            purposes.setdefault(columns, []).extend(alike)
            rules.setdefault(columns, set()).update(name for one in allowed for name in one.rules)
    return tuple(
        Opening(tuple(sorted(named)), columns, tuple(sorted(rules[columns]))) for columns, named in purposes.items()
    )


@lru_cache(maxsize=64)
def _purposes(policies: Policies, outer: str, named: frozenset[str]) -> tuple[tuple[str, ...], ...]:
    """Every purpose that is known and lies within `outer`; together those that nothing that is named tells apart."""
    known = sorted({*policies.purposes, *PURPOSES, OVERSIGHT})
    named |= {rule.purpose for rule in policies.rules}
    alike: dict[tuple[str, ...], list[str]] = {}
    for purpose in known:
        if is_within(purpose, outer):
            wider = tuple(name for name in ancestry(purpose) if name in named)
            narrower = tuple(sorted(name for name in named if name != purpose and is_within(name, purpose)))
            alike.setdefault((*wider, ANY, *narrower), []).append(purpose)
    return tuple(map(tuple, alike.values()))


def _named(dataset: Dataset, pauses: Sequence[Pause]) -> frozenset[str]:
    """The purposes that decide about a read beside those of rules."""
    paused = {pause.target for pause in pauses if pause.kind == "purpose"}
    return frozenset(paused | {one.purpose for one in dataset.audience})


def _allowed(
    asked: ReadRequest, bundle: Bundle, grant: Grant, principal: Principal, pauses: Sequence[Pause], at: datetime
) -> Iterator[Allow]:
    """The read of all columns where that may happen; else of each that may be read alone."""
    decision = decide(asked, principal, [grant], pauses, bundle, at)
    if isinstance(decision, Allow):
        yield decision
        return
    if decision.code in OF_ONE_COLUMN and asked.columns is not None and len(asked.columns) > 1:
        for column in asked.columns:
            yield from _allowed(replace(asked, columns=(column,)), bundle, grant, principal, pauses, at)


def _fits(scope: DatasetScope, dataset: Dataset) -> bool:
    """Whether the scope's filter names only columns that are there; the types of that time nobody knows."""
    try:
        return not scope.rows or columns_of(parse(scope.rows)) <= dataset.columns.keys()
    except BadRows:
        return False


def _without_rows(scope: Scope) -> Scope:
    return replace(scope, datasets=tuple(replace(one, rows="") for one in scope.datasets))
