"""Reads the row language of the contract into a tree, or says where it stops making sense.

Numbers stay exact: an integer is an `int`, one with a point or an exponent a `Decimal`. Words in double quotes are
column names too, for columns whose names are keywords or hold other characters. Reasons never quote a literal: they may
be recorded, and a literal may be somebody's name.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

from .errors import BadRows
from .rows_tree import (
    Between,
    ColumnRef,
    Comparison,
    Filter,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Operator,
    all_of,
    any_of,
)

MAX_LENGTH = 65_536
"""Characters; a filter that is longer is refused before it is looked at."""
MAX_DEPTH = 64
"""Levels of brackets and `not`; below this nothing that walks a tree can run out of stack."""
MAX_TESTS = 1_000
"""Comparisons, and `in`, `between`, `like` and `is null`: more of them keep a gateway from everybody else's reads."""
MAX_LITERALS = 5_000
MAX_DIGITS = 400
"""Of a number, before or after its point: enough for every double, too little to keep a machine busy."""
_MAX_SPELLING = 500
"""Characters; what `render` writes for a number of `MAX_DIGITS` stays below it."""

KEYWORDS = frozenset({"and", "or", "not", "in", "between", "like", "is", "null", "true", "false"})
_OTHER_SIGNS = {"==": "=", "<>": "!="}
_FORBIDDEN = re.compile("[\x00\ud800-\udfff]")
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[+-]?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)(?![A-Za-z0-9_.])
      | (?P<string>'(?:[^']|'')*+')
      | (?P<name>"(?:[^"]|"")++")
      | (?P<sign><=|>=|!=|==|<>|[=<>(),])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int

    @property
    def shown(self) -> str:
        """How a reason may speak of it."""
        return {"string": "a text", "number": "a number", "end": "the end"}.get(self.kind, f"`{self.text}`")


def parse(text: str) -> Filter:
    """Read a filter; raises `BadRows` with a reason and a position in characters, counted from 0."""
    if len(text) > MAX_LENGTH:
        raise BadRows(f"a filter has at most {MAX_LENGTH} characters; this one has {len(text)}", None)
    if forbidden := _FORBIDDEN.search(text):
        raise BadRows("a filter cannot hold NUL or half of a surrogate pair; take it out", forbidden.start())
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise BadRows(_why_no_token(text, position), position)
        kind, spelt = str(found.lastgroup), found.group()
        if kind == "word" and spelt.lower() in KEYWORDS:
            kind, spelt = "keyword", spelt.lower()
        if kind != "space":
            tokens.append(_Token(kind, spelt, position))
        position = found.end()
    return [*tokens, _Token("end", "", position)]


def _why_no_token(text: str, position: int) -> str:
    match text[position]:
        case "'":
            return "a text is not closed; end it with `'`, and write `''` for a quote inside"
        case '"':
            return 'a column name in double quotes is empty or not closed; end it with `"`'
        case digit if digit in "+-.0123456789":
            return "this is no number; write it like `12`, `-0.5` or `1e6`"
        case other:
            return f"`{other}` has no meaning here; texts are written in single quotes"


class _Parser:
    """Recursive descent over the tokens; `depth` is what has been opened so far."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._tests = 0
        self._literals = 0

    def whole(self) -> Filter:
        filter = self._either(0)
        if self._peek().kind != "end":
            raise self._refusal("`and`, `or` or the end")
        return filter

    def _either(self, depth: int) -> Filter:
        parts = [self._both(depth)]
        while self._skip("or"):
            parts.append(self._both(depth))
        return any_of(*parts)

    def _both(self, depth: int) -> Filter:
        parts = [self._single(depth)]
        while self._skip("and"):
            parts.append(self._single(depth))
        return all_of(*parts)

    def _single(self, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise BadRows(f"brackets and `not` go at most {MAX_DEPTH} deep; write it flatter", self._peek().position)
        if self._skip("not"):
            return Not(self._single(depth + 1))
        if self._skip("("):
            inner = self._either(depth + 1)
            self._expect(")")
            return inner
        return self._predicate()

    def _predicate(self) -> Filter:
        self._tests += 1
        if self._tests > MAX_TESTS:
            raise BadRows(f"a filter has at most {MAX_TESTS} comparisons; read in parts", self._peek().position)
        if self._peek().kind not in ("word", "name"):
            return self._turned()
        column = self._column()
        if self._skip("is"):
            negated = self._skip("not")
            self._expect("null")
            return Not(IsNull(column)) if negated else IsNull(column)
        if self._skip("not"):
            return Not(self._test(column))
        if self._peek().kind == "sign" and self._peek().text not in "(),":
            return Comparison(column, self._operator(), self._operand())
        return self._test(column)

    def _turned(self) -> Filter:
        """`5 < x` is `x > 5`."""
        literal = self._literal("a column, `not` or `(`")
        operator = self._operator()
        if self._peek().kind not in ("word", "name"):
            raise self._refusal("a column, as the other side is a literal")
        return Comparison(self._column(), operator.mirrored, literal)

    def _test(self, column: ColumnRef) -> Filter:
        if self._skip("between"):
            low = self._literal()
            self._expect("and")
            return Between(column, low, self._literal())
        if self._skip("in"):
            return In(column, self._options())
        if self._skip("like"):
            if self._peek().kind != "string":
                raise self._refusal("a text in single quotes after `like`")
            return Like(column, self._literal())
        raise self._refusal(f"a comparison, `in`, `between`, `like` or `is null` after `{column.name}`")

    def _options(self) -> tuple[Literal, ...]:
        self._expect("(")
        options = [self._literal("at least one literal in the brackets of `in`")]
        while self._skip(","):
            options.append(self._literal())
        self._expect(")")
        return tuple(options)

    def _operand(self) -> Literal | ColumnRef:
        return self._column() if self._peek().kind in ("word", "name") else self._literal("a literal or a column")

    def _column(self) -> ColumnRef:
        token = self._take()
        return ColumnRef(token.text if token.kind == "word" else token.text[1:-1].replace('""', '"'))

    def _operator(self) -> Operator:
        token = self._peek()
        if token.text in _OTHER_SIGNS:
            raise BadRows(f"`{token.text}` is written `{_OTHER_SIGNS[token.text]}` here", token.position)
        if token.kind != "sign" or token.text in "(),":
            raise self._refusal("a comparison")
        return Operator(self._take().text)

    def _literal(self, wanted: str = "a literal") -> Literal:
        token = self._peek()
        match token.kind, token.text:
            case "string", text:
                value: str | bool | int | Decimal = text[1:-1].replace("''", "'")
            case "number", text:
                value = _number(text, token.position)
            case "keyword", ("true" | "false") as text:
                value = text == "true"
            case "keyword", "null":
                raise BadRows("nothing compares with null; write `is null` or `is not null`", token.position)
            case _:
                raise self._refusal(wanted)
        self._literals += 1
        if self._literals > MAX_LITERALS:
            raise BadRows(f"a filter has at most {MAX_LITERALS} literals; read in parts", token.position)
        self._take()
        return Literal(value)

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _skip(self, text: str) -> bool:
        token = self._peek()
        found = token.kind in ("keyword", "sign") and token.text == text
        self._next += found
        return found

    def _expect(self, text: str) -> None:
        if not self._skip(text):
            raise self._refusal(f"`{text}`")

    def _refusal(self, wanted: str) -> BadRows:
        token = self._peek()
        return BadRows(f"expected {wanted}, found {token.shown}", token.position)


def _number(text: str, position: int) -> int | Decimal:
    exponent = text.lower().partition("e")[2] or "0"
    if len(text) <= _MAX_SPELLING and abs(int(exponent)) <= _MAX_SPELLING:
        value = Decimal(text)
        if len(value.as_tuple().digits) <= MAX_DIGITS and abs(value.adjusted()) < MAX_DIGITS:
            return int(value) if text.lstrip("+-").isdigit() else value
    raise BadRows(f"a number has at most {MAX_DIGITS} digits, before and after its point", position)
