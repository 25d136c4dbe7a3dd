"""What a token that nobody has seen could read at most.

Of such a token all is assumed that helps it: conditions of allows hold and those of denies do not, and beside the team
that is known it says every team that a rule allows or an audience names. So no real token gets more.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from .bundle import Bundle
from .engine import Engine
from .names import ANY, is_within
from .policies import Policies
from .reach import Reach, reach
from .rules import NO_CONDITION, Rule
from .values import Action, Dataset, DatasetScope, Grant, Pause, Principal, Scope

ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Imagined:
    """Whoever is in `team` (None: nobody knows in which), under the rules as they would be at most.

    `real` are the rules as they are, by name.
    """

    bundle: Bundle
    principal: Principal
    team: str | None
    real: Mapping[str, Rule]

    @classmethod
    def of(cls, bundle: Bundle, team: str | None) -> "Imagined":
        """A token that says `team`, and whichever others help it."""
        others = {rule.team for rule in bundle.policies.rules if rule.effect == "allow"}
        others |= {one.team for dataset in bundle.catalog.datasets.values() for one in dataset.audience}
        teams = others if team is None else {*others, team}
        generous = _generous(bundle, lambda deny: deny.team == ANY or _lies_within(team, deny.team))
        return cls(generous, Principal("", teams=tuple(sorted(teams))), team, _by_name(bundle))

    def reach(
        self, dataset: str, grant: Grant, pauses: Sequence[Pause], at: datetime, *, name: str | None = None
    ) -> Reach:
        """What this token could get at most, and what the rules that let it in ask."""
        holding = [pause for pause in pauses if pause.kind != "team" or _lies_within(self.team, pause.target)]
        principal = replace(self.principal, name=name or "")
        return tuple(
            replace(opening, conditions=tuple(sorted({ask for rule in opening.rules for ask in self._asks(rule)})))
            for opening in reach(self.bundle, dataset, grant, principal, holding, at)
        )

    def _asks(self, name: str) -> Iterator[str]:
        """What a rule asks beyond the team that is known."""
        rule = self.real[name]
        if rule.team != ANY and not _lies_within(self.team, rule.team):
            yield f"a token that says {rule.team}"
        if rule.condition != NO_CONDITION:
            yield self.bundle.policies.conditions[rule.condition].text


def reach_by_rules(bundle: Bundle, dataset: str, pauses: Sequence[Pause], at: datetime) -> Mapping[str, Reach]:
    """For each team what rules and audience let in: whoever is in it would only need a grant. `*` is any team."""
    described = bundle.catalog.datasets.get(dataset)
    if described is None or not described.columns:
        return {}
    generous, real = _generous(bundle, lambda _: True), _by_name(bundle)
    imagined = (Imagined(generous, Principal("", teams=(team,)), team, real) for team in _teams(bundle, described))
    return {one.team or "": found for one in imagined if (found := _by_rules(one, described, pauses, at))}


def _by_rules(imagined: Imagined, dataset: Dataset, pauses: Sequence[Pause], at: datetime) -> Reach:
    """Under a grant of every column for every purpose."""
    columns = (DatasetScope(dataset.name, tuple(dataset.columns)),)
    return imagined.reach(dataset.name, Grant("", Scope(ANY, *ALWAYS, "", columns, team=imagined.team)), pauses, at)


def _generous(bundle: Bundle, holds: Callable[[Rule], bool]) -> Bundle:
    """The bundle where the conditions of allows hold, and of denies only those without one that `holds`."""
    own = bundle.policies
    rules = tuple(
        replace(rule, condition=NO_CONDITION)
        for rule in own.rules
        if rule.effect == "allow" or (rule.condition == NO_CONDITION and holds(rule))
    )
    policies = Policies(own.data_classes, own.purposes, own.conditions, rules)
    return replace(bundle, policies=policies, engine=Engine(policies))


def _by_name(bundle: Bundle) -> Mapping[str, Rule]:
    return {rule.name: rule for rule in bundle.policies.rules}


def _lies_within(team: str | None, outer: str) -> bool:
    return team is not None and is_within(team, outer)


def _teams(bundle: Bundle, dataset: Dataset) -> tuple[str, ...]:
    """The teams of the audience, and those that rules name within them."""
    outer = {one.team for one in dataset.audience}
    ruled = {rule.team for rule in bundle.policies.rules if rule.effect == "allow" and rule.action is Action.READ}
    return tuple(sorted(outer | {team for team in ruled if any(is_within(team, each) for each in outer)}))
