"""Made-up people for whom a rule's condition holds, so that the engine can be asked whether anybody gets in. Pure.

What conditions compare an attribute with is all that can matter of it: each such value, one just beside it, and none.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product

from .conditions import Among, Compared, Condition, Constant, Expression, Flag, Joined, Named, Not
from .policies import Policies
from .rules import NO_CONDITION, Rule
from .values import Action, Attribute, Dataset, Principal

SOMEBODY = "somebody"
MOST = 4_096
"""People who are tried for one rule and one dataset; where none of them meets its condition, it lets nobody in."""


def witnesses(
    rule: Rule, teams: tuple[str, ...], dataset: Dataset, policies: Policies, denying: Sequence[str]
) -> Iterator[Principal]:
    """People of `teams` for whom the condition of `rule` holds, who differ in what it and those of denies ask for."""
    named = dict.fromkeys([rule.condition, *denying])
    values = _values([policies.conditions[name] for name in named if name != NO_CONDITION], dataset)
    for chosen in islice(product(*values.values()), MOST):
        who = _person(dict(zip(values, chosen, strict=True)), teams)
        if policies.tell(rule.condition, who, dataset).value:
            yield who


def denying(policies: Policies) -> tuple[str, ...]:
    """The conditions of every deny that could take back what an allow gives, each once."""
    denies = (rule for rule in policies.rules if rule.effect == "deny" and rule.action is Action.READ)
    return tuple(dict.fromkeys(rule.condition for rule in denies))


def _values(conditions: Iterable[Condition], dataset: Dataset) -> Mapping[str, tuple[Attribute | None, ...]]:
    """For each attribute of a principal that is asked for, what it could be; None is absent."""
    found: dict[str, dict[tuple[type, Attribute], None]] = {}
    for condition in conditions:
        for test in _tests(condition.expression):
            beside = [value for each in _literals(test, dataset) for value in (each, *_neighbours(each))]
            for name in (named.name for named in test.names() if named.of == "principal"):
                found.setdefault(name, {}).update(dict.fromkeys((value.__class__, value) for value in beside))
    return {name: (*(value for _, value in values), None) for name, values in found.items()}


def _tests(expression: Expression) -> Iterator[Compared | Among | Flag]:
    match expression:
        case Not(part):
            yield from _tests(part)
        case Joined(_, parts):
            for part in parts:
                yield from _tests(part)
        case _:
            yield expression


def _literals(test: Compared | Among | Flag, dataset: Dataset) -> Iterator[Attribute]:
    match test:
        case Flag():
            yield from (True, False)
        case Among(_, literals):
            yield from literals
        case Compared(_, left, right):
            for side in (left, right):
                value = _known(side, dataset)
                if value is not None:
                    yield value
            if isinstance(left, Named) and isinstance(right, Named):
                yield SOMEBODY


def _known(side: Named | Constant, dataset: Dataset) -> Attribute | None:
    """The value of a side that does not depend on who asks."""
    if isinstance(side, Constant):
        return side.literal
    if side.of == "principal":
        return None
    if side.is_field:
        return str(getattr(dataset, side.name))
    return next((value for name, value in dataset.attributes if name == side.name), None)


def _neighbours(value: Attribute) -> tuple[Attribute, ...]:
    """Values on either side of one: what an order or a difference may want instead."""
    if isinstance(value, bool):
        return (not value,)
    return (value - 1, value + 1) if isinstance(value, int) else ("", f"{value}~")


def _person(chosen: Mapping[str, Attribute | None], teams: tuple[str, ...]) -> Principal:
    attributes = tuple(sorted((name, value) for name, value in chosen.items() if value is not None))
    name, kind = chosen.get("name"), chosen.get("kind")
    return Principal(
        name if isinstance(name, str) else SOMEBODY,
        "service" if kind == "service" else "person",
        teams,
        tuple((each, value) for each, value in attributes if each not in ("name", "kind")),
    )
