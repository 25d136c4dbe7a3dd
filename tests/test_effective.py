"""Whom the rules let in beyond what a dataset's owner declared."""

from pathlib import Path

import pytest
from bundles import bundle_of
from service import CATALOG, POLICIES

from policy.effective import MOST, beyond_audience
from policy.values import Action

ROOT = Path(__file__).parents[1]
CLOSED = CATALOG.partition("[datasets.nobodys]")[0]
"""The tests' catalog without the dataset that a rule reaches and nobody may read."""


def beyond(rules: str = "", conditions: str = "", catalog: str = CLOSED) -> set[tuple[str, str, str]]:
    """(dataset, team, purpose) for the tests' policies with more rules."""
    policies = POLICIES.replace("[rules]", f"{conditions}\n[rules]\n{rules}")
    found = {}
    for dataset, several in beyond_audience(bundle_of(policies, catalog)):
        found |= {(dataset.name, each.team, each.purpose): each for each in several}
    return set(found)


@pytest.mark.parametrize("folder", ["", "remit/demo"])
def test_the_example_bundles_are_no_wider_than_their_audiences(folder: str) -> None:
    texts = [(ROOT / folder / name).read_text() for name in ("policies.conf", "catalog.toml")]
    assert not list(beyond_audience(bundle_of(*texts)))


def test_rules_within_the_audience_are_no_news() -> None:
    assert not beyond()
    assert not beyond(
        "inner = research.ml.vision, train_ai_system.computer_use, user.content.screen, read, -, clear, allow"
    )


@pytest.mark.parametrize(
    ("rule", "team", "purpose"),
    [
        ("sales, train_ai_system, user.behavior.pointer", "sales", "train_ai_system"),
        ("research.ml, analytics, user.behavior.pointer", "research.ml", "analytics"),
        ("research, train_ai_system, user.behavior.pointer", "research", "train_ai_system"),
        ("*, train_ai_system, user.behavior.pointer", "*", "train_ai_system"),
        ("sales, train_ai_system, *", "sales", "train_ai_system"),
    ],
)
def test_a_rule_that_is_wider_than_the_audience_is_named_with_its_team_and_purpose(
    rule: str, team: str, purpose: str
) -> None:
    assert ("events", team, purpose) in beyond(f"wide = {rule}, read, -, clear, allow")


def test_a_dataset_without_an_audience_is_for_nobody_whatever_its_classes_are() -> None:
    assert beyond(catalog=CATALOG) == {("nobodys", "research.ml", "train_ai_system")}


def test_a_condition_on_the_dataset_keeps_a_rule_out_of_it() -> None:
    rule = "wide = sales, train_ai_system, user.behavior.pointer, read, theirs, clear, allow"
    assert beyond(rule, 'theirs = dataset.owner == "sales"') == set()
    assert {name for name, _, _ in beyond(rule, 'theirs = dataset.name != "long"')} == {"events"}


def test_what_somebody_could_meet_counts_as_met() -> None:
    for condition in (
        'able = principal.level >= 3 and principal.kind == "service"',
        "able = principal.region == dataset.owner or principal.cleared",
        'able = not (principal.region in ("us", "cn")) and principal.name != "bob"',
        "able = principal.home == principal.region",
    ):
        found = beyond("wide = sales, train_ai_system, user.behavior.pointer, read, able, clear, allow", condition)
        assert ("events", "sales", "train_ai_system") in found, condition


def test_what_nobody_can_meet_or_a_deny_takes_back_lets_nobody_in() -> None:
    never = 'never = principal.level < 3 and principal.level > 5\nabsent = dataset.region == "eu"'
    for condition in ("never", "absent"):
        rule = f"wide = sales, train_ai_system, user.behavior.pointer, read, {condition}, clear, allow"
        assert beyond(rule, never) == set()
    denied = (
        "wide = sales, train_ai_system, user.behavior.pointer, read, -, clear, allow\n"
        "no_sales = sales, train_ai_system, user.behavior, read, -, hidden, deny"
    )
    assert beyond(denied) == set()


def test_a_deny_whose_condition_somebody_escapes_takes_nothing_back() -> None:
    rules = (
        "wide = sales, train_ai_system, user.behavior.pointer, read, -, clear, allow\n"
        "strict = sales, train_ai_system, user.behavior.pointer, read, untrained, hidden, deny"
    )
    found = beyond(rules, 'untrained = principal.course != "done"')
    assert ("events", "sales", "train_ai_system") in found


def test_identifiers_alone_and_what_shows_nothing_do_not_count() -> None:
    rules = (
        "who_else = sales, train_ai_system, user.unique_id, read, -, clear, allow\n"
        "nothing = sales, train_ai_system, user.behavior.pointer, read, -, hidden, allow\n"
        "bare = sales, train_ai_system, user.content.screen, read, -, coarse, allow"
    )
    assert beyond(rules) == set()


def test_whoever_is_named_is_let_in_by_the_engine_itself() -> None:
    policies = POLICIES.replace("[rules]", "[rules]\nwide = sales, *, *, read, trained, clear, allow")
    bundle = bundle_of(policies, CATALOG)
    named = [(dataset, each) for dataset, several in beyond_audience(bundle) for each in several]
    assert named
    for dataset, each in named:
        for column in each.columns:
            answer = bundle.engine.ask(each.who, each.purpose, dataset, dataset.columns[column].data_class, Action.READ)
            assert answer.effect == "allow"


def test_a_thousand_wide_rules_are_told_by_the_first_of_them() -> None:
    rules = "\n".join(
        f"w{n} = team{n}, train_ai_system, user.behavior.pointer, read, -, clear, allow" for n in range(1000)
    )
    assert len({team for name, team, _ in beyond(rules) if name == "events"}) == MOST
