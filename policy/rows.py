"""The row language of declared scopes and reads: parsed into a tree, typed, evaluated, written out, compared.

The language is in the contract; `authz.filter_sql` turns a tree into SQL that agrees with `evaluate`.
"""

from .rows_evaluate import evaluate
from .rows_excludes import excludes
from .rows_parse import parse
from .rows_render import render, spelt
from .rows_tree import (
    And,
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
    Or,
    Value,
    all_of,
    any_of,
    columns_of,
    conjuncts,
)
from .rows_typed import typed

__all__ = [
    "And",
    "Between",
    "ColumnRef",
    "Comparison",
    "Filter",
    "In",
    "IsNull",
    "Like",
    "Literal",
    "Not",
    "Operator",
    "Or",
    "Value",
    "all_of",
    "any_of",
    "columns_of",
    "conjuncts",
    "evaluate",
    "excludes",
    "parse",
    "render",
    "spelt",
    "typed",
]
