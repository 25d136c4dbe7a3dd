"""What a token that nobody has seen could read at most.

Of such a token all is assumed that helps it: conditions of allows hold and those of denies do not, and beside the team
that is known it says every team that a rule allows or an audience names. So no real token gets more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from .bundle import Bundle
from .engine import Engine
from .names import ANY, is_within
from .policies import Policies
from .reach import Opening, Reach, Reached, purposes_within, reach
from .rules import NO_CONDITION, Rule
from .values import Action, Dataset, DatasetScope, Grant, Pause, Principal, Scope

ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Imagined:
    """Whoever is in `team` (None: nobody knows in which), under the rules as they would be at most.

    `asks` says of each rule what it asks beyond that team.
    """

    bundle: Bundle
    principal: Principal
    team: str | None
    asks: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, bundle: Bundle, team: str | None, *, only: bool = False) -> "Imagined":
        """A token that says `team`; `only` that one, or whichever others help it."""
        own = bundle.policies
        rules = tuple(replace(rule, condition=NO_CONDITION) for rule in own.rules if _counts(rule, team))
        others = {rule.team for rule in rules if rule.effect == "allow"}
        others |= {one.team for dataset in bundle.catalog.datasets.values() for one in dataset.audience}
        teams = {team} if team is not None else set[str]()
        asks = {rule.name: _asks(own, rule, team) for rule in own.rules if rule.effect == "allow"}
        generous = Policies(own.data_classes, own.purposes, own.conditions, rules)
        return cls(
            replace(bundle, policies=generous, engine=Engine(generous)),
            Principal("", teams=tuple(sorted(teams if only else teams | others))),
            team,
            asks,
        )

    def reach(
        self, dataset: str, grant: Grant, pauses: Sequence[Pause], at: datetime, *, name: str | None = None
    ) -> Reach:
        """What this token could get at most, and what the rules that let it in ask."""
        holding = [pause for pause in pauses if pause.kind != "team" or _lies_within(self.team, pause.target)]
        principal = replace(self.principal, name=name or "")
        return tuple(
            replace(opening, conditions=tuple(sorted({ask for name in opening.rules for ask in self.asks[name]})))
            for opening in reach(self.bundle, dataset, grant, principal, holding, at)
        )


def reach_by_rules(bundle: Bundle, dataset: str, pauses: Sequence[Pause], at: datetime) -> Mapping[str, Reach]:
    """For each team what rules and audience let in: whoever is in it would only need a grant. `*` is any team."""
    described = bundle.catalog.datasets.get(dataset)
    if described is None or not described.columns:
        return {}
    imagined = (Imagined.of(bundle, team, only=True) for team in _teams(bundle, described))
    return {one.team or "": openings for one in imagined if (openings := _by_rules(one, described, pauses, at))}


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


def _counts(rule: Rule, team: str | None) -> bool:
    """Whether a rule counts for such a token: a deny only where it holds whatever else the token says."""
    if rule.effect == "allow":
        return True
    return rule.condition == NO_CONDITION and (rule.team == ANY or _lies_within(team, rule.team))


def _asks(policies: Policies, rule: Rule, team: str | None) -> tuple[str, ...]:
    condition = () if rule.condition == NO_CONDITION else (policies.conditions[rule.condition].text,)
    is_in = rule.team == ANY or _lies_within(team, rule.team)
    return condition if is_in else (f"a token that says {rule.team}", *condition)


def _lies_within(team: str | None, outer: str) -> bool:
    return team is not None and is_within(team, outer)


def _widest(purposes: Iterable[str], bundle: Bundle) -> tuple[str, ...]:
    """The purposes that lie within no other of them; `*` stands for every one that is known."""
    named = {each for purpose in purposes for each in (purposes_within(bundle, ANY) if purpose == ANY else [purpose])}
    return tuple(sorted(name for name in named if not any(name != other and is_within(name, other) for other in named)))


def _teams(bundle: Bundle, dataset: Dataset) -> tuple[str, ...]:
    """The teams of the audience, and those that rules name within them."""
    outer = {one.team for one in dataset.audience}
    ruled = {rule.team for rule in bundle.policies.rules if rule.effect == "allow" and rule.action is Action.READ}
    return tuple(sorted(outer | {team for team in ruled if any(is_within(team, each) for each in outer)}))
