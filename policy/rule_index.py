"""Finds the few rules that can have a say, so that the cost of a decision does not grow with the others."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from .names import ANY, ancestry
from .rules import Rule
from .values import Action

RulesByTeam = Mapping[str, list[Rule]]
NO_TEAMS: RulesByTeam = MappingProxyType({})
NO_PURPOSES: Mapping[str, RulesByTeam] = MappingProxyType({})


class RuleIndex:
    """Rules by action and data class, then purpose, then team: each stands where an ask of it looks."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules: dict[tuple[str, str], dict[str, dict[str, list[Rule]]]] = {}
        for rule in rules:
            for data_class in _places(rule.data_class, rule.effect):
                by_purpose = self._rules.setdefault((rule.action.value, data_class), {})
                for purpose in _places(rule.purpose, rule.effect):
                    by_purpose.setdefault(purpose, {}).setdefault(rule.team, []).append(rule)

    def candidates(self, teams: Iterable[str], purpose: str, data_class: str, action: Action) -> list[Rule]:
        """The rules that match but for their conditions: denies first, each once, in the order of the file."""
        memberships = {outer for team in teams for outer in (*ancestry(team), ANY)}
        purposes = _sights(purpose)
        found: list[Rule] = []
        for seen_class in _sights(data_class):
            by_purpose = self._rules.get((action.value, seen_class), NO_PURPOSES)
            for seen_purpose in purposes if by_purpose else ():
                by_team = by_purpose.get(seen_purpose, NO_TEAMS)
                for team in memberships & by_team.keys():
                    found += by_team[team]
        return sorted(found, key=_denies_first)


def _places(name: str, effect: str) -> Iterator[str]:
    """Where a rule stands: at its own name; a deny also below every outer name, whoever asks for that gets more."""
    yield name
    if effect == "deny":
        for outer in ancestry(name)[1:]:
            yield f"{outer}."


def _sights(asked: str) -> tuple[str, ...]:
    """Where an ask looks: at what it is within, and below itself."""
    return (*ancestry(asked), ANY, f"{asked}.")


def _denies_first(rule: Rule) -> tuple[bool, int]:
    return rule.effect == "allow", rule.line
