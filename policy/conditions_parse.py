"""Reads the text of a condition; its grammar stands in `policy.conditions`."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from .conditions import (
    COMPARISONS,
    ORDERS,
    Among,
    Compared,
    Condition,
    Constant,
    Expression,
    Flag,
    Joined,
    Named,
    Not,
    kind_of,
)
from .conf_lines import BLANKS
from .errors import BadCondition
from .tables import closest, shown
from .values import Attribute

MAX_DEPTH = 64
MAX_INTEGER = 2**53
KINDS = ("person", "service")
WORDS = frozenset({"and", "or", "not", "in", "true", "false"})
NOT_ASKABLE = frozenset({"principal.teams", "principal.attributes"}) | {
    f"dataset.{field}" for field in ("title", "location", "subject", "occurred_at", "audience", "columns", "attributes")
}
"""Names that look like attributes and never are: such a condition could never be told."""
ADVICE = {
    '"': "a text ends in the quote that it starts with, and holds no backslash",
    "'": "a text ends in the quote that it starts with, and holds no backslash",
    "=": "write `==`",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`",
    "[": "write lists in parentheses",
    "#": "comments have lines of their own",
}
TOKEN = re.compile(
    r"""[ \t]*(?:
      (?P<text>"[^"\\]*"|'[^'\\]*')
    | (?P<integer>-?[0-9]+)(?![\w.])
    | (?P<word>[A-Za-z_]\w*(?:\.\w+)*)
    | (?P<sign>==|!=|<=|>=|<|>|\(|\)|,)
    )""",
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a condition: a literal, a word or a sign; `end` closes every list of them."""

    kind: str
    text: str


def parse_condition(name: str, text: str) -> Condition:
    """Reads `text`; raises `BadCondition` where it is not understood, or could never be told."""
    return Condition(name, text, _Parser(_tokens(text.rstrip(BLANKS))).whole())


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            rest = text[at:].lstrip(BLANKS)
            raise BadCondition(f"`{shown(rest)}` is not understood: {_advice(rest)}")
        tokens.append(Token(match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return [*tokens, Token("end", "")]


def _advice(rest: str) -> str:
    for start, advice in ADVICE.items():
        if rest.startswith(start):
            return advice
    if rest.removeprefix("-")[:1].isdigit():
        return "numbers are whole numbers"
    return "a condition holds attributes, literals, `== != < <= > >= in and or not` and parentheses"


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def whole(self) -> Expression:
        expression = self._joined("or", 0)
        if self._next.kind != "end":
            raise BadCondition(f"`{shown(self._next.text)}` is not expected here: join parts with `and` or `or`")
        return expression

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next
        self._at += 1
        return token

    def _takes(self, *texts: str) -> bool:
        found = self._next.kind in ("word", "sign") and self._next.text in texts
        self._at += found
        return found

    def _joined(self, word: Literal["and", "or"], depth: int) -> Expression:
        parts = [self._part(word, depth)]
        while self._takes(word):
            parts.append(self._part(word, depth))
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts))

    def _part(self, word: Literal["and", "or"], depth: int) -> Expression:
        return self._joined("and", depth) if word == "or" else self._negated(depth)

    def _negated(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise BadCondition(f"nested deeper than {MAX_DEPTH}: split it into several rules")
        if self._takes("not"):
            return Not(self._negated(depth + 1))
        if self._takes("("):
            inner = self._joined("or", depth + 1)
            if not self._takes(")"):
                raise BadCondition("a `(` is not closed")
            return inner
        return self._test()

    def _test(self) -> Expression:
        left = self._operand()
        if self._next.kind == "sign" and self._next.text in COMPARISONS:
            return _compared(self._take().text, left, self._operand())
        if self._takes("in"):
            return _among(left, self._literals())
        if not isinstance(left, Named) or left.is_field:
            alone = f"`{left}`" if isinstance(left, Named) else "a literal"
            raise BadCondition(f"{alone} stands alone: compare it with something")
        return Flag(left)

    def _literals(self) -> tuple[Attribute, ...]:
        if not self._takes("("):
            raise BadCondition('`in` needs a list of literals, `("eu", "uk")` for instance')
        literals = [self._literal()]
        while self._takes(","):
            literals.append(self._literal())
        if not self._takes(")"):
            raise BadCondition("the list behind `in` is not closed: literals, commas between them, then `)`")
        return tuple(literals)

    def _literal(self) -> Attribute:
        operand = self._operand()
        if isinstance(operand, Named):
            raise BadCondition(f"`{operand}` cannot stand in the list behind `in`: it holds literals only")
        return operand.literal

    def _operand(self) -> Named | Constant:
        token = self._take()
        if token.kind == "text":
            return Constant(token.text[1:-1])
        if token.kind == "integer":
            return Constant(_integer(token.text))
        if token.kind == "word" and token.text in ("true", "false"):
            return Constant(token.text == "true")
        if token.kind == "word" and token.text not in WORDS:
            return _named(token.text)
        found = f"`{token.text}`" if token.text else "the end"
        raise BadCondition(f"{found} stands where an attribute or a literal is expected")


def _integer(text: str) -> int:
    digits = text.lstrip("-")
    if len(digits) > 16 or int(digits) > MAX_INTEGER:
        raise BadCondition(f"`{shown(text)}` is too large: integers go up to 2^53")
    if digits != "0" and digits.startswith("0"):
        raise BadCondition(f"`{text}` starts with a zero: write it without")
    return int(text)


def _named(word: str) -> Named:
    of, _, name = word.partition(".")
    if of not in ("principal", "dataset") or not name:
        near = closest(word.casefold(), (*WORDS, "principal.name", "dataset.name"))
        raise BadCondition(f"unknown name `{shown(word)}`: conditions ask of `principal.` and `dataset.`", near)
    if "." in name:
        raise BadCondition(f"`{shown(word)}` has too many dots: attributes have one name")
    if word in NOT_ASKABLE:
        raise BadCondition(f"`{word}` is nothing that a condition can ask; teams stand in the rule itself")
    return Named("principal" if of == "principal" else "dataset", name)


def _compared(comparison: str, left: Named | Constant, right: Named | Constant) -> Compared:
    named = [side for side in (left, right) if isinstance(side, Named)]
    literals = [side.literal for side in (left, right) if isinstance(side, Constant)]
    if not named:
        raise BadCondition("two literals are compared: one side has to be of `principal.` or `dataset.`")
    if comparison in ORDERS and any(isinstance(literal, bool) for literal in literals):
        raise BadCondition(f"booleans have no order: `{comparison}` cannot be told of them")
    _check_literals(named, literals)
    return Compared(comparison, left, right)


def _among(left: Named | Constant, literals: tuple[Attribute, ...]) -> Among:
    if isinstance(left, Constant):
        raise BadCondition("a literal stands before `in`: it has to be of `principal.` or `dataset.`")
    if len({kind_of(literal) for literal in literals}) > 1:
        raise BadCondition("the list behind `in` mixes types: write literals of one type")
    _check_literals([left], literals)
    return Among(left, literals)


def _check_literals(named: Collection[Named], literals: Collection[Attribute]) -> None:
    """What Remit itself sets is known beforehand: comparing it with what it never is would be an error unseen."""
    for field in (one for one in named if one.is_field):
        for literal in literals:
            if not isinstance(literal, str):
                raise BadCondition(f"`{field}` is text, and is compared with an {kind_of(literal)}")
            if str(field) == "principal.kind" and literal not in KINDS:
                raise BadCondition(f"unknown kind `{shown(literal)}`: it is person or service", closest(literal, KINDS))
