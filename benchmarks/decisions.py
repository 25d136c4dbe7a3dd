"""Decisions: the cost of one must not grow with the rules, and Casbin's and Cedar's own ways are the measure."""

import importlib.util
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import casbin
from service import POLICIES

from policy.engine import Engine, row, within
from policy.model import MODEL_TEXT
from policy.policies import Policies, load_policies
from policy.rules import Rule
from policy.values import Action, Dataset, Principal

from .contest import Contest, Goal, Measure, timed
from .scale import Scale

PURPOSE = "train_ai_system.computer_use"
DATASET = Dataset("wide", "collection.mci", "files", "data/wide/*.parquet", "who")
PEOPLE = 64
CLASSES = ("user.behavior.pointer", "user.behavior.keystrokes", "user.unique_id", "user.workplace.performance")
CLEAR_OF = {"user.behavior.pointer": "clear", "user.behavior": "coarse", "user.unique_id": "pseudonym"}
DENIED = "user.workplace.performance"


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks for what; each is answered by one to three of the rules, whatever their number."""

    principal: Principal
    data_class: str


def policies_of(rules: int) -> Policies:
    """Three rules for each of `(rules - 1) / 3` teams, and one deny that holds for everybody."""
    head = POLICIES.partition("[rules]")[0]
    lines = [
        f"r{team}_{n} = teams.t{team}, train_ai_system, {data_class}, read, trained, {treatment}, allow"
        for team in range(teams_of(rules))
        for n, (data_class, treatment) in enumerate(CLEAR_OF.items())
    ]
    denied = f"never = *, train_ai_system, {DENIED}, read, -, hidden, deny"
    return load_policies("\n".join([head, "[rules]", *lines, denied, ""]).encode())


def teams_of(rules: int) -> int:
    return (rules - 1) // len(CLEAR_OF)


def questions_of(rules: int) -> list[Question]:
    """Those of 64 people, spread over the teams there are; the same number of different ones at any size."""
    teams = teams_of(rules)
    people = [
        Principal(
            f"p{n}", teams=(f"teams.t{n * teams // PEOPLE}.vision",), attributes=(("privacy_training", "current"),)
        )
        for n in range(PEOPLE)
    ]
    return [Question(person, data_class) for person in people for data_class in CLASSES]


def contests(scale: Scale) -> Iterator[Contest]:
    """Three: growth, stock Casbin, Cedar."""
    few, many = policies_of(scale.few_rules), policies_of(scale.many_rules)
    fewest, most = questions_of(scale.few_rules), questions_of(scale.many_rules)
    yield Contest(
        what=f"decision at {scale.many_rules:,} rules, warm",
        against=f"the same at {scale.few_rules} rules",
        goal=Goal("time", 1.25),
        unit="decisions",
        how=f"`Engine.ask`, {len(most)} different questions that were asked before",
        ours=asking(Engine(many), most, scale.decisions),
        theirs=asking(Engine(few), fewest, scale.decisions),
    )
    enforcer = stock(many)
    cold = Engine(many, remembered=0)
    _agree(most[: len(CLASSES)], cold, lambda question: _enforced(enforcer, question))
    yield Contest(
        what=f"decision at {scale.many_rules:,} rules, memo off",
        against="pycasbin `Enforcer`, same rules",
        goal=Goal("speed", 1_000),
        unit="decisions",
        how="`Engine.ask` that remembers nothing; Casbin with all rules and Remit's own functions",
        ours=asking(cold, most, scale.decisions // 40),
        theirs=_repeating(lambda question: _enforced(enforcer, question), most, 4),
    )
    yield _cedar(scale)


def stock(policies: Policies) -> casbin.Enforcer:
    """Casbin as it comes, with every rule; put into its model at once, for `add_policies` is quadratic."""
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=MODEL_TEXT))
    enforcer.get_model()["p"]["p"].policy = [row(rule) for rule in policies.rules]
    enforcer.add_function("member", Principal.is_member)
    enforcer.add_function("within", within)
    enforcer.add_function("holds", lambda name, eft, who, what: policies.tell(name, who, what).counts_for(eft))
    return enforcer


def _enforced(enforcer: casbin.Enforcer, question: Question) -> bool:
    return bool(enforcer.enforce(question.principal, PURPOSE, DATASET, question.data_class, Action.READ.value))


def _cedar(scale: Scale) -> Contest:
    policies, questions = policies_of(scale.rules), questions_of(scale.rules)
    engine = Engine(policies, remembered=0)
    is_here = importlib.util.find_spec("cedarpy") is not None
    asked = cedar(policies, questions) if is_here else lambda _: False
    if is_here:
        _agree(questions, engine, asked)
    return Contest(
        what=f"decision at {scale.rules:,} rules, memo off",
        against="`cedarpy`, policies parsed beforehand",
        goal=Goal("speed", 10),
        unit="decisions",
        how="`Engine.ask` that remembers nothing; Cedar with policies, entities and contexts parsed beforehand",
        ours=asking(engine, questions, scale.decisions // 40),
        theirs=_repeating(asked, questions, max(scale.decisions // 4_000, len(CLASSES))),
        missing="" if is_here else "`cedarpy` is not installed",
    )


def cedar(policies: Policies, questions: list[Question]) -> Callable[[Question], bool]:
    """The same rules in Cedar: names within names are entities in entities, a deny also holds for what is wider."""
    import cedarpy

    parsed = cedarpy.PolicySet.from_str("\n".join(_as_cedar(rule) for rule in policies.rules))
    entities = cedarpy.Entities.from_json_str(json.dumps(_entities(questions)))
    context = json.dumps({"purpose": {"__entity": {"type": "Purpose", "id": PURPOSE}}})
    requests = {
        question: {
            "principal": f'Person::"{question.principal.name}"',
            "action": 'Action::"read"',
            "resource": f'Class::"{question.data_class}"',
            "context": context,
        }
        for question in questions
    }
    return lambda question: cedarpy.is_authorized(requests[question], parsed, entities).allowed


def _as_cedar(rule: Rule) -> str:
    purpose, data_class = f'Purpose::"{rule.purpose}"', f'Class::"{rule.data_class}"'
    if rule.effect == "allow":
        return (
            f'permit(principal in Team::"{rule.team}", action == Action::"read", resource in {data_class}) when '
            f"{{ context.purpose in {purpose} && principal has privacy_training && "
            'principal.privacy_training == "current" };'
        )
    return (
        'forbid(principal, action == Action::"read", resource) when { '
        f"(context.purpose in {purpose} || {purpose} in context.purpose) && "
        f"(resource in {data_class} || {data_class} in resource) }};"
    )


def _entities(questions: list[Question]) -> list[dict[str, object]]:
    people = {question.principal for question in questions}
    parents = {("Person", person.name): ("Team", person.teams[0]) for person in people}
    names = {("Team", person.teams[0]) for person in people} | {("Class", name) for name in CLASSES}
    for kind, name in names | {("Purpose", PURPOSE)}:
        while "." in name:
            outer = name.rpartition(".")[0]
            parents[kind, name] = (kind, outer)
            name = outer
    attributes = {("Person", person.name): dict(person.attributes) for person in people}
    return [
        {
            "uid": {"type": kind, "id": name},
            "attrs": attributes.get((kind, name), {}),
            "parents": [{"type": parents[kind, name][0], "id": parents[kind, name][1]}]
            if (kind, name) in parents
            else [],
        }
        for kind, name in parents.keys() | set(parents.values())
    ]


def _agree(questions: list[Question], engine: Engine, opponent: Callable[[Question], bool]) -> None:
    for question in questions:
        answer = engine.ask(question.principal, PURPOSE, DATASET, question.data_class, Action.READ)
        assert (answer.effect == "allow") == opponent(question), question


def asking(engine: Engine, questions: list[Question], times: int) -> Measure:
    ask = engine.ask
    return _repeating(
        lambda asked: ask(asked.principal, PURPOSE, DATASET, asked.data_class, Action.READ), questions, times
    )


def _repeating(ask: Callable[[Question], object], questions: list[Question], times: int) -> Measure:
    def work() -> int:
        for question in itertools.islice(itertools.cycle(questions), times):
            ask(question)
        return times

    return lambda: timed(work)
