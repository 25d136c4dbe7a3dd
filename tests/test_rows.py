"""The row language: what it takes, what it refuses and why, how it is written, what one filter leaves of another."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_samples import COLUMNS, INTEGERS, PATTERNS, PLAIN_TEXT, TYPES, filters

from policy.errors import BadRows, UnknownColumn
from policy.rows import (
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
    columns_of,
    evaluate,
    excludes,
    parse,
    render,
    typed,
)
from policy.rows_evaluate import is_like
from policy.values import ColumnType

KINDS = {
    "i": ColumnType.INTEGER,
    "j": ColumnType.INTEGER,
    "f": ColumnType.FLOAT,
    "g": ColumnType.FLOAT,
    "d": ColumnType.DECIMAL,
    "s": ColumnType.TEXT,
    "b": ColumnType.BOOLEAN,
    "t": ColumnType.TIMESTAMP,
    "day": ColumnType.DATE,
    "blob": ColumnType.OTHER,
}


def _typed(text: str) -> Filter:
    return typed(parse(text), KINDS)


def _holds(text: str, **row: object) -> bool | None:
    return evaluate(_typed(text), row)


def _spellings(text: str) -> list[str]:
    return [text, text.upper(), f"  ( {text} )\n", text.replace(" ", "\t")]


X, Y = ColumnRef("x"), ColumnRef("y")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("x = 1", Comparison(X, Operator.EQUAL, Literal(1))),
        ("x=-1", Comparison(X, Operator.EQUAL, Literal(-1))),
        ("x <= 2.50", Comparison(X, Operator.AT_MOST, Literal(Decimal("2.50")))),
        ("x > 1e3", Comparison(X, Operator.GREATER, Literal(Decimal(1000)))),
        ("5 < x", Comparison(X, Operator.GREATER, Literal(5))),
        ("5 != x", Comparison(X, Operator.UNEQUAL, Literal(5))),
        ("x != y", Comparison(X, Operator.UNEQUAL, Y)),
        ("x = 'it''s'", Comparison(X, Operator.EQUAL, Literal("it's"))),
        ("x = TRUE", Comparison(X, Operator.EQUAL, Literal(True))),
        ("x Between 1 AND 2 and y = 1", And((Between(X, Literal(1), Literal(2)), parse("y = 1")))),
        ("x not between 1 and 2", Not(Between(X, Literal(1), Literal(2)))),
        ("x in (1, 'a')", In(X, (Literal(1), Literal("a")))),
        ("x NOT IN (1)", Not(In(X, (Literal(1),)))),
        ("x like 'a%'", Like(X, Literal("a%"))),
        ("x is not null", Not(IsNull(X))),
        ("x = 1 or y = 2 and not x = 3", Or((parse("x = 1"), And((parse("y = 2"), Not(parse("x = 3"))))))),
        ("(x = 1 and y = 2) and x = 3", And((parse("x = 1"), parse("y = 2"), parse("x = 3")))),
        ('"and" = 1', Comparison(ColumnRef("and"), Operator.EQUAL, Literal(1))),
        ('"a ""b"".c" is null', IsNull(ColumnRef('a "b".c'))),
    ],
)
def test_the_language_of_the_contract_is_read_into_a_tree(text: str, tree: Filter) -> None:
    assert parse(text) == tree


def test_keywords_may_be_in_any_case_and_columns_may_not() -> None:
    assert parse("NOT x Is NuLL oR X = tRuE") == parse("not x is null or X = true")
    assert columns_of(parse("x = 1 and X = 1 or x < y")) == {"x", "X", "y"}


def test_literals_that_python_calls_equal_make_different_trees() -> None:
    assert len({parse("x = 1"), parse("x = 1.0"), parse("x = true"), parse("x = '1'")}) == 4


@pytest.mark.parametrize(
    ("text", "reason", "position"),
    [
        ("", "expected a column, `not` or `(`, found the end", 0),
        ("x", "expected a comparison", 1),
        ("true", "expected a comparison, found the end", 4),
        ("x = null", "write `is null`", 4),
        ("x != NULL", "write `is null`", 5),
        ("null = x", "write `is null`", 0),
        ("x in ()", "at least one literal", 6),
        ("x in (1, null)", "write `is null`", 9),
        ("x in (y)", "expected at least one literal", 6),
        ("x in (1,)", "expected a literal", 8),
        ("x between 1 and y", "expected a literal", 16),
        ("x like y", "expected a text", 7),
        ("x like 5", "expected a text", 7),
        ("x is 5", "expected `null`", 5),
        ("x == 1", "`==` is written `=` here", 2),
        ("x <> 1", "`<>` is written `!=` here", 2),
        ("1 = 1", "expected a column, as the other side is a literal", 4),
        ("x = 1 y = 2", "expected `and`, `or` or the end, found `y`", 6),
        ("x = 1;", "`;` has no meaning here", 5),
        ("x = 1 -- all", "no number", 6),
        ("x = 5a", "no number", 4),
        ("x = 1_000", "no number", 4),
        ("x = 1.", "no number", 4),
        ("x = 0x1f", "no number", 4),
        ("x = ١", "has no meaning here", 4),
        ("ｘ = 1", "has no meaning here", 0),
        ("x = 'open", "not closed", 4),
        ("x = 'open''", "not closed", 4),
        ('"" = 1', "empty or not closed", 0),
        ("(x = 1", "expected `)`", 6),
        ("x = 1)", "expected `and`, `or` or the end, found `)`", 5),
        ("x = upper('a')", "expected `and`, `or` or the end, found `(`", 9),
        ("x = 'a\x00'", "NUL", 6),
        ("x = '\ud800'", "surrogate", 5),
        ("x = 1e400", "at most 400", 4),
        ("x = -1e-400", "at most 400", 4),
        ("x = " + "9" * 401, "at most 400", 4),
        ("x = 1e" + "9" * 350, "at most 400", 4),
    ],
)
def test_what_is_not_of_the_language_is_refused_with_a_reason_and_a_place(
    text: str, reason: str, position: int
) -> None:
    with pytest.raises(BadRows, match=re.escape(reason)) as refused:
        parse(text)
    assert refused.value.position == position


@pytest.mark.parametrize(
    "text", ["x = 'Jane Doe' 'Jane Doe'", "x 'Jane Doe'", "'Jane Doe'", "x = 'Jane Doe", "i = 'Jane Doe'"]
)
def test_a_reason_never_repeats_a_literal(text: str) -> None:
    with pytest.raises(BadRows) as refused:
        _typed(text)
    assert "Jane" not in str(refused.value)


@pytest.mark.parametrize("opening", ["(", "not ", "not(", "(x = 1 or "])
def test_a_filter_goes_64_deep_and_no_deeper(opening: str) -> None:
    levels = 64 // (2 if opening == "not(" else 1)
    assert parse(opening * levels + "x = 1" + ")" * levels * opening.count("("))
    with pytest.raises(BadRows, match="at most 64 deep"):
        parse(opening * (levels + 1) + "x = 1" + ")" * (levels + 1) * opening.count("("))


@pytest.mark.parametrize(
    "part", ["(", "not ", "x = 1 or ", "x", "1", "'", '"', "<", "x in (", " ", "9.9e9", "''", "(x=1)or("]
)
@pytest.mark.timeout(20)
def test_a_megabyte_and_the_longest_text_are_refused_quickly(part: str) -> None:
    for length in (65_536, 1_000_000):
        with pytest.raises(BadRows):
            parse((part * length)[:length])


@settings(max_examples=200, deadline=None)
@given(filter=filters(TYPES))
def test_a_filter_that_is_written_out_parses_to_the_same_tree(filter: Filter) -> None:
    assert parse(render(filter)) == filter
    with_types = typed(filter, TYPES)
    assert typed(with_types, TYPES) == with_types
    assert typed(parse(render(with_types)), TYPES) == with_types


def test_a_filter_is_always_written_the_same_way() -> None:
    written = "x not in (1, 2) or not (x = 1.0 or y = 'it''s') and z is not null"
    assert render(parse("((x NOT IN (1,2)) OR (NOT (x=1.0 or (y = 'it''s')) and ((z is not null))))")) == written


def test_literals_can_be_written_otherwise_column_by_column() -> None:
    filter = parse("id = 'Jane' and x in (1, 2) and id like 'J%' and id between 'a' and 'b' and id = y")
    redacted = render(filter, lambda column, literal: "…" if column == "id" else str(literal.value))
    assert redacted == "id = … and x in (1, 2) and id like … and id between … and … and id = y"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("i = 5.0", 5),
        ("i = 2.5", Decimal("2.5")),
        ("i = 1e2", 100),
        ("i = 99999999999999999999999999999999999999999.0", 99999999999999999999999999999999999999999),
        ("f = 0.1", 0.1),
        ("f = 9007199254740993", 9007199254740993),
        ("f = 1e399", Decimal("1e399")),
        ("d = 0.10", Decimal("0.10")),
        ("day = '2026-02-28'", date(2026, 2, 28)),
        ("t = '2026-06-01'", datetime(2026, 6, 1, tzinfo=UTC)),
        ("t = '2026-06-01T12:30'", datetime(2026, 6, 1, 12, 30, tzinfo=UTC)),
        ("t = '2026-06-01 12:30:15.5+02:00'", datetime(2026, 6, 1, 10, 30, 15, 500000, tzinfo=UTC)),
        ("t = '2026-06-01T00:00:00Z'", datetime(2026, 6, 1, tzinfo=UTC)),
    ],
)
def test_a_literal_becomes_a_value_that_compares_with_its_column(text: str, value: object) -> None:
    comparison = _typed(text)
    assert isinstance(comparison, Comparison)
    assert comparison.other == Literal(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        *("i = '5'", "i = true", "f = 'NaN'", "d = '1'", "s = 1", "b = 1", "b = 'true'", "i like '5'", "blob = 'x'"),
        *("blob in (1)", "i = f", "i = d", "s = t", "blob = blob", "day = '2026-02-29'", "day = '2026-06-01T00:00'"),
        *("t = '2026'", "t = '20260601'", "t = '2026-W01-1'", "t = '2026-06-01T24:00'", "t = '2026-06-01T00:00:60'"),
        *("t = '2026-06-01T00:00:00.1234567'", "t = '0001-01-01T00:00+01:00'", "t = '9999-12-31T23:00-05:00'"),
        *("t = '2026-06-01T00:00+99:00'", "t = 'now'", "t = ' 2026-06-01'", "day = '٢٠٢٦-٠٦-٠١'", "t = 1"),
        *("i between 1 and 'a'", "i in (1, 'a')"),
    ],
)
def test_a_literal_that_is_not_of_its_columns_type_is_refused(text: str) -> None:
    with pytest.raises(BadRows, match="is a column of type"):
        _typed(text)


def test_an_unknown_column_is_named_with_a_near_one() -> None:
    with pytest.raises(UnknownColumn) as unknown:
        _typed("i = 1 and dayy = '2026-06-01'")
    assert (unknown.value.column, unknown.value.suggestion) == ("dayy", "day")
    with pytest.raises(UnknownColumn):
        _typed("i = 1 or I = 1")


def test_anything_can_be_asked_whether_it_is_null() -> None:
    assert _holds("blob is null", blob=None) is True
    assert _holds("blob is not null", blob=None) is False


@pytest.mark.parametrize("text", ["i = 1", "i != 1", "i < 1", "i in (1, 2)", "i between 1 and 2", "i = j", "not i = 1"])
def test_null_compares_with_nothing(text: str) -> None:
    assert _holds(text, i=None, j=None) is None
    assert _holds(f"not ({text})", i=None, j=None) is None


@pytest.mark.parametrize("other", [True, False, None])
def test_unknown_goes_through_and_or_not_as_in_sql(other: bool | None) -> None:
    row = {"i": None, "b": other}
    assert evaluate(_typed("i = 1 and b = true"), row) is (False if other is False else None)
    assert evaluate(_typed("i = 1 or b = true"), row) is (True if other is True else None)
    assert evaluate(_typed("not (i = 1 or b = true)"), row) is (False if other is True else None)


def test_nan_equals_itself_and_is_greatest() -> None:
    assert [_holds(text, f=nan, g=nan) for text in ("f = g", "f != g", "f < g", "f <= g")] == [True, False, False, True]
    assert [_holds(text, f=nan, g=inf) for text in ("f > g", "f > 1e308", "f <= 1", "f = 1")] == [
        True,
        True,
        False,
        False,
    ]
    assert _holds("f > 1e399", f=nan) is True


def test_numbers_compare_by_what_they_are_worth() -> None:
    assert _holds("f = 9007199254740993", f=float(2**53)) is False
    assert _holds("f < 9007199254740993", f=float(2**53)) is True
    assert _holds("f = 0", f=-0.0) is True
    assert _holds("f >= 1e399", f=inf) is True
    assert _holds("i < 99999999999999999999", i=2**63 - 1) is True
    assert _holds("i > 2.5", i=3) is True
    assert _holds("d = 0.1", d=Decimal("0.10")) is True


def test_a_time_without_a_zone_is_utc() -> None:
    assert _holds("t = '2026-06-01T02:00+02:00'", t=datetime(2026, 6, 1)) is True  # noqa: DTZ001
    assert _holds("t = '2026-06-01'", t=datetime.fromisoformat("2026-06-01T02:00+02:00")) is True


@settings(max_examples=500, deadline=None)
@given(text=PATTERNS | PLAIN_TEXT, pattern=PATTERNS)
def test_like_goes_by_code_point_and_knows_no_escape(text: str, pattern: str) -> None:
    oracle = "".join({"%": ".*", "_": "."}.get(sign, re.escape(sign)) for sign in pattern)
    assert is_like(text, pattern) is (re.fullmatch(oracle, text, re.DOTALL) is not None)


@pytest.mark.timeout(20)
def test_like_is_never_slow() -> None:
    assert not is_like("a" * 10_000, "%a" * 20 + "%b")


@pytest.mark.parametrize(
    ("asked", "scope", "columns"),
    [
        ("i = 1", "i = 2", "i"),
        ("i > 5", "i < 6", "i"),
        ("i > 5.5", "i < 5.9", "i"),
        ("f > 5", "f < 6", ""),
        ("f >= 5", "f < 5", "f"),
        ("i between 1 and 5", "i in (6, 7)", "i"),
        ("i between 1 and 5", "i in (5, 7)", ""),
        ("i != 1", "i = 1", "i"),
        ("i not in (1, 2)", "i between 1 and 2", "i"),
        ("i is null", "i is not null", "i"),
        ("i is null", "i > 0", "i"),
        ("i = 1", "i is null", "i"),
        ("i is not null", "i = 1", ""),
        ("b != true", "b != false", "b"),
        ("s like 'a'", "s = 'b'", "s"),
        ("s like 'a%'", "s = 'b'", ""),
        ("s not like 'a'", "s = 'a'", "s"),
        ("day > '2026-01-01'", "day < '2026-01-02'", "day"),
        ("t > '2026-01-01'", "t <= '2026-01-01T01:00+01:00'", "t"),
        ("t > '2026-01-01T00:00:00.000001Z'", "t < '2026-01-01T00:00:00.000002Z'", ""),
        ("d = 0.1", "d = 0.10", ""),
        ("f > 1e398", "f < 1e399", ""),
        ("i = 1 and s = 'a'", "i = 2 and s = 'b'", "is"),
        ("i = 1 and s = 'a'", "i = 1 and s = 'b'", "s"),
        ("i > 5 and i < 6", "i = 1", ""),
        ("i = 1 and i = 2", "i = 3", ""),
        ("i > 0", "j < 0", ""),
        ("i = j", "i != j", ""),
        ("not (i < 5 or s = 'x')", "i < 5", "i"),
        ("i = 1 or i = 2", "i = 3", "i"),
        ("i = 1 or s = 'x'", "i = 3", ""),
        ("i = 1", "i = 3 or s = 'x'", ""),
    ],
)
def test_a_scope_excludes_what_it_shares_no_value_with(asked: str, scope: str, columns: str) -> None:
    expected = {"day"} if columns == "day" else set(columns)
    assert excludes(_typed(asked), _typed(scope)) == expected


ONE = {name: kind for name, kind in TYPES.items() if name in ("int8", "double", "d4_2", "text", "flag", "day")}
ROWS = st.fixed_dictionaries({name: st.sampled_from([None, *COLUMNS[name][2]]) for name in ONE})


@settings(max_examples=200, deadline=None)
@given(asked=filters(ONE), scope=filters(ONE), rows=st.lists(ROWS, min_size=5, max_size=5))
def test_nothing_is_called_excluded_that_both_let_through(
    asked: Filter, scope: Filter, rows: list[dict[str, object]]
) -> None:
    asked, scope = typed(asked, ONE), typed(scope, ONE)
    if any(evaluate(asked, row) and evaluate(scope, row) for row in rows):
        assert not excludes(asked, scope)


def _pairs(name: str) -> st.SearchStrategy[tuple[str, Filter, Filter]]:
    each = filters({name: ONE[name]}, max_leaves=3)
    return st.tuples(st.just(name), each, each)


@settings(max_examples=300, deadline=None)
@given(pair=st.one_of(map(_pairs, ONE)))
def test_on_one_column_excluded_means_that_no_value_at_an_edge_passes_both(pair: tuple[str, Filter, Filter]) -> None:
    name, *both = pair
    asked, scope = (typed(filter, ONE) for filter in both)
    values = [None, *INTEGERS] if name == "int8" else [None, *COLUMNS[name][2]]
    met = [value for value in values if evaluate(asked, {name: value}) and evaluate(scope, {name: value})]
    assert not (met and excludes(asked, scope))
