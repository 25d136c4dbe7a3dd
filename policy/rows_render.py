"""Writes a filter out again, always the same way: small keywords, no bracket that is not needed."""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

from .rows_parse import KEYWORDS
from .rows_tree import And, Between, ColumnRef, Comparison, Filter, In, IsNull, Like, Literal, Not, Or

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Spell = Callable[[str, Literal], str]
"""How a literal that stands beside the column of this name is to be written."""


def render(filter: Filter, literal: Spell | None = None) -> str:
    """The text of a filter, which parses to the same tree; `literal` may write literals otherwise: redacted.

    It may be longer than what was parsed; a filter that came close to `MAX_LENGTH` may then not be parsed again.
    """
    return _written(filter, literal or (lambda _, value: spelt(value)))


def spelt(literal: Literal) -> str:
    """A literal as the language writes it; a text in single quotes, quotes inside doubled."""
    match literal.value:
        case bool(value):
            return "true" if value else "false"
        case Decimal() as value:
            return str(value) if re.search("[.E]", str(value)) else f"{value}.0"
        case datetime() as value:
            return f"'{value.replace(tzinfo=None).isoformat()}Z'"
        case date() as value:
            return f"'{value.isoformat()}'"
        case str(value):
            return "'" + value.replace("'", "''") + "'"
        case value:
            return repr(value)


def _written(filter: Filter, spell: Spell) -> str:
    match filter:
        case And(parts):
            return " and ".join(_bracketed(part, spell, (Or,)) for part in parts)
        case Or(parts):
            return " or ".join(_written(part, spell) for part in parts)
        case Not(IsNull() | In() | Like() | Between() as part):
            return _test(part, spell, "not ")
        case Not(part):
            return "not " + _bracketed(part, spell, (And, Or))
        case Comparison(column, operator, other):
            right = _name(other) if isinstance(other, ColumnRef) else spell(column.name, other)
            return f"{_name(column)} {operator} {right}"
        case IsNull() | In() | Like() | Between():
            return _test(filter, spell, "")


def _bracketed(filter: Filter, spell: Spell, kinds: tuple[type, ...]) -> str:
    text = _written(filter, spell)
    return f"({text})" if isinstance(filter, kinds) else text


def _test(filter: IsNull | In | Like | Between, spell: Spell, negation: str) -> str:
    name, column = _name(filter.column), filter.column.name
    match filter:
        case IsNull():
            return f"{name} is {negation}null"
        case In(_, options):
            return f"{name} {negation}in ({', '.join(spell(column, option) for option in options)})"
        case Like(_, pattern):
            return f"{name} {negation}like {spell(column, pattern)}"
        case Between(_, low, high):
            return f"{name} {negation}between {spell(column, low)} and {spell(column, high)}"


def _name(column: ColumnRef) -> str:
    plain = _WORD.fullmatch(column.name) and column.name.lower() not in KEYWORDS
    return column.name if plain else '"' + column.name.replace('"', '""') + '"'
