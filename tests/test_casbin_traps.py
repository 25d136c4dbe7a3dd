"""Each trap of stock Casbin that is known: how Casbin falls in, and that Remit does not."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import casbin
import pytest
from casbin.config import Config
from casbin.model.model_fast import FastModel
from casbin.persist.adapter import load_policy_line
from casbin.rbac.default_role_manager import RoleManager

from policy.conditions_parse import parse_condition
from policy.engine import Answer, Engine
from policy.errors import BadCondition, MisreadAll
from policy.model import MODEL_TEXT
from policy.policies import load_policies
from policy.values import Action, Principal, Treatment

PLAIN = """
[request_definition]
r = sub, obj
[policy_definition]
p = sub, obj
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj
"""
BY_EXPRESSION = PLAIN.replace("p = sub, obj", "p = rule").replace("r.sub == p.sub && r.obj == p.obj", "eval(p.rule)")
WITH_ROLES = PLAIN.replace("[policy_effect]", "[role_definition]\ng = _, _\n[policy_effect]").replace(
    "r.sub == p.sub", "g(r.sub, p.sub)"
)
ANA = Principal("ana", teams=("research.ml",))
ALLOW = "may = research, train_ai_system, user.behavior, read, -, clear, allow\n"


def plain(model: str, *rows: list[str]) -> casbin.Enforcer:
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=model))
    enforcer.get_model()["p"]["p"].policy = list(rows)
    return enforcer


def fast(model_text: str) -> casbin.FastEnforcer:
    model = FastModel([0, 1])
    model.load_model_from_text(model_text)
    return casbin.FastEnforcer(model, cache_key_order=[0, 1])


def remit(rules: str, conditions: str = "") -> Engine:
    return Engine(load_policies(f"{MODEL_TEXT}[conditions]\n{conditions}\n[rules]\n{rules}".encode()))


def ask(engine: Engine, principal: Principal = ANA, data_class: str = "user.behavior") -> Answer:
    return engine.ask(principal, "train_ai_system", None, data_class, Action.READ)


def assert_refused(rules: str, reason: str) -> None:
    with pytest.raises(MisreadAll, match=reason):
        remit(rules)


def casbin_config(text: str) -> dict[str, dict[str, str]]:
    config = Config()
    config._parse_buffer(io.StringIO(text))
    return config._data


def test_a_misspelt_deny_lets_casbin_allow_and_is_refused_here() -> None:
    stock = plain(
        MODEL_TEXT,
        ["research", "train_ai_system", "user.behavior", "read", "-", "clear", "allow"],
        ["*", "*", "user.behavior", "read", "-", "hidden", "dney"],
    )
    for name in ("member", "within", "holds"):
        stock.add_function(name, lambda *_: True)
    assert stock.enforce(ANA, "train_ai_system", None, "user.behavior", "read") is True
    for misspelt in ("dney", "Deny", "DENY", "alow", "'deny'"):
        assert_refused(ALLOW + f"no = *, *, user.behavior, read, -, hidden, {misspelt}\n", "unknown effect")


def test_rows_of_an_unknown_kind_vanish_in_casbin_and_are_refused_here() -> None:
    stock = plain(PLAIN)
    load_policy_line("q, alice, data", stock.get_model())
    assert stock.get_policy() == []
    assert_refused("p, research, train_ai_system, user.behavior, read, -, clear, allow\n", "is no `name = value`")


def test_one_short_row_raises_for_everybody_in_casbin_and_is_refused_here() -> None:
    stock = plain(PLAIN, ["bob"], ["alice", "data"])
    with pytest.raises(RuntimeError, match="invalid policy size"):
        stock.enforce("alice", "data")
    assert_refused(ALLOW + "short = research, train_ai_system\n", "has 2 fields, not 7")


def test_casbin_without_rules_allows_an_empty_request_and_remit_allows_nobody_anything() -> None:
    assert plain(PLAIN).enforce("", "") is True
    assert_refused("", "no rules")
    everything = remit("all = *, *, *, read, -, clear, allow\n")
    for principal in (ANA, Principal(""), Principal("", teams=("",))):
        for name in ("", ".", "*", " "):
            assert everything.ask(principal, name, None, name, Action.READ).effect == "none"
    assert ask(everything, Principal("ana")).effect == "none"


def test_casbin_splices_the_text_of_a_rule_and_remit_reads_it_as_one_expression() -> None:
    stock = plain(BY_EXPRESSION, ['r.sub == "nobody") or (True'])
    assert stock.enforce("mallory", "data") is True
    for text in ('principal.name == "nobody") or (true', "true) or (false", "True) or (False", "True"):
        with pytest.raises(BadCondition):
            parse_condition("spliced", text)


def test_casbin_rewrites_dots_in_literals_and_remit_takes_them_as_written() -> None:
    stock = plain(BY_EXPRESSION, ['r.sub == "p.smith@x.com"'])
    assert stock.enforce("p.smith@x.com", "data") is False
    assert stock.enforce("p_smith@x.com", "data") is True
    engine = remit(
        "smith = research, train_ai_system, user.behavior, read, is_smith, clear, allow\n",
        'is_smith = principal.name == "p.smith@x.com"',
    )
    assert ask(engine, Principal("p.smith@x.com", teams=("research",))).effect == "allow"
    assert ask(engine, Principal("p_smith@x.com", teams=("research",))).effect == "none"


def test_one_rule_that_cannot_be_told_raises_for_everybody_in_casbin_and_stands_alone_here() -> None:
    stock = plain(BY_EXPRESSION, ["r.sub.clearance > 1"], ['r.obj == "data"'])
    with pytest.raises(Exception, match="clearance"):
        stock.enforce(ANA, "data")
    engine = remit(
        "high = research, train_ai_system, user.behavior, read, cleared, clear, allow\n"
        "any = research, train_ai_system, user.behavior, read, -, coarse, allow\n",
        "cleared = principal.clearance > 1",
    )
    assert ask(engine) == Answer("allow", Treatment.COARSE, ("any",), ("high lacks principal.clearance",))


def test_the_order_of_an_or_decides_in_casbin_whether_a_missing_attribute_counts_and_never_here() -> None:
    stock = plain(BY_EXPRESSION, ['r.obj == "data" or r.sub.clearance > 1'])
    assert stock.enforce(ANA, "data") is True
    for text in ("principal.cleared or principal.trained", "principal.trained or principal.cleared"):
        trained = Principal("ana", attributes=(("trained", True),))
        assert parse_condition("c", text).holds(trained, None).value is None


def test_casbin_can_be_switched_off_and_an_engine_has_nothing_but_its_question() -> None:
    stock = plain(PLAIN)
    stock.enable_enforce(False)
    assert stock.enforce("mallory", "data") is True
    assert [name for name in dir(Engine) if not name.startswith("_")] == ["ask"]


def test_casbin_denies_wrongly_while_it_rebuilds_its_roles_and_an_engine_is_never_rebuilt() -> None:
    stock = casbin.SyncedEnforcer(casbin.Enforcer.new_model(text=WITH_ROLES))
    answers = []

    class Rebuilt(RoleManager):
        def clear(self) -> None:
            super().clear()
            reader = threading.Thread(target=lambda: answers.append(stock.enforce("alice", "data")))
            reader.start()
            reader.join(timeout=10)

    stock.set_role_manager(Rebuilt(10))
    stock.add_policy("researchers", "data")
    stock.add_grouping_policy("alice", "researchers")
    stock.build_role_links()
    assert stock.enforce("alice", "data") is True
    assert answers[-1] is False

    engine = remit(ALLOW)
    with ThreadPoolExecutor(1) as reader:
        effects = reader.submit(lambda: {ask(engine).effect for _ in range(3_000)})
        while not effects.done():
            assert ask(remit(ALLOW.replace("research", "nobody"))).effect == "none"
    assert effects.result() == {"allow"}


def test_casbins_fast_enforcer_shares_its_filter_and_engines_share_nothing_between_threads() -> None:
    stock = fast(PLAIN)
    stock.add_policy("alice", "data")
    stock.add_policy("bob", "other")
    assert stock.enforce("alice", "data") is True
    rules = stock.get_model()["p"]["p"].policy
    rules.apply_filter("alice", "data")  # one thread is about to ask for alice
    rules.apply_filter("bob", "other")  # when another asks for bob
    assert stock.enforce_ex("alice", "data")[0] is False

    engine = Engine(
        load_policies((MODEL_TEXT + "[rules]\n" + "".join(a_rule(i) for i in range(20))).encode()), remembered=0
    )
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda i: ask(engine, Principal("ana", teams=(f"team{i % 25}",))), range(4_000)))
    assert answers == [
        Answer("allow", Treatment.CLEAR, (f"r{i % 25}",)) if i % 25 < 20 else Answer("none") for i in range(4_000)
    ]


def a_rule(number: int) -> str:
    return f"r{number} = team{number}, train_ai_system, user.behavior, read, -, clear, allow\n"


def test_the_fast_enforcer_misses_a_wildcard_in_a_key_and_the_index_does_not() -> None:
    stock = fast(PLAIN.replace("r.sub == p.sub", 'p.sub == "*"'))
    stock.add_policy("*", "data")
    assert stock.enforce("alice", "data") is False
    assert ask(remit("all = *, *, *, read, -, clear, allow\n")).effect == "allow"


def test_casbin_joins_lines_that_end_in_a_backslash_and_remit_refuses_them() -> None:
    joined = casbin_config("[rules]\na = x, deny \\\nb = y, deny\n")
    assert joined == {"rules": {"a": "x, deny b = y, deny"}}
    assert_refused(f"{ALLOW[:-1]}\\\n{ALLOW.replace('may', 'too')}", "ends in")


def test_casbin_does_not_know_a_section_with_spaces_in_its_brackets_and_remit_refuses_it() -> None:
    assert casbin_config("[ rules ]\na = b\n") == {" rules ": {"a": "b"}}
    with pytest.raises(MisreadAll, match=r"unknown section `\[ rules \]`; did you mean `\[rules\]`"):
        load_policies(f"{MODEL_TEXT}[ rules ]\n{ALLOW}".encode())


def test_casbin_skips_lines_that_start_with_a_semicolon_and_remit_refuses_them() -> None:
    assert casbin_config("[rules]\n; a = b\n") == {}
    assert_refused(f";{ALLOW}{ALLOW}", "comments start with `#`")


def test_casbin_keeps_a_comment_behind_a_value_and_remit_refuses_it() -> None:
    assert casbin_config("[rules]\na = deny # never\n") == {"rules": {"a": "deny # never"}}
    assert_refused(ALLOW.replace("allow", "allow # for now"), "unknown effect `allow # for now`")


def test_casbin_merges_repeated_sections_and_lets_the_last_name_win_and_remit_refuses_both() -> None:
    assert casbin_config("[rules]\na = deny\n[rules]\na = allow\n") == {"rules": {"a": "allow"}}
    assert_refused(f"{ALLOW}[rules]\n", "is already in line")
    assert_refused(ALLOW + ALLOW, "`may` is already in line")


def test_a_deny_alone_allows_the_rest_in_some_models_and_nothing_here() -> None:
    stock = plain(PLAIN.replace("some(where (p.eft == allow))", "!some(where (p.eft == deny))"), ["bob", "other"])
    assert stock.enforce("alice", "data") is True
    assert ask(remit("no = *, *, user.content, read, -, hidden, deny\n")).effect == "none"


def test_casbin_names_no_rule_or_the_wrong_one_for_an_allow_and_remit_names_those_that_decided() -> None:
    engine = remit(
        "coarse = research, train_ai_system, user.behavior, read, -, coarse, allow\n"
        "clear = research, train_ai_system, user.behavior, read, -, clear, allow\n"
        "too = *, *, *, read, -, clear, allow\n"
    )
    assert ask(engine) == Answer("allow", Treatment.CLEAR, ("clear", "too"))
