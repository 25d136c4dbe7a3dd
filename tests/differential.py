"""Random rule sets and requests, answered thrice: by Remit, by plain Casbin over all rules, and by the naive reference.

The reference follows the words of the design and shares no code with `policy`: names are lists, conditions are trees
of its own that are written out as text for the file. `make torture` runs it with a million requests.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest

import casbin

from policy.engine import Answer, Engine
from policy.policies import load_policies
from policy.values import Action, Attribute, Dataset, Principal, Treatment

MODEL = """\
[request_definition]
r = principal, purpose, dataset, data_class, action
[policy_definition]
p = team, purpose, data_class, action, condition, treatment, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = member(r.principal, p.team) && within(r.purpose, p.purpose, p.eft) && within(r.data_class, p.data_class, p.eft) && \
r.action == p.action && holds(p.condition, p.eft, r.principal, r.dataset)
"""
# `a.bb` starts with `a.b` and is not within it: a comparison of letters would get this wrong.
TEAMS = ("a", "a.b", "a.b.c", "a.bb", "d")
PURPOSES = ("p", "p.q", "p.q.r", "p.qq", "s")
CLASSES = ("k", "k.l", "k.l.m", "k.ll", "i", "i.j")
TEXTS = ("eu", "uk", "current", "")
VALUES: tuple[Attribute, ...] = ("eu", "uk", 0, 1, 2, True, False)
ATTRIBUTES = ("region", "level", "flag")
TEXT_FIELDS = ("principal.name", "dataset.name", "dataset.owner", "dataset.source", "dataset.store")
ORDERS = ("<", "<=", ">", ">=")

Tree = tuple[object, ...]
Row = tuple[str, str, str, str, str, str, str]


@dataclass(frozen=True)
class RuleSet:
    """Rules as Casbin has them, their names in order, and the trees of the conditions that they name."""

    rows: tuple[Row, ...]
    conditions: dict[str, Tree]

    def text(self) -> str:
        lines = [MODEL, "[data_classes]", *(f"{name} = low" for name in CLASSES if name != "i"), "i = high, identifier"]
        lines += ["[purposes]", *(f"{name} = for a test" for name in PURPOSES)]
        lines += ["[conditions]", *(f"{name} = {written(tree)}" for name, tree in self.conditions.items())]
        lines += ["[rules]", *(f"rule_{i} = {', '.join(row)}" for i, row in enumerate(self.rows))]
        return "\n".join(lines)


@dataclass(frozen=True)
class Request:
    """What is asked, by whom; the arguments of `Engine.ask`."""

    principal: Principal
    purpose: str
    dataset: Dataset | None
    data_class: str
    action: Action


@dataclass
class Outcome:
    """How many requests were answered how, and what those were that the three answered differently."""

    asked: int = 0
    effects: dict[str, int] = field(default_factory=lambda: {"allow": 0, "deny": 0, "none": 0})
    untold: int = 0
    differences: list[str] = field(default_factory=list)


def compare(requests: int, seed: int, *, per_set: int = 50, max_rules: int = 50) -> Outcome:
    """Asks `requests` random questions of `requests / per_set` random rule sets."""
    rng = random.Random(seed)
    outcome = Outcome()
    while outcome.asked < requests:
        rules = random_rules(rng, max_rules)
        policies = load_policies(rules.text().encode())
        engines = (Engine(policies), Engine(policies, remembered=0))
        enforcer = stock(rules)
        for request in random_requests(rng, min(per_set, requests - outcome.asked)):
            _compare_one(rules, request, engines, enforcer, outcome)
    return outcome


def _compare_one(
    rules: RuleSet, request: Request, engines: tuple[Engine, ...], enforcer: casbin.Enforcer, outcome: Outcome
) -> None:
    args = (request.principal, request.purpose, request.dataset, request.data_class, request.action)
    wanted = reference(rules, request)
    plain = enforcer.enforce(*args[:-1], request.action.value)
    answers = [engine.ask(*args) for engine in engines]
    outcome.asked += 1
    outcome.effects[wanted.effect] += 1
    outcome.untold += bool(answers[0].lacked)
    for answer in answers:
        told = (answer.effect, answer.treatment, answer.rules)
        if told != (wanted.effect, wanted.treatment, wanted.rules) or plain != (answer.effect == "allow"):
            outcome.differences.append(f"{request}: {answer}, not {wanted}; casbin: {plain}\n{rules.text()}")


def stock(rules: RuleSet) -> casbin.Enforcer:
    """A plain Casbin enforcer that knows every rule, with the reference's functions."""
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=MODEL))
    enforcer.get_model()["p"]["p"].policy = [list(row) for row in rules.rows]
    enforcer.add_function("member", is_member)
    enforcer.add_function("within", covers)
    enforcer.add_function("holds", lambda name, eft, who, what: applies(rules, name, eft, who, what))
    return enforcer


def reference(rules: RuleSet, request: Request) -> Answer:
    """The answer as the design has it, rule by rule."""
    held: dict[str, list[tuple[Treatment, str]]] = {"allow": [], "deny": []}
    fell_short = []
    for i, (team, purpose, data_class, action, condition, treatment, effect) in enumerate(rules.rows):
        if (
            is_member(request.principal, team)
            and covers(request.purpose, purpose, effect)
            and covers(request.data_class, data_class, effect)
            and request.action.value == action
        ):
            if applies(rules, condition, effect, request.principal, request.dataset):
                held[effect].append((Treatment[treatment.upper()], f"rule_{i}"))
            elif effect == "allow":
                fell_short.append(f"rule_{i}")
    if held["deny"]:
        return Answer("deny", Treatment.HIDDEN, tuple(name for _, name in held["deny"]))
    if not held["allow"]:
        return Answer("none", Treatment.HIDDEN, tuple(fell_short))
    most = max(treatment for treatment, _ in held["allow"])
    return Answer("allow", most, tuple(name for treatment, name in held["allow"] if treatment == most))


def is_inside(name: str, outer: str) -> bool:
    if outer == "*":
        return True
    return all(mine == its for mine, its in zip_longest(name.split("."), outer.split(".")) if its is not None)


def is_member(principal: Principal, team: str) -> bool:
    return any(is_inside(own, team) for own in principal.teams)


def covers(asked: str, ruled: str, effect: str) -> bool:
    return is_inside(asked, ruled) or (effect == "deny" and is_inside(ruled, asked))


def applies(rules: RuleSet, name: str, effect: str, principal: Principal, dataset: Dataset | None) -> bool:
    truth = True if name == "-" else told(rules.conditions[name], principal, dataset)
    return effect == "deny" if truth is None else truth


def told(tree: Tree, principal: Principal, dataset: Dataset | None) -> bool | None:
    """Three-valued: None as soon as anything in the tree cannot be told."""
    word = tree[0]
    if word in ("and", "or", "not"):
        parts = [told(part, principal, dataset) for part in tree[1:]]
        if None in parts:
            return None
        return {"and": all(parts), "or": any(parts), "not": not parts[0]}[word]
    if word == "flag":
        value = value_of(tree[1], principal, dataset)
        return value if type(value) is bool else None
    left, *rights = [value_of(side, principal, dataset) for side in tree[1:]]
    if left is None or any(type(right) is not type(left) for right in rights):
        return None
    if word in ORDERS and type(left) is bool:
        return None
    signs = {"in": left in rights, "==": left == rights[0], "!=": left != rights[0]}
    if word in signs:
        return signs[word]
    return {"<": left < rights[0], "<=": left <= rights[0], ">": left > rights[0], ">=": left >= rights[0]}[word]


def value_of(side: object, principal: Principal, dataset: Dataset | None) -> Attribute | None:
    kind, value = side
    if kind == "literal":
        return value
    whose, name = value.split(".")
    thing = principal if whose == "principal" else dataset
    if thing is None:
        return None
    if value in TEXT_FIELDS or value == "principal.kind":
        return getattr(thing, name) or None
    return dict(thing.attributes).get(name)


def written(tree: Tree) -> str:
    """The tree as text, with more parentheses than it needs."""
    word, *parts = tree
    if word in ("and", "or"):
        return f" {word} ".join(f"({written(part)})" for part in parts)
    if word == "not":
        return f"not ({written(parts[0])})"
    if word == "flag":
        return parts[0][1]
    left, *rights = [written_side(side) for side in parts]
    return f"{left} in ({', '.join(rights)})" if word == "in" else f"{left} {word} {rights[0]}"


def written_side(side: tuple[str, Attribute]) -> str:
    kind, value = side
    if kind == "named":
        return str(value)
    return str(value).lower() if isinstance(value, int) else f'"{value}"'


def random_rules(rng: random.Random, max_rules: int) -> RuleSet:
    conditions = {f"c{i}": random_tree(rng, 3) for i in range(rng.randrange(1, 8))}
    rows = tuple(random_row(rng, tuple(conditions)) for _ in range(rng.randrange(1, max_rules + 1)))
    return RuleSet(rows, conditions)


def random_row(rng: random.Random, conditions: tuple[str, ...]) -> Row:
    effect = rng.choice(("allow", "allow", "allow", "deny"))
    data_class = rng.choice((*CLASSES, "*"))
    treatments = ("clear", "coarse", "hidden", *(("pseudonym",) if data_class in ("i", "i.j") else ()))
    return (
        rng.choice((*TEAMS, "*")),
        rng.choice((*PURPOSES, "*")),
        data_class,
        rng.choice(("read", "read", "read", "approve")),
        rng.choice(("-", *conditions)),
        "hidden" if effect == "deny" else rng.choice(treatments),
        effect,
    )


def random_tree(rng: random.Random, depth: int) -> Tree:
    if depth and rng.random() < 0.5:
        word = rng.choice(("and", "or", "not"))
        parts = 1 if word == "not" else rng.randrange(2, 4)
        return (word, *(random_tree(rng, depth - 1) for _ in range(parts)))
    return random_test(rng)


def random_test(rng: random.Random) -> Tree:
    kind = rng.choice(("flag", "field", "kind", "pair", "literal", "literal", "in"))
    named = ("named", f"{rng.choice(('principal', 'dataset'))}.{rng.choice(ATTRIBUTES)}")
    if kind == "flag":
        return ("flag", named)
    if kind == "field":
        return (rng.choice(("==", "!=", *ORDERS)), ("named", rng.choice(TEXT_FIELDS)), ("literal", rng.choice(TEXTS)))
    if kind == "kind":
        return (rng.choice(("==", "!=")), ("named", "principal.kind"), ("literal", rng.choice(("person", "service"))))
    if kind == "pair":
        other = ("named", f"{rng.choice(('principal', 'dataset'))}.{rng.choice(ATTRIBUTES)}")
        return (rng.choice(("==", "!=", *ORDERS)), named, other)
    value = rng.choice(VALUES)
    if kind == "in":
        alike = [other for other in VALUES if type(other) is type(value)]
        return ("in", named, *(("literal", other) for other in rng.sample(alike, rng.randrange(1, len(alike) + 1))))
    signs = ("==", "!=") if isinstance(value, bool) else ("==", "!=", *ORDERS)
    sides = [named, ("literal", value)]
    rng.shuffle(sides)
    return (rng.choice(signs), *sides)


def random_requests(rng: random.Random, number: int) -> Iterator[Request]:
    datasets = [None, *(random_dataset(rng) for _ in range(3))]
    for _ in range(number):
        principal = Principal(
            rng.choice(TEXTS[:3]),
            rng.choice(("person", "service")),
            tuple(sorted(rng.sample(TEAMS, rng.randrange(3)))),
            random_attributes(rng),
        )
        action = rng.choice((Action.READ, Action.READ, Action.APPROVE, Action.RESPOND))
        yield Request(principal, rng.choice(PURPOSES), rng.choice(datasets), rng.choice(CLASSES), action)


def random_dataset(rng: random.Random) -> Dataset:
    texts = [rng.choice(TEXTS[:3]) for _ in range(3)]
    return Dataset(*texts, "x", "x", source=rng.choice(TEXTS), attributes=random_attributes(rng))


def random_attributes(rng: random.Random) -> tuple[tuple[str, Attribute], ...]:
    return tuple((name, rng.choice(VALUES)) for name in sorted(ATTRIBUTES) if rng.random() < 0.8)


def main() -> int:
    """Asks as many questions as it is told to, 20,000 at a time in a process for each core; 1 where any differs."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("requests", type=int, nargs="?", default=1_000_000)
    arguments.add_argument("--seed", type=int, default=time.time_ns())
    told = arguments.parse_args()
    started, chunks = time.monotonic(), -(-told.requests // 20_000)
    total = Outcome()
    with ProcessPoolExecutor() as processes:
        for outcome in processes.map(compare, [20_000] * chunks, range(told.seed, told.seed + chunks)):
            total.asked += outcome.asked
            total.untold += outcome.untold
            total.differences += outcome.differences
            total.effects = {name: count + outcome.effects[name] for name, count in total.effects.items()}
    seconds = time.monotonic() - started
    print(f"{total.asked:,} requests in {seconds:.0f} s, seed {told.seed}: {total.effects}, {total.untold:,} untold")
    print(f"{len(total.differences)} differences", *total.differences[:3], sep="\n")
    return 1 if total.differences else 0


if __name__ == "__main__":
    sys.exit(main())
