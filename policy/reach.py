"""What could be read of a dataset: every decision that one bundle, one grant and one token would have led to.

What always holds:

- A column is reached for a purpose exactly where `decide` allows a read of it alone, without a filter and before
  anything of the budget is used.
- Who is imagined gets the most that a token could: conditions of allows hold, those of denies do not.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from .bundle import Bundle
from .decide import decide
from .decision import Allow, Code
from .engine import Engine
from .errors import BadRows
from .names import ANY, is_within
from .policies import Policies
from .rows import columns_of, parse
from .rules import NO_CONDITION
from .taxonomy import OVERSIGHT, PURPOSES
from .values import Action, Dataset, DatasetScope, Grant, Pause, Principal, ReadRequest, Scope, Treatment

OF_ONE_COLUMN = frozenset(
    {Code.UNKNOWN_COLUMN, Code.BEYOND_COLUMNS, Code.UNCLASSIFIED, Code.NO_RULE, Code.DENIED_BY_RULE}
)
"""Refusals of a whole read after which some of its columns may still be had."""
ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Reached:
    """A column that could be read, and how much of it."""

    name: str
    data_class: str
    treatment: Treatment


@dataclass(frozen=True, slots=True)
class Opening:
    """For any of `purposes` these columns could be read, by `rules`; that `conditions` hold was assumed."""

    purposes: tuple[str, ...]
    columns: tuple[Reached, ...]
    rules: tuple[str, ...]
    conditions: tuple[str, ...] = ()


Reach = tuple[Opening, ...]


@dataclass(frozen=True, slots=True)
class Imagined:
    """A token that nobody has seen, and the rules as they would be at most for it.

    `team` is all that is known of it. Where that is None not even a team is: it is in every team that a rule allows
    or an audience names, and in none that a rule denies.
    """

    bundle: Bundle
    principal: Principal
    conditions: tuple[tuple[str, str], ...]
    team: str | None

    @classmethod
    def of(cls, bundle: Bundle, team: str | None, name: str = "") -> "Imagined":
        """Whoever is in `team`, or anybody at all."""
        own = bundle.policies
        rules = tuple(
            replace(rule, condition=NO_CONDITION)
            for rule in own.rules
            if rule.effect == "allow" or (rule.condition == NO_CONDITION and (team is not None or rule.team == ANY))
        )
        teams = {rule.team for rule in rules if rule.effect == "allow"}
        teams |= {one.team for dataset in bundle.catalog.datasets.values() for one in dataset.audience}
        conditions = {
            rule.name: own.conditions[rule.condition].text for rule in own.rules if rule.condition != NO_CONDITION
        }
        generous = Policies(own.data_classes, own.purposes, own.conditions, rules)
        principal = Principal(name, teams=tuple(sorted(teams)) if team is None else (team,))
        return cls(
            replace(bundle, policies=generous, engine=Engine(generous)), principal, tuple(conditions.items()), team
        )

    def reach(self, dataset: str, grant: Grant, pauses: Sequence[Pause], at: datetime) -> Reach:
        """What this token could get at most, and under which conditions."""
        # Which teams it is in is a guess where none is known: no pause of a team can be held against it.
        holding = [pause for pause in pauses if self.team is not None or pause.kind != "team"]
        conditions = dict(self.conditions)
        return tuple(
            replace(
                opening,
                conditions=tuple(sorted({conditions[name] for name in opening.rules if name in conditions})),
            )
            for opening in reach(self.bundle, dataset, grant, self.principal, holding, at)
        )


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
    for purpose in purposes_within(bundle, grant.scope.purpose):
        asked = ReadRequest(dataset, scope.columns, purpose=purpose, grant=grant.id)
        allowed = list(_allowed(asked, bundle, whole, principal, pauses, at))
        columns = tuple(
            Reached(c.column.name, c.column.data_class, c.treatment) for one in allowed for c in one.columns
        )
        if columns:
            purposes.setdefault(columns, []).append(purpose)
            rules.setdefault(columns, set()).update(name for one in allowed for name in one.rules)
    return tuple(Opening(tuple(named), columns, tuple(sorted(rules[columns]))) for columns, named in purposes.items())


def reach_by_rules(
    bundle: Bundle, dataset: str, pauses: Sequence[Pause], at: datetime
) -> tuple[tuple[str, Reach], ...]:
    """For each team what rules and audience let in: whoever is in it would only need a grant. `*` is any team."""
    described = bundle.catalog.datasets.get(dataset)
    if described is None or not described.columns:
        return ()
    anyone = Imagined.of(bundle, ANY)
    return tuple(
        (team, found)
        for team in _teams(bundle, described)
        if (
            found := _by_rules(
                replace(anyone, principal=Principal("", teams=(team,)), team=team), described, pauses, at
            )
        )
    )


def purposes_within(bundle: Bundle, outer: str) -> tuple[str, ...]:
    """Every purpose that the policies know and that lies within `outer`, the widest first."""
    known = {*bundle.policies.purposes, *PURPOSES, OVERSIGHT}
    return tuple(sorted(name for name in known if is_within(name, outer)))


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


def _by_rules(imagined: Imagined, dataset: Dataset, pauses: Sequence[Pause], at: datetime) -> Reach:
    """Under a grant of all columns for each purpose of the audience."""
    columns = (DatasetScope(dataset.name, tuple(dataset.columns)),)
    openings: dict[tuple[Reached, ...], Opening] = {}
    for purpose in _widest({one.purpose for one in dataset.audience}, imagined.bundle):
        scope = Scope(purpose, *ALWAYS, "", columns, team=imagined.team)
        for opening in imagined.reach(dataset.name, Grant("", scope), pauses, at):
            before = openings.get(opening.columns)
            openings[opening.columns] = opening if before is None else _joined(before, opening)
    return tuple(openings.values())


def _joined(one: Opening, other: Opening) -> Opening:
    return Opening(
        tuple(sorted({*one.purposes, *other.purposes})),
        one.columns,
        tuple(sorted({*one.rules, *other.rules})),
        tuple(sorted({*one.conditions, *other.conditions})),
    )


def _widest(purposes: Iterable[str], bundle: Bundle) -> tuple[str, ...]:
    """The purposes that lie within no other of them; `*` stands for every one that is known."""
    named = {
        each for purpose in purposes for each in (purposes_within(bundle, purpose) if purpose == ANY else [purpose])
    }
    return tuple(sorted(name for name in named if not any(name != other and is_within(name, other) for other in named)))


def _teams(bundle: Bundle, dataset: Dataset) -> tuple[str, ...]:
    """The teams of the audience, and those that rules name within them."""
    outer = {one.team for one in dataset.audience}
    ruled = {rule.team for rule in bundle.policies.rules if rule.effect == "allow" and rule.action is Action.READ}
    return tuple(sorted(outer | {team for team in ruled if any(is_within(team, each) for each in outer)}))


def _fits(scope: DatasetScope, dataset: Dataset) -> bool:
    """Whether the scope's filter names only columns that are there; the types of that time nobody knows."""
    try:
        return not scope.rows or columns_of(parse(scope.rows)) <= dataset.columns.keys()
    except BadRows:
        return False


def _without_rows(scope: Scope) -> Scope:
    return replace(scope, datasets=tuple(replace(one, rows="") for one in scope.datasets))
