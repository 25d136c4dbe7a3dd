"""Casbin decides, on the few rules that can have a say; Remit names those that decided. The only door to Casbin.

What always holds:

- No rule, no access: where nothing matches, the answer is `none`.
- Casbin and the index come to the same answer, or nobody gets one: `EngineFault`.
- Nothing of Casbin is shared between threads, and nothing of it outlives a question but the parsed model.
- An answer is remembered under everything that it depends on, with the types of the attributes: 1 is not `true`.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import casbin
from casbin.util import SimpleEval

from .conditions import Truth
from .errors import EngineFault
from .model import MODEL_TEXT
from .names import is_name, is_within
from .policies import Policies
from .rule_index import RuleIndex
from .rules import Rule
from .values import Action, Column, Dataset, Principal, Treatment

REMEMBERED = 16_384
"""Answers that an engine keeps, about 20 MB at most."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the rules say: `treatment` is the most revealing that is allowed, `HIDDEN` unless `effect` is `allow`.

    `rules` names those that decided, in the order of the file: the allows that give the treatment; every deny that
    holds; where there is neither, the allows that would match but for their condition. `lacked` says of every rule
    that could have had a say what its condition wanted, `pointer_for_training lacks principal.privacy_training`.
    """

    effect: Literal["allow", "deny", "none"]
    treatment: Treatment = Treatment.HIDDEN
    rules: tuple[str, ...] = ()
    lacked: tuple[str, ...] = ()
    pseudonym_rules: tuple[str, ...] = ()

    def of(self, column: Column) -> "Answer":
        """What this class's answer is for one column: `coarse` shows nothing where the catalog does not say how.

        Then the allows that give a pseudonym count, so that one more allow never shows less.
        """
        if self.treatment is not Treatment.COARSE or column.coarse is not None:
            return self
        if self.pseudonym_rules:
            return replace(self, treatment=Treatment.PSEUDONYM, rules=self.pseudonym_rules)
        return replace(self, treatment=Treatment.HIDDEN)


NOTHING = Answer("none")
MATCHER = casbin.Enforcer._get_expression(casbin.Enforcer.new_model(text=MODEL_TEXT)["m"]["m"].value).ast_parsed_value
"""Casbin's own reading of the matcher, which is the same for every file; nobody changes it, so threads share it."""


class Engine:
    """The rules of one bundle, ready to be asked by any number of threads. Immutable as they are."""

    def __init__(self, policies: Policies, *, remembered: int = REMEMBERED) -> None:
        self._policies = policies
        self._index = RuleIndex(policies.rules)
        self._casbin = _CasbinOfThread(policies)
        self._remembered = lru_cache(maxsize=remembered)(self._answer)

    def ask(
        self, principal: Principal, purpose: str, dataset: Dataset | None, data_class: str, action: Action
    ) -> Answer:
        """Whether `principal` may do `action` to `data_class` for `purpose`.

        There is no dataset where Remit's own things are asked for. Raises `EngineFault` where Casbin disagrees.
        """
        types = tuple([value.__class__ for _, value in principal.attributes])
        return self._remembered(principal, types, purpose, dataset, data_class, action)

    def _answer(
        self,
        principal: Principal,
        _types: tuple[type, ...],
        purpose: str,
        dataset: Dataset | None,
        data_class: str,
        action: Action,
    ) -> Answer:
        if not (is_name(purpose) and is_name(data_class)):
            return NOTHING
        rules = self._index.candidates(principal.teams, purpose, data_class, action)
        if not rules:
            return NOTHING
        truths = [self._policies.tell(rule.condition, principal, dataset) for rule in rules]
        answer = _explain(rules, truths)
        if self._casbin.allows(rules, principal, purpose, dataset, data_class, action) != (answer.effect == "allow"):
            names = ", ".join(rule.name for rule in rules)
            raise EngineFault(f"casbin and the index disagree on {names}: report this, nothing was read")
        return answer


class _Enforcer(casbin.Enforcer):  # type: ignore[misc]
    """Casbin, but for its habit of parsing the matcher anew at each question.

    That takes most of a question's time, and CPython's `ast.parse` raises `SystemError` when threads meet in it.
    """

    def __init__(self) -> None:
        super().__init__(casbin.Enforcer.new_model(text=MODEL_TEXT))
        self._expression: SimpleEval | None = None

    def _get_expression(self, _matcher: str, functions: Mapping[str, Callable[..., bool]]) -> SimpleEval:
        if self._expression is None:
            self._expression = SimpleEval("", functions)
            self._expression.ast_parsed_value = MATCHER
        return self._expression


class _CasbinOfThread(threading.local):
    """A Casbin enforcer for each thread: it is told the rules anew with each question."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._enforcer = _Enforcer()
        self._enforcer.add_function("member", Principal.is_member)
        self._enforcer.add_function("within", within)
        self._enforcer.add_function("holds", self._holds)

    def _holds(self, condition: str, effect: str, principal: Principal, dataset: Dataset | None) -> bool:
        return self._policies.tell(condition, principal, dataset).counts_for(effect)

    def allows(
        self,
        rules: Sequence[Rule],
        principal: Principal,
        purpose: str,
        dataset: Dataset | None,
        data_class: str,
        action: Action,
    ) -> bool:
        self._enforcer.get_model()["p"]["p"].policy = [row(rule) for rule in rules]
        return bool(self._enforcer.enforce(principal, purpose, dataset, data_class, action.value))


def within(asked: str, ruled: str, effect: str) -> bool:
    """The matcher's `within`: a deny also holds where more is asked than it speaks of."""
    return is_within(asked, ruled) or (effect == "deny" and is_within(ruled, asked))


def row(rule: Rule) -> tuple[str, ...]:
    """A rule as Casbin's `policy_definition` has it."""
    return (
        rule.team,
        rule.purpose,
        rule.data_class,
        rule.action.value,
        rule.condition,
        str(rule.treatment),
        rule.effect,
    )


def _explain(rules: Sequence[Rule], truths: Sequence[Truth]) -> Answer:
    lacked = tuple(
        f"{rule.name} lacks {want}" for rule, truth in zip(rules, truths, strict=True) for want in truth.lacked
    )
    held = [rule for rule, truth in zip(rules, truths, strict=True) if truth.counts_for(rule.effect)]
    denies = tuple(rule.name for rule in held if rule.effect == "deny")
    if denies:
        return Answer("deny", Treatment.HIDDEN, denies, lacked)
    if not held:
        return Answer("none", Treatment.HIDDEN, tuple(rule.name for rule in rules if rule.effect == "allow"), lacked)
    most = max(rule.treatment for rule in held)
    return Answer("allow", most, _giving(most, held), lacked, _giving(Treatment.PSEUDONYM, held))


def _giving(treatment: Treatment, rules: Sequence[Rule]) -> tuple[str, ...]:
    return tuple(rule.name for rule in rules if rule.treatment is treatment)
