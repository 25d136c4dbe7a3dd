"""The engine: who may do what, which rules decided, and that Casbin always has its say."""

import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from differential import compare, random_requests, random_row, random_rules

from policy.conditions import Condition, Facts
from policy.engine import Answer, Engine, within
from policy.errors import EngineFault
from policy.model import MODEL_TEXT
from policy.policies import load_policies
from policy.values import Action, Attribute, Dataset, Principal, Treatment

POLICIES = (
    MODEL_TEXT
    + """\
[data_classes]
user.behavior.pointer  = low
user.content.screen    = critical
user.workplace.reviews = critical
[purposes]
train_ai_system.computer_use = train a model to operate a computer
[conditions]
trained     = principal.training == "current"
same_region = principal.region == dataset.region
level_one   = principal.level == 1
[rules]
pointer_coarse = research, train_ai_system, user.behavior, read, -, coarse, allow
pointer_clear  = research.ml, train_ai_system, user.behavior.pointer, read, trained, clear, allow
no_reviews     = *, train_ai_system, user.workplace.reviews, read, -, hidden, deny
no_far_screens = *, *, user.content.screen, read, same_region, hidden, deny
screens        = research, *, user.content, read, -, clear, allow
levels         = levels, train_ai_system, user.behavior, read, level_one, clear, allow
trail          = security, oversight, remit.audit, read, -, clear, allow
"""
)
ENGINE = Engine(load_policies(POLICIES.encode()))
POINTER = Dataset("pointer_events", "collection.mci", "files", "x", "employee", attributes=(("region", "eu"),))
ML = "research.ml"


def who(*teams: str, **attributes: Attribute) -> Principal:
    return Principal("ana", "person", tuple(sorted(teams)), tuple(sorted(attributes.items())))


def ask(
    principal: Principal, data_class: str, purpose: str = "train_ai_system", dataset: Dataset | None = POINTER
) -> Answer:
    return ENGINE.ask(principal, purpose, dataset, data_class, Action.READ)


def test_without_a_rule_nobody_may_do_anything() -> None:
    assert ask(who(ML), "user.health_and_medical") == Answer("none")
    assert ask(who("sales"), "user.behavior.pointer") == Answer("none")
    assert ask(who(), "user.behavior.pointer") == Answer("none")
    assert ENGINE.ask(who(ML), "train_ai_system", POINTER, "user.behavior", Action.APPROVE) == Answer("none")


def test_the_most_revealing_allow_counts_and_is_named() -> None:
    assert ask(who(ML, training="current"), "user.behavior.pointer") == Answer(
        "allow", Treatment.CLEAR, ("pointer_clear",)
    )
    assert ask(who(ML, training="old"), "user.behavior.pointer") == Answer(
        "allow", Treatment.COARSE, ("pointer_coarse",)
    )


def test_an_answer_says_what_a_condition_lacked() -> None:
    assert ask(who(ML), "user.behavior.pointer") == Answer(
        "allow", Treatment.COARSE, ("pointer_coarse",), ("pointer_clear lacks principal.training",)
    )


def test_where_nothing_matches_but_for_a_condition_the_answer_names_what_fell_short() -> None:
    assert ask(who("levels", level=2), "user.behavior") == Answer("none", Treatment.HIDDEN, ("levels",))


def test_a_rule_holds_for_what_lies_within_it_and_not_beside_it() -> None:
    narrower = ("train_ai_system.computer_use", "user.behavior.pointer")
    assert ask(who("research.vision"), narrower[1], narrower[0]).effect == "allow"
    assert ask(who("researchers"), "user.behavior").effect == "none"
    assert ask(who("research"), "user.behaviors").effect == "none"
    assert ask(who("research"), "user").effect == "deny"
    assert ask(who("research"), "user.behavior", "train_ai_systems").effect == "none"


def test_what_casbin_is_told_of_names_goes_by_their_parts_and_not_by_their_letters() -> None:
    assert within("user.behavior.pointer", "user.behavior", "allow")
    assert not within("user.behaviors", "user.behavior", "allow")
    assert not within("user.behavior", "user.behavior.pointer", "allow")
    assert within("user.behavior", "user.behavior.pointer", "deny")
    assert not within("user.behavior", "user.behaviors", "deny")
    assert who("research.ml").is_member("research")
    assert not who("researchers").is_member("research")
    assert not who("research").is_member("research.ml")


def test_nobody_escapes_a_deny_by_naming_the_parent_of_a_class_or_a_purpose() -> None:
    reviews = "user.workplace.reviews"
    everything = Engine(load_policies((POLICIES + "all = *, *, *, read, -, clear, allow\n").encode()))
    for data_class in (reviews, "user.workplace", "user", f"{reviews}.text"):
        for purpose in ("train_ai_system", "train_ai_system.computer_use"):
            answer = everything.ask(who("any"), purpose, POINTER, data_class, Action.READ)
            assert answer.effect == "deny"
            assert "no_reviews" in answer.rules
    narrow = POLICIES.replace("*, train_ai_system, user.workplace", "*, train_ai_system.computer_use, user.workplace")
    parent = Engine(load_policies((narrow + "all = *, *, *, read, -, clear, allow\n").encode()))
    assert parent.ask(who("any"), "train_ai_system", POINTER, reviews, Action.READ).effect == "deny"
    assert parent.ask(who("any"), "analytics", POINTER, reviews, Action.READ).effect == "allow"


def test_a_deny_holds_where_its_condition_cannot_be_told() -> None:
    screen = "user.content.screen"
    assert ask(who("research", region="eu"), screen).effect == "deny"
    assert ask(who("research", region="us"), screen) == Answer("allow", Treatment.CLEAR, ("screens",))
    assert ask(who("research"), screen) == Answer(
        "deny", Treatment.HIDDEN, ("no_far_screens",), ("no_far_screens lacks principal.region",)
    )
    assert ask(who("research", region="us"), screen, dataset=None).lacked == ("no_far_screens lacks dataset.region",)


def test_remits_own_things_need_a_rule_and_no_dataset() -> None:
    assert ask(who("security"), "remit.audit", "oversight", None) == Answer("allow", Treatment.CLEAR, ("trail",))
    assert ask(who(ML), "remit.audit", "oversight", None) == Answer("none")


def test_a_remembered_answer_is_not_given_to_an_attribute_that_only_looks_equal() -> None:
    for level, effect in ((1, "allow"), (True, "none"), (1, "allow"), (1.0, "none"), ("1", "none")):
        assert ask(who("levels", level=level), "user.behavior").effect == effect
    backwards = Engine(load_policies(POLICIES.encode()))
    for level, effect in ((True, "none"), (1, "allow")):
        answer = backwards.ask(who("levels", level=level), "train_ai_system", None, "user.behavior", Action.READ)
        assert answer.effect == effect


def test_a_remembered_answer_is_not_given_for_another_dataset_of_the_same_name() -> None:
    reader = who("research", region="eu")
    assert ask(reader, "user.content.screen").effect == "deny"
    moved = replace(POINTER, attributes=(("region", "us"),))
    assert ask(reader, "user.content.screen", dataset=moved).effect == "allow"


class Fickle:
    """An expression that holds every other time: first for the index, then not for Casbin."""

    def __init__(self) -> None:
        self.asked = 0

    def told(self, _facts: Facts, _lacked: list[str]) -> bool:
        self.asked += 1
        return self.asked % 2 == 1


def test_where_casbin_and_the_index_disagree_nobody_gets_an_answer() -> None:
    policies = load_policies(POLICIES.encode())
    fickle = Condition("level_one", "", Fickle())  # type: ignore[arg-type]
    engine = Engine(replace(policies, conditions={"level_one": fickle}))
    with pytest.raises(EngineFault, match="disagree on levels"):
        engine.ask(who("levels"), "train_ai_system", POINTER, "user.behavior", Action.READ)


def test_remit_plain_casbin_and_the_reference_give_the_same_answers_to_random_requests() -> None:
    outcome = compare(20_000, seed=20261121, max_rules=25)
    assert outcome.differences == []
    assert outcome.asked == 20_000
    assert min(outcome.untold, *outcome.effects.values()) > 1_000


def test_casbin_is_asked_each_time_and_parses_nothing() -> None:
    engine = Engine(load_policies(POLICIES.encode()), remembered=0)
    engine.ask(who(ML), "train_ai_system", POINTER, "user.behavior", Action.READ)
    called: set[str] = set()
    sys.setprofile(lambda frame, *_: called.add(f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}"))
    engine.ask(who(ML), "train_ai_system", POINTER, "user.behavior", Action.READ)
    sys.setprofile(None)
    assert {"core_enforcer.py:enforce_ex", "simpleeval.py:_eval_call"} <= called
    assert not any(call.startswith("ast.py:") for call in called)


def test_adding_an_allow_never_narrows_what_anybody_may_do() -> None:
    rng = random.Random(20261121)
    widened = 0
    for _ in range(150):
        rules = random_rules(rng, 20)
        *fields, _, _ = random_row(rng, tuple(rules.conditions))
        row = (*fields, rng.choice(("clear", "coarse", "hidden")), "allow")
        engines = [
            Engine(load_policies(one.text().encode())) for one in (rules, replace(rules, rows=(*rules.rows, row)))
        ]
        for asked in random_requests(rng, 40):
            before, after = (
                engine.ask(asked.principal, asked.purpose, asked.dataset, asked.data_class, asked.action)
                for engine in engines
            )
            assert after.effect == before.effect or (before.effect, after.effect) == ("none", "allow")
            assert after.treatment >= before.treatment
            widened += after != before
    assert widened > 50


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Threads are switched every 10 µs, so that what they must not share shows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("restless_threads")
def test_threads_that_ask_at_once_get_the_answers_that_one_alone_gets() -> None:
    rng = random.Random(7)
    engine = Engine(load_policies(random_rules(rng, 50).text().encode()), remembered=0)
    requests = list(random_requests(rng, 500))

    def answer(number: int) -> Answer:
        request = requests[number % 500]
        return engine.ask(request.principal, request.purpose, request.dataset, request.data_class, request.action)

    alone = [answer(number) for number in range(500)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(answer, range(4_000))) == alone * 8
