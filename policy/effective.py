"""Whom the rules alone let in to a dataset that its owner did not declare. Pure.

The audience is asked before the rules, so nobody gets through; but then one line of the catalog is all that stands
there. What always holds:

- Nobody is named whom the rules do not let in: for each there is somebody made up whom the engine itself allows.
- Only columns that say more than whose data it is count: rules on identifiers are for every dataset there is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from .bundle import Bundle
from .names import ANY, ancestry, is_within
from .rules import Rule
from .values import Action, Column, Dataset, Principal, Treatment
from .witnesses import denying, witnesses

MOST = 20
"""Teams and purposes that are named for one dataset: more of them are no more news."""
ANYBODYS = "anybodys_team"
"""A team that no rule names: whoever is in none at all is nobody to any rule."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """A team (`*`: anybody) that the rules let in for a purpose: to which columns, by which rules, and whom exactly."""

    team: str
    purpose: str
    columns: tuple[str, ...]
    rules: tuple[str, ...]
    who: Principal


def beyond_audience(bundle: Bundle) -> Iterator[tuple[Dataset, tuple[Beyond, ...]]]:
    """Each dataset that the rules open beyond its audience, with the first `MOST` of whom they let in."""
    by_class: dict[str, list[Rule]] = {}
    for rule in bundle.policies.rules:
        if _shows(rule):
            by_class.setdefault(rule.data_class, []).append(rule)
    denies = denying(bundle.policies)
    for dataset in bundle.catalog.datasets.values():
        if found := tuple(islice(_beyond(dataset, by_class, bundle, denies), MOST)):
            yield dataset, found


def _beyond(
    dataset: Dataset, by_class: dict[str, list[Rule]], bundle: Bundle, denies: Sequence[str]
) -> Iterator[Beyond]:
    columns = [one for one in dataset.columns.values() if not bundle.policies.is_identifier(one.data_class)]
    classes = {outer for one in columns for outer in (*ancestry(one.data_class), ANY)}
    seen = set()
    for rule in sorted((rule for name in classes for rule in by_class.get(name, ())), key=lambda rule: rule.line):
        for purpose in _purposes(rule, bundle):
            pair = rule.team, purpose
            if pair not in seen and not _is_declared(dataset, *pair):
                beyond = _let_in(rule, purpose, dataset, columns, bundle, denies)
                if beyond is not None:
                    seen.add(pair)
                    yield beyond


def _let_in(
    rule: Rule, purpose: str, dataset: Dataset, columns: Sequence[Column], bundle: Bundle, denies: Sequence[str]
) -> Beyond | None:
    """Somebody of the rule's team whom the rules, all of them, let in; None where there is nobody."""
    teams = (ANYBODYS,) if rule.team == ANY else (rule.team,)
    for who in witnesses(rule, teams, dataset, bundle.policies, denies):
        open_to = dict(_open(who, purpose, dataset, columns, bundle))
        if open_to:
            rules = tuple(dict.fromkeys(name for names in open_to.values() for name in names))
            return Beyond(rule.team, purpose, tuple(open_to), rules, who)
    return None


def _open(
    who: Principal, purpose: str, dataset: Dataset, columns: Iterable[Column], bundle: Bundle
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for column in columns:
        answer = bundle.engine.ask(who, purpose, dataset, column.data_class, Action.READ).of(column)
        if answer.effect == "allow" and answer.treatment > Treatment.HIDDEN:
            yield column.name, answer.rules


def _purposes(rule: Rule, bundle: Bundle) -> tuple[str, ...]:
    """The purposes to ask a rule about: its own; where that is any, each that some rule or the file names."""
    if rule.purpose != ANY:
        return (rule.purpose,)
    named = {other.purpose for other in bundle.policies.rules} | set(bundle.policies.purposes)
    return tuple(sorted(named - {ANY}))


def _is_declared(dataset: Dataset, team: str, purpose: str) -> bool:
    return any(is_within(team, one.team) and is_within(purpose, one.purpose) for one in dataset.audience)


def _shows(rule: Rule) -> bool:
    return rule.effect == "allow" and rule.action is Action.READ and rule.treatment > Treatment.HIDDEN
