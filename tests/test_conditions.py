"""Conditions: what they mean, what they refuse, and that what cannot be told never helps the reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.conditions import Condition, Truth
from policy.conditions_parse import parse_condition
from policy.errors import BadCondition
from policy.values import Attribute, Dataset, Principal

ANA = Principal("ana", "person", ("research.ml",), (("flag", True), ("level", 2), ("region", "eu")))
POINTER = Dataset(
    "pointer_events", "collection.mci", "files", "x", "employee", source="github", attributes=(("region", "eu"),)
)


def parse(text: str) -> Condition:
    return parse_condition("c", text)


def told(text: str, principal: Principal = ANA, dataset: Dataset | None = POINTER) -> bool | None:
    return parse(text).holds(principal, dataset).value


def with_attributes(**attributes: Attribute) -> Principal:
    return Principal("ana", attributes=tuple(sorted(attributes.items())))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('principal.region == "eu"', True),
        ("principal.region == 'eu'", True),
        ('"eu" == principal.region', True),
        ('principal.region != "eu"', False),
        ("principal.region == dataset.region", True),
        ("principal.level >= 2", True),
        ("principal.level < 2", False),
        ("principal.level > -1", True),
        ("principal.level in (1, 2, 3)", True),
        ('principal.region in ("us")', False),
        ("principal.flag", True),
        ("not principal.flag", False),
        ("principal.flag == true", True),
        ("principal.flag in (false)", False),
        ('principal.name == "ana" and principal.kind == "person"', True),
        ('dataset.name == "pointer_events" and dataset.store != "lake"', True),
        ('dataset.owner == "collection.mci" and dataset.source == "github"', True),
        ("not principal.level == 3 and principal.flag", True),
        ("principal.flag or principal.flag and not principal.flag", True),
        ("(principal.flag or principal.flag) and not principal.flag", False),
        ('principal.region<"fr"and(principal.level)==2', None),
    ],
)
def test_a_condition_means_what_it_says(text: str, value: bool | None) -> None:
    if value is None:
        with pytest.raises(BadCondition):
            parse(text)
    else:
        assert told(text) is value


@pytest.mark.parametrize(
    ("text", "lacked"),
    [
        ('principal.training == "current"', "principal.training"),
        ("principal.training == dataset.training", "principal.training"),
        ("principal.flag or principal.training", "principal.training"),
        ("principal.training or principal.flag", "principal.training"),
        ('not (principal.flag and principal.training == "x")', "principal.training"),
        ("principal.level == true", "principal.level of the type of boolean"),
        ('principal.level == "2"', "principal.level of the type of text"),
        ("principal.flag == 1", "principal.flag of the type of integer"),
        ("principal.flag in (1, 0)", "principal.flag of the type of integer"),
        ("principal.flag < principal.flag", "an order of principal.flag"),
        ("principal.level", "principal.level of the type of boolean"),
        ("principal.level == dataset.region", "principal.level of the type of dataset.region"),
        ('dataset.colour in ("red")', "dataset.colour"),
        ("principal.__class__ == 1", "principal.__class__"),
    ],
)
def test_what_is_absent_or_of_another_type_cannot_be_told_and_says_for_want_of_what(text: str, lacked: str) -> None:
    truth = parse(text).holds(ANA, POINTER)
    assert truth.value is None
    assert truth.lacked[0] == lacked
    assert not truth.counts_for("allow")
    assert truth.counts_for("deny")


def test_without_a_dataset_nothing_of_it_can_be_told() -> None:
    assert parse('dataset.name == "x" or principal.flag').holds(ANA, None) == Truth(None, ("dataset.name",))


def test_a_dataset_that_does_not_say_where_it_was_collected_has_no_source() -> None:
    silent = Dataset("d", "o", "files", "x", "employee")
    assert told('dataset.source != "github"', dataset=silent) is None


def test_a_claim_cannot_pass_for_the_name_or_the_kind_of_a_principal() -> None:
    posing = with_attributes(name="root", kind="service")
    assert told('principal.name == "root"', posing) is False
    assert told('principal.kind == "service"', posing) is False


def test_an_attribute_of_a_shape_that_no_token_should_have_cannot_be_told_and_does_not_raise() -> None:
    for value in (1.5, None, ["eu"], {"a": 1}):
        odd = Principal("ana", attributes=(("region", value),))  # type: ignore[arg-type]
        for text in ('principal.region < "eu"', "principal.region", 'principal.region in ("eu")'):
            assert told(text, odd) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the end stands where"),
        ('principal.region = "eu"', "write `==`"),
        ("principal.flag && principal.flag", "write `and`"),
        ("principal.flag || principal.flag", "write `or`"),
        ("!principal.flag", "write `not`"),
        ("principal.flag AND principal.flag", "`AND` is not expected here"),
        ('principal.region in ["eu"]', "lists in parentheses"),
        ('principal.region in "eu"', "`in` needs a list"),
        ("principal.region in ()", "`)` stands where"),
        ('principal.region in ("eu",)', "`)` stands where"),
        ('principal.region in ("eu"', "is not closed"),
        ('principal.region in ("eu", 1)', "mixes types"),
        ("principal.region in (dataset.region)", "literals only"),
        ('"eu" in ("eu")', "a literal stands before `in`"),
        ('principal.region == "eu', "ends in the quote"),
        ('principal.region == "e\\"u"', "holds no backslash"),
        ("principal.level == 1.5", "whole numbers"),
        ("principal.level == 01", "starts with a zero"),
        ("principal.level == 99999999999999999999", "too large"),
        ("principal.level == 9007199254740993", "too large"),
        ("1 < principal.level < 3", "`<` is not expected here"),
        ("1 == 1", "two literals"),
        ("true", "a literal stands alone"),
        ("principal.name", "`principal.name` stands alone"),
        ("principal.name == 1", "is text"),
        ("principal.name in (1)", "is text"),
        ("principal.flag < true", "no order"),
        ("region == 1", "unknown name `region`"),
        ("principal == 1", "unknown name `principal`"),
        ("principal.a.b == 1", "too many dots"),
        ("principal.teams == 1", "nothing that a condition can ask"),
        ("dataset.title == 1", "nothing that a condition can ask"),
        ("(principal.flag", "is not closed"),
        ("principal.flag)", "`)` is not expected here"),
        ("principal.flag principal.flag", "is not expected here"),
        ("not", "the end stands where"),
        ("principal.flag and", "the end stands where"),
        ("and principal.flag", "`and` stands where"),
        ('principal.name.startswith("a")', "too many dots"),
        ("len(principal.name) == 3", "unknown name `len`"),
        ("principal.flag # really", "lines of their own"),
        ("principal.régime == 1", "not understood"),
        ("principal.flag; import os", "not understood"),
    ],
)
def test_what_is_not_understood_is_refused_and_says_what_to_do(text: str, reason: str) -> None:
    with pytest.raises(BadCondition) as refused:
        parse(text)
    assert reason in refused.value.reason


def test_a_kind_that_no_principal_has_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(BadCondition) as refused:
        parse('principal.kind != "servise"')
    assert refused.value.suggestion == "service"


@pytest.mark.parametrize("text", ["(" * 100_000, "not " * 100_000, "(" * 65 + "principal.a" + ")" * 65])
def test_a_condition_that_is_nested_too_deep_is_refused_and_never_overflows(text: str) -> None:
    with pytest.raises(BadCondition, match="nested deeper"):
        parse(text)


def test_a_condition_may_be_long_as_long_as_it_is_not_deep() -> None:
    assert told(" or ".join(["not principal.flag"] * 20_000 + ["principal.flag"])) is True


def test_a_condition_tells_which_attributes_it_reads() -> None:
    reads = parse('principal.a == dataset.b or not principal.name in ("x") and principal.flag').reads()
    assert {str(named) for named in reads} == {"principal.a", "dataset.b", "principal.name", "principal.flag"}


@given(st.text(alphabet="pd.ain rcl\"'()=<>!,-0123tfxo\\#é\u202e", max_size=60))
def test_any_text_is_either_understood_or_refused(text: str) -> None:
    try:
        condition = parse(text)
    except BadCondition:
        return
    condition.holds(ANA, POINTER)


PIECES = ("principal.a", "dataset.b", '"x"', "1", "true", "==", "<", "in", "and", "or", "not", "(", ")", ",")


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.sampled_from([ANA, with_attributes(a=1), Principal("x")]))
def test_any_row_of_words_is_either_refused_or_told_without_raising(pieces: list[str], principal: Principal) -> None:
    try:
        condition = parse(" ".join(pieces))
    except BadCondition:
        return
    truth = condition.holds(principal, POINTER)
    assert (truth.value is None) == bool(truth.lacked)
