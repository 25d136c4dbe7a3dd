"""policies.conf: understood as it is written, or refused whole with every line that is to blame."""

import io
import random

import casbin
import pytest
from casbin.config import Config

from policy.errors import MisreadAll
from policy.model import MODEL, MODEL_TEXT
from policy.policies import Policies, load_policies
from policy.values import Action, Sensitivity, Treatment

REST = """\
# name = sensitivity, then `identifier` where values name a person or a device
[data_classes]
user.unique_id             = moderate, identifier
user.behavior.pointer      = low
user.device.badge          = moderate, identifier
user.content.screen        = critical
[purposes]
train_ai_system.computer_use = train a model to operate a computer
[conditions]
privacy_trained = principal.privacy_training == "current"
same_region     = principal.region == dataset.region and dataset.store != "lake"
[rules]
pointer_for_training = research.ml, train_ai_system, user.behavior.pointer, read, privacy_trained, clear, allow
who_for_training     = research.ml, train_ai_system, user.unique_id, read, same_region, pseudonym, allow
nobody_sees_screens  = *, *, user.content.screen, read, -, hidden, deny
trail                = security, oversight, remit.audit, read, -, clear, allow
"""
GOOD = MODEL_TEXT + REST


def load(text: str) -> Policies:
    return load_policies(text.encode())


def problems(data: str | bytes) -> list[str]:
    with pytest.raises(MisreadAll) as refused:
        load_policies(data if isinstance(data, bytes) else data.encode())
    return str(refused.value).splitlines()


def line_of(text: str, within: str) -> int:
    return text[: text.index(within)].count("\n") + 1


def test_a_good_file_is_understood() -> None:
    policies = load(GOOD)
    assert [rule.name for rule in policies.rules] == [
        "pointer_for_training",
        "who_for_training",
        "nobody_sees_screens",
        "trail",
    ]
    first = policies.rules[0]
    assert (first.team, first.purpose, first.data_class) == ("research.ml", "train_ai_system", "user.behavior.pointer")
    assert (first.action, first.condition, first.treatment) == (Action.READ, "privacy_trained", Treatment.CLEAR)
    assert (first.effect, first.line) == ("allow", line_of(GOOD, "pointer_for_training"))
    assert policies.purposes == {"train_ai_system.computer_use": "train a model to operate a computer"}
    assert policies.dataset_attributes == {"region"}
    assert policies.principal_attributes == {"privacy_training", "region"}


def test_a_class_is_as_sensitive_as_its_nearest_declared_ancestor_and_critical_without_one() -> None:
    policies = load(GOOD)
    assert policies.sensitivity_of("user.behavior.pointer") is Sensitivity.LOW
    assert policies.sensitivity_of("user.behavior.pointer.x") is Sensitivity.LOW
    assert policies.sensitivity_of("user.behavior") is Sensitivity.CRITICAL
    assert policies.sensitivity_of("user.behavior.pointers") is Sensitivity.CRITICAL
    assert policies.sensitivity_of("remit.audit") is Sensitivity.HIGH


def test_identifiers_are_unique_id_marked_classes_and_what_is_within_them() -> None:
    policies = load(GOOD)
    assert policies.is_identifier("user.unique_id.pseudonymous")
    assert policies.is_identifier("user.device.badge")
    assert not policies.is_identifier("user.device")
    assert not policies.is_identifier("*")
    unmarked = load(MODEL_TEXT + "[rules]\nonly = *, *, user.unique_id, read, -, pseudonym, allow\n")
    assert unmarked.is_identifier("user.unique_id")


def test_names_are_of_the_fides_taxonomy_declared_or_remits_own() -> None:
    policies = load(GOOD)
    for name in ("user.behavior", "user.behavior.pointer", "remit.grants"):
        assert policies.knows_class(name)
    for name in ("train_ai_system", "train_ai_system.computer_use", "oversight"):
        assert policies.knows_purpose(name)
    for name in ("user.behaviour", "remit", "remit.audit.x", "*", ""):
        assert not policies.knows_class(name)
        assert not policies.knows_purpose(name)


def test_every_problem_of_a_file_is_told_at_once_in_the_order_of_lines() -> None:
    text = GOOD + "a = x\nb = *, *, *, read, -, clear, alow\nc = *, nope, *, raed, no_such, hiden, deny\n"
    last = text.count("\n")
    assert problems(text) == [
        f"policies.conf line {last - 2}: rule `a` has 1 fields, not 7: "
        "team, purpose, data class, action, condition, treatment, effect",
        f"policies.conf line {last - 1}: unknown effect `alow`; did you mean `allow`?",
        f"policies.conf line {last}: unknown purpose `nope`; declare it in `[purposes]`",
        f"policies.conf line {last}: unknown condition `no_such`; declare it in `[conditions]`",
        f"policies.conf line {last}: unknown action `raed`; did you mean `read`?",
        f"policies.conf line {last}: unknown treatment `hiden`; did you mean `hidden`?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("user.behavior.pointer, read", "user.behaviour.pointer, read", "did you mean `user.behavior.pointer`?"),
        ("train_ai_system, user.unique_id", "train_ai, user.unique_id", "unknown purpose `train_ai`"),
        ("read, privacy_trained", "read, privacy_traind", "did you mean `privacy_trained`?"),
        ("read, same_region", "read, ", "unknown condition ``"),
        ("same_region, pseudonym", "same_region, pseudo", "unknown treatment `pseudo`"),
        ("clear, allow", "clear, Allow", "did you mean `allow`?"),
        ("clear, allow", "clear, perhaps", "unknown effect `perhaps`; write `allow` or `deny`"),
        ("read, same_region", "fly, same_region", "unknown action `fly`; write `read` or `approve` or"),
        ("clear, allow", "clear, allow,", "has 8 fields"),
        ("clear, allow", "clear", "has 6 fields"),
        ("clear, allow", "clear, allow # for now", "unknown effect `allow # for now`"),
        ("hidden, deny", "clear, deny", "a deny says `hidden`"),
        ("research.ml, train_ai_system, user.b", "Research.ML, train_ai_system, user.b", "`Research.ML` is no team"),
        ("research.ml, train_ai_system, user.b", "research.*, train_ai_system, user.b", "`research.*` is no team"),
        ("research.ml, train_ai_system, user.b", ", train_ai_system, user.b", "`` is no team"),
        ("read, privacy_trained, clear", "read, privacy_trained, pseudonym", "`pseudonym` is for identifiers only"),
        ("*, *, user.content.screen, read, -, hidden, deny", "*, *, *, read, -, pseudonym, allow", "identifiers only"),
        (
            "*, *, user.content.screen, read, -, hidden, deny",
            "*, *, user, read, -, pseudonym, allow",
            "identifiers only",
        ),
        ("[rules]", "[ rules ]", "unknown section `[ rules ]`; did you mean `[rules]`?"),
        ("[rules]", "[Rules]", "did you mean `[rules]`?"),
        ("[rules]", "[rules] # here", "unknown section"),
        ("[purposes]", "[purpose]", "did you mean `[purposes]`?"),
        ("[conditions]", "[role_definition]\ng = _, _\n[conditions]", "unknown section `[role_definition]`"),
        ("[conditions]", "[rules]\n[conditions]", "section `[rules]` is already in line"),
        ("trail   ", "who_for_training   ", "`who_for_training` is already in line"),
        ("same_region     = ", "privacy_trained = ", "`privacy_trained` is already in line"),
        ("user.device.badge   ", "user.unique_id   ", "`user.unique_id` is already in line"),
        ("clear, allow", "clear, allow\\", "ends in `\\`"),
        ("clear, allow", "clear, allow\\  ", "ends in `\\`"),
        ("# name", "; name", "comments start with `#`"),
        ("= low", "=", "says nothing"),
        ("= low", "", "is no `name = value`"),
        ("= low", "= lo", "unknown sensitivity `lo`; did you mean `low`?"),
        ("= low", "= low, identifer", "unknown mark `identifer`; did you mean `identifier`?"),
        ("= low", "= low,", "unknown mark ``"),
        ("= low", "= low, identifier, identifier", "unknown mark"),
        ("user.behavior.pointer      =", "user.behavior.Pointer      =", "`user.behavior.Pointer` is no name"),
        ("user.behavior.pointer      =", "user..pointer      =", "`user..pointer` is no name"),
        ("user.behavior.pointer      =", "*      =", "`*` is no name"),
        ("user.behavior.pointer      =", "remit.audit      =", "is Remit's own"),
        ("user.behavior.pointer      =", "remit.extra      =", "is Remit's own"),
        ("train_ai_system.computer_use =", "oversight =", "is Remit's own"),
        ("operate a computer", "operate a computer # later", "comments have lines of their own"),
        ('== "current"', '= "current"', "condition `privacy_trained`: "),
        ('== "current"', '== "current" # x', "comments have lines of their own"),
        ("r = principal", "r = subject", "section `[request_definition]` must hold the line `r = principal"),
        ("p = team", "p2 = team", "section `[policy_definition]` must hold the line `p = team"),
        ("&& !some(where (p.eft == deny))", "", "section `[policy_effect]` must hold the line"),
        ("!some(where (p.eft == deny))", "!some(where  (p.eft == deny))", "section `[policy_effect]` must hold"),
        ("&& holds(", "|| holds(", "section `[matchers]` must hold the line"),
        ("&& holds(", "&&holds(", "section `[matchers]` must hold the line"),
        ("[matchers]\n", "[matchers]\nm2 = true\n", "`m = member"),
        ("[matchers]\n", "[matchers]\nm = true\n", "`m` is already in line"),
        ("[policy_effect]", "[rules]", "section `[policy_effect]` must hold"),
    ],
)
def test_a_file_with_one_thing_wrong_is_refused_with_the_reason(old: str, new: str, reason: str) -> None:
    assert GOOD.count(old) >= 1
    assert any(reason in problem for problem in problems(GOOD.replace(old, new, 1)))


@pytest.mark.parametrize(
    "odd",
    [
        "\u00a0",
        "\u2028",
        "\u2029",
        "\x85",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x00",
        "\x1b[31m",
        "\u202e",
        "\u200b",
        "\ufeff",
        "\rx",
    ],
)
@pytest.mark.parametrize("place", ["# name", "= low", "train a model", '"current"', "[rules]"])
def test_characters_that_do_not_show_are_refused_wherever_they_hide(odd: str, place: str) -> None:
    text = GOOD.replace(place, f"{place[:3]}{odd}{place[3:]}", 1)
    told = problems(text)
    reason = f"line {line_of(GOOD, place)}: holds the invisible character U+{ord(odd[0]):04X}"
    assert any(reason in problem for problem in told)
    assert "".join(told).isprintable()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "section `[request_definition]` must hold"),
        (b"\n\n# nothing\n", "no rules"),
        (b"\xff\xfe" + GOOD.encode("utf-16-le"), "policies.conf line 1: not UTF-8"),
        (GOOD.encode("utf-16"), "not UTF-8"),
        (GOOD.encode() + b"# caf\xe9\n", f"line {GOOD.count(chr(10)) + 1}: not UTF-8"),
        (GOOD.encode() + b"# \xed\xa0\x80\n", "not UTF-8"),
        (b"\xef\xbb\xbf" + GOOD.encode(), "policies.conf line 1: holds the invisible character U+FEFF"),
        (GOOD.replace("\n", "\r").encode(), "invisible character U+000D"),
        (GOOD.encode() + b"\x00", "invisible character U+0000"),
        (b"x = y\n" + GOOD.encode(), "policies.conf line 1: `x = y` stands before the first section"),
        (b"p, alice, data1, read\n" + GOOD.encode(), "stands before the first section"),
        ((MODEL_TEXT + "[rules]\n").encode(), "no rules"),
        (MODEL_TEXT.encode(), "no rules"),
        (REST.encode(), "`[matchers]` must hold the line"),
        ((REST + MODEL_TEXT).encode(), "come first"),
        (GOOD.encode() + b"[" * 100_000, "unknown section"),
        (GOOD.encode() + b"x" * 1_000_000, "is no `name = value`"),
        (GOOD.encode() + b"x = " + b"," * 1_000_000, "has 1000001 fields"),
        (GOOD.encode() + b"=" * 1000, "`` is no name"),
    ],
)
def test_a_file_of_another_kind_is_refused(data: bytes, reason: str) -> None:
    assert any(reason in problem for problem in problems(data))


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("\n", "\r\n"),
        GOOD.rstrip("\n"),
        GOOD.replace(", ", ","),
        GOOD.replace(" = ", "\t=  "),
        GOOD.replace("\n", "\n\n  \t\n"),
        "\n".join(f"   {line}  " for line in GOOD.split("\n")),
        GOOD.replace("member(r.principal, p.team)", "member( r.principal ,p.team  )"),
        GOOD.replace("== p.action", "==p.action"),
        GOOD.replace("# name", "# naïve, 名前, ends in a backslash \\ \\"),
        GOOD.replace("train a model to operate", "train a modèle to operate; so = what?"),
        MODEL_TEXT + "[rules]\n" + "only = research, train_ai_system, user.behavior, read, -, clear, allow",
    ],
)
def test_white_space_and_comments_make_no_difference_here_or_to_casbin(text: str) -> None:
    assert load(text).rules[-1].effect == "allow"
    assert_casbin_reads_the_same(text.encode())


def casbin_reads(data: bytes) -> dict[str, dict[str, str]]:
    """The sections as stock Casbin has them when it opens such a file."""
    config = Config()
    config._parse_buffer(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
    return config._data


def assert_casbin_reads_the_same(data: bytes) -> None:
    policies = load_policies(data)
    read = casbin_reads(data)
    rules = {name: [field.strip(" \t") for field in value.split(",")] for name, value in read["rules"].items()}
    assert rules == {
        rule.name: [
            rule.team,
            rule.purpose,
            rule.data_class,
            rule.action,
            rule.condition,
            str(rule.treatment),
            rule.effect,
        ]
        for rule in policies.rules
    }
    assert read.get("purposes", {}) == policies.purposes
    assert read.get("conditions", {}) == {name: condition.text for name, condition in policies.conditions.items()}
    assert read.get("data_classes", {}).keys() == policies.data_classes.keys()
    assert all(read[section].keys() == {name} for section, (name, _) in MODEL.items())
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=data.decode()))
    enforcer.get_model()["p"]["p"].policy = [["t", "p", "c", "read", "-", "clear", "allow"]]
    for name in ("member", "within", "holds"):
        enforcer.add_function(name, lambda *args: args[-1] is not None)
    assert enforcer.enforce("ana", "p", "d", "c", "read") is True
    assert enforcer.enforce("ana", "p", "d", "c", "write") is False


BITS = (
    "\n",
    "\\\n",
    "#",
    ";",
    " ",
    "\t",
    "=",
    ",",
    "[",
    "]",
    "[rules]\n",
    "\r",
    "\r\n",
    "*",
    "-",
    "x",
    "deny",
    ".",
    "\u00a0",
    "é",
)


def test_whatever_is_done_to_a_file_it_is_refused_or_means_the_same_to_casbin() -> None:
    rng = random.Random(20261121)
    accepted = 0
    for _ in range(3_000):
        text = GOOD
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(text))
            cut = rng.choice((0, 0, 1, rng.randrange(30)))
            text = text[:at] + rng.choice((*BITS, "")) + text[at + cut :]
        try:
            load(text)
        except MisreadAll as refused:
            assert all((problem.line or 1) >= 1 for problem in refused.problems)  # noqa: PT017
            continue
        accepted += 1
        assert_casbin_reads_the_same(text.encode())
    assert accepted > 100


def test_a_file_of_many_mistakes_is_refused_as_quickly_as_one_of_few() -> None:
    text = GOOD + "".join(f"r{i} = *, *, user.behaviour.k{i}, raed, -, clear, allow\n" for i in range(20_000))
    assert len(problems(text)) == 40_000
