"""The SQL of a filter says of every row what `evaluate` says: real DuckDB, values bound as the store binds them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from math import inf, nan
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from row_samples import COLUMNS, INTEGERS, TYPES, edge_table, filters, leaves, nines, sample_table
from sqlglot import exp

from authz.filter_sql import Parameter, bound_row, where
from authz.stores import bound
from policy.errors import BadRows, UnknownColumn
from policy.rows import ColumnRef, Filter, In, Literal, Not, evaluate, parse, render, typed
from policy.values import ColumnType

Row = dict[str, object]


@dataclass(frozen=True)
class Store:
    """A DuckDB with random rows as table `sample`, and a file of small row groups, which statistics may skip."""

    connection: duckdb.DuckDBPyConnection
    rows: list[Row]
    edges: Path
    edge_rows: list[Row]

    def fetch(self, sql: str, parameters: Sequence[Parameter] = ()) -> dict[str, list[object]]:
        values = bound(bound_row(parameters) if parameters else None)
        return self.connection.sql(sql, params=values).to_arrow_table().to_pydict()

    def truths(self, filter: Filter) -> list[object]:
        parameters: list[Parameter] = []
        condition = where(filter, TYPES, parameters).sql(dialect="duckdb")
        return self.fetch(f"SELECT {condition} AS truth FROM sample ORDER BY n", parameters)["truth"]

    def passing_edges(self, filter: Filter) -> list[object]:
        parameters: list[Parameter] = []
        condition = where(filter, TYPES, parameters).sql(dialect="duckdb")
        return self.fetch(f"SELECT n FROM '{self.edges}' WHERE {condition} ORDER BY n", parameters)["n"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    rows, edges = sample_table(rows=80, seed=7), edge_table()
    path = tmp_path_factory.mktemp("rows") / "edges.parquet"
    pq.write_table(edges, path, row_group_size=4, use_dictionary=False)
    with duckdb.connect(":memory:") as connection:
        connection.from_arrow(rows).create("sample")
        connection.execute("SET TimeZone = 'UTC'")
        yield Store(connection, rows.to_pylist(), path, edges.to_pylist())


def _agree(store: Store, filter: Filter) -> None:
    filter = typed(parse(render(filter)), TYPES)
    assert store.truths(filter) == [evaluate(filter, row) for row in store.rows], render(filter)
    passing = [row["n"] for row in store.edge_rows if evaluate(filter, row)]
    assert store.passing_edges(filter) == passing, render(filter)


@settings(max_examples=1200, deadline=None)
@given(filter=leaves(TYPES))
def test_one_test_of_one_column_means_the_same_in_sql(store: Store, filter: Filter) -> None:
    _agree(store, filter)


@settings(max_examples=300, deadline=None)
@given(filter=filters(TYPES))
def test_nested_filters_mean_the_same_in_sql_through_three_valued_logic(store: Store, filter: Filter) -> None:
    _agree(store, filter)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_long_list_means_the_same_in_sql(store: Store, name: str) -> None:
    edges = [value for value in COLUMNS[name][2] if value not in (inf, -inf) and value == value]
    options = tuple(Literal(_literal(value)) for value in Random(7).choices(edges, k=60))
    if COLUMNS[name][0] is ColumnType.INTEGER:
        options += tuple(Literal(number) for number in range(-300, 600, 2))
    _agree(store, In(ColumnRef(name), options))
    _agree(store, Not(In(ColumnRef(name), options)))


def _literal(value: object) -> Any:
    match value:
        case float():
            return Decimal(repr(value))
        case date():
            return value.isoformat()
    return value


@pytest.mark.parametrize("name", ["int8", "int64", "uint64", "half", "double"])
@pytest.mark.parametrize("operator", ["=", "<"])
def test_integers_of_any_size_compare_mathematically_with_a_column_of_any_width(
    store: Store, name: str, operator: str
) -> None:
    values = (*INTEGERS, 10**19, -(10**19), 10**38, 10**39, 10**399, -(10**399))
    for value in values:
        _agree(store, parse(f'"{name}" {operator} {value}'))


def _truths(store: Store, values: pa.Array, type: ColumnType, text: str) -> list[object]:
    """What a filter on column `x` says of these values."""
    parameters: list[Parameter] = []
    condition = where(parse(text), {"x": type}, parameters).sql(dialect="duckdb")
    file = store.edges.with_name("one.parquet")
    pq.write_table(pa.table({"x": values, "n": range(len(values))}), file)
    truths = store.fetch(f"SELECT {condition} AS truth FROM '{file}' ORDER BY n", parameters)["truth"]
    passing = store.fetch(f"SELECT n FROM '{file}' WHERE {condition} ORDER BY n", parameters)["n"]
    assert passing == [n for n, truth in enumerate(truths) if truth], text
    return truths


def test_two_to_the_53rd_plus_one_is_no_double(store: Store) -> None:
    doubles = pa.array([2.0**53, 2.0**53 + 2, nan, None])
    for text, truths in {
        "x = 9007199254740993": [False, False, False, None],
        "x != 9007199254740993": [True, True, True, None],
        "x < 9007199254740993": [True, False, False, None],
        "x >= 9007199254740993": [False, True, True, None],
        "x in (9007199254740993, 9007199254740994)": [False, True, False, None],
        "not x in (9007199254740993)": [True, True, True, None],
    }.items():
        assert _truths(store, doubles, ColumnType.FLOAT, text) == truths, text


def test_nan_is_greatest_equals_itself_and_minus_zero_equals_zero(store: Store) -> None:
    floats = [nan, inf, -inf, -0.0, 0.0, None]
    zeros = ", ".join(["0", "-0.0", *map(str, range(5, 40))])
    for type in (pa.float32(), pa.float64()):
        values = pa.array(floats, type)
        for text, truths in {
            "x = x": [True, True, True, True, True, None],
            "x > 1e308": [True, True, False, False, False, None],
            "x > 1e399": [True, True, False, False, False, None],
            "x <= 1e308": [False, False, True, True, True, None],
            "x = 0": [False, False, False, True, True, None],
            f"x in ({zeros})": [False, False, False, True, True, None],
            f"x not in ({zeros})": [True, True, True, False, False, None],
        }.items():
            assert _truths(store, values, ColumnType.FLOAT, text) == truths, (type, text)


CONSTANT = {
    pa.string(): ("b", "'b'", "'c'"),
    pa.int64(): (5, "5", "6"),
    pa.float64(): (1.5, "1.5", "2"),
    pa.bool_(): (True, "true", "false"),
    pa.date32(): (date(2026, 6, 1), "'2026-06-01'", "'2026-06-02'"),
    pa.decimal128(9, 2): (Decimal("1.25"), "1.25", "2"),
}
NULL_TESTS = (
    *("x is null", "not x is null", "not (not x is null)", "x is null and n >= 0", "x is null or n < 0"),
    *(
        "x is null or x = {other}",
        "x = {own} or x is null",
        "x = {own}",
        "x != {other}",
        "not x = {other}",
        "x = {other}",
    ),
    *("x in ({own}, {other})", "x not in ({other})", "x = x", "x != x", "not (x is null and x = {own})"),
    *("x is null and x is null", "x is null and (x is null or n < 0)", "not (x = {other}) and x is null"),
)


@pytest.mark.parametrize("type", CONSTANT, ids=str)
@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"use_dictionary": False, "compression": "none"}])
def test_a_row_group_of_one_value_and_nulls_is_taken_for_what_it_is(
    store: Store, type: pa.DataType, options: dict[str, Any]
) -> None:
    """Whatever its statistics make of it: a scope of `x is null` once let rows through that are not."""
    value, own, other = CONSTANT[type]
    column = {"x": TYPE_OF[type], "n": ColumnType.INTEGER}
    for values in ([None, value], [value, None, value], [None] * 3000 + [value] * 5, [value], [None]):
        file = store.edges.with_name("constant.parquet")
        pq.write_table(pa.table({"x": pa.array(values, type), "n": range(len(values))}), file, **options)
        for test in NULL_TESTS:
            text = test.format(own=own, other=other)
            filter = typed(parse(text), column)
            parameters: list[Parameter] = []
            condition = where(filter, column, parameters).sql(dialect="duckdb")
            passing = store.fetch(f"SELECT n FROM '{file}' WHERE {condition} ORDER BY n", parameters)["n"]
            assert passing == [n for n, x in enumerate(values) if evaluate(filter, {"x": x, "n": n})], text


TYPE_OF = {
    pa.string(): ColumnType.TEXT,
    pa.int64(): ColumnType.INTEGER,
    pa.float64(): ColumnType.FLOAT,
    pa.bool_(): ColumnType.BOOLEAN,
    pa.date32(): ColumnType.DATE,
    pa.decimal128(9, 2): ColumnType.DECIMAL,
}
NAN_TESTS = ("= 1", "!= 1", "< 5", "<= 1", "> 5", ">= 1", "> 1e399", "in (1, 2)", "between 0 and 5", "= x", "is null")


@pytest.mark.parametrize("others", [[], [1.0], [1.0, 1.0], [0.0, 3.0], [-0.0], [inf], [-inf], [None], [1.0, None]])
@pytest.mark.parametrize("type", [pa.float32(), pa.float64()], ids=str)
def test_nan_is_seen_where_the_statistics_of_a_file_leave_it_out(
    store: Store, others: list[float | None], type: pa.DataType
) -> None:
    values = [*others, nan, nan]
    for test in NAN_TESTS:
        for text in (f"x {test}", f"not x {test}", f"not (x {test} and x < 9)", f"x {test} or x > 9"):
            filter = typed(parse(text), {"x": ColumnType.FLOAT})
            expected = [evaluate(filter, {"x": value}) for value in values]
            assert _truths(store, pa.array(values, type), ColumnType.FLOAT, text) == expected, (values, text)


@pytest.mark.parametrize("operator", ["=", "!=", "<", "<=", ">", ">="])
def test_nan_is_seen_between_two_columns_whose_statistics_leave_it_out(store: Store, operator: str) -> None:
    pairs = [(1.0, nan), (nan, 2.0), (nan, nan), (1.0, 2.0), (None, nan), (None, None)]
    types = {"x": ColumnType.FLOAT, "y": ColumnType.FLOAT}
    file = store.edges.with_name("two.parquet")
    pq.write_table(pa.table({"x": [x for x, _ in pairs], "y": [y for _, y in pairs], "n": range(len(pairs))}), file)
    for text in (f"x {operator} y", f"not x {operator} y", f"y {operator} x"):
        filter = typed(parse(text), types)
        condition = where(filter, types, []).sql(dialect="duckdb")
        expected = [evaluate(filter, {"x": x, "y": y}) for x, y in pairs]
        assert store.fetch(f"SELECT {condition} AS truth FROM '{file}' ORDER BY n")["truth"] == expected
        passing = store.fetch(f"SELECT n FROM '{file}' WHERE {condition} ORDER BY n")["n"]
        assert passing == [n for n, truth in enumerate(expected) if truth]


@pytest.mark.parametrize(
    ("precision", "scale"), [(38, 0), (38, 1), (38, 19), (38, 37), (38, 38), (18, 18), (4, 2), (1, 0)]
)
def test_no_decimal_makes_a_comparison_fail_or_round(store: Store, precision: int, scale: int) -> None:
    step = Decimal((0, (1,), -scale))
    values = [nines(1, precision, scale), -step, Decimal(0), step, nines(0, precision, scale)]
    literals = [*values, *map(Decimal, ("0.5", "-0.5", "0.05", "1e-38", "1e-39", "-1e-39", "1e37", "1e38", "1e40"))]
    column = pa.array(values, pa.decimal128(precision, scale))
    for literal in literals:
        for operator in ("=", "!=", "<", "<=", ">", ">="):
            text = f"x {operator} {literal}"
            expected = [evaluate(typed(parse(text), {"x": ColumnType.DECIMAL}), {"x": value}) for value in values]
            assert _truths(store, column, ColumnType.DECIMAL, text) == expected, text


PAIRS = (
    *(("d38_0", "d38_38"), ("d38_0", "d18_18"), ("d38_19", "d10_2"), ("uint64", "int64"), ("int8", "uint32")),
    *(("micros", "nanos"), ("zoned", "micros"), ("millis", "nanos"), ("seconds", "zoned"), ("half", "double")),
)


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_two_columns_of_a_kind_compare_exactly_whatever_their_widths(store: Store, pair: tuple[str, str]) -> None:
    for operator in ("=", "!=", "<", "<=", ">", ">="):
        _agree(store, parse(f"{pair[0]} {operator} {pair[1]}"))


def test_times_out_of_the_reach_of_nanoseconds_compare_with_a_column_of_nanoseconds(store: Store) -> None:
    nanos = pa.array([0, 2**63 - 2, -(2**63) + 2, 1_500, None], pa.timestamp("ns"))
    for text, truths in {
        "x < '9999-12-31'": [True, True, True, True, None],
        "x > '0001-01-01T00:00:00Z'": [True, True, True, True, None],
        "x = '9999-12-31'": [False, False, False, False, None],
        "x = '1970-01-01T00:00:00.000001Z'": [False, False, False, False, None],
        "x > '1970-01-01T00:00:00.000001Z'": [False, True, False, True, None],
        "x <= '1970-01-01T00:00:00.000001Z'": [True, False, True, False, None],
    }.items():
        assert _truths(store, nanos, ColumnType.TIMESTAMP, text) == truths, text


def test_like_takes_a_backslash_for_a_backslash_and_an_emoji_for_one_character(store: Store) -> None:
    texts = pa.array(["a\\_b", "a\\xb", "a_b", "a😀b", "ae\u0301b", None])
    for text, truths in {
        "x like 'a\\_b'": [True, True, False, False, False, None],
        "x like 'a_b'": [False, False, True, True, False, None],
        "x like 'a__b'": [True, True, False, False, True, None],
        "x not like '%\\%'": [False, False, True, True, True, None],
    }.items():
        assert _truths(store, texts, ColumnType.TEXT, text) == truths, text


HOSTILE = ["' OR 1=1 --", "'; DROP TABLE sample; --", '"', "\\'", "$1", "%s", "{x}", "\u202e", "*/"]


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("operator", ["=", "like"])
@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
def test_no_text_of_a_literal_reaches_the_sql(hostile: str, operator: str, dialect: str) -> None:
    parameters: list[Parameter] = []
    filter = parse(f"text {operator} '" + hostile.replace("'", "''") + "'")
    sql = where(filter, TYPES, parameters).sql(dialect=dialect)
    assert sql == {"=": '"text" = $1', "like": "\"text\" LIKE $1 ESCAPE ''"}[operator]
    assert parameters == [Parameter(hostile, ColumnType.TEXT)]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_columns_name_reaches_the_sql_only_in_quotes(store: Store, hostile: str) -> None:
    name = '"' + hostile.replace('"', '""') + '"'
    parameters: list[Parameter] = []
    sql = where(parse(f"{name} = 'a'"), {hostile: ColumnType.TEXT}, parameters).sql(dialect="duckdb")
    assert sql == f"{name} = $1"
    assert store.fetch(f"SELECT {sql} AS truth FROM (SELECT 'a' AS {name})", parameters) == {"truth": [True]}


def test_a_column_that_is_not_there_or_of_another_type_never_becomes_sql() -> None:
    with pytest.raises(UnknownColumn):
        where(parse("other = 1"), TYPES, [])
    with pytest.raises(BadRows):
        where(parse("text = 1"), TYPES, [])


def test_placeholders_go_on_counting_after_values_that_are_bound_already() -> None:
    parameters = [Parameter(7, ColumnType.INTEGER)]
    condition = exp.and_(where(parse("text = 'a'"), TYPES, parameters), where(parse("flag = true"), TYPES, parameters))
    assert condition.sql(dialect="duckdb") == '"text" = $2 AND "flag" = $3'
    assert [parameter.value for parameter in parameters] == [7, "a", True]


def test_bound_values_have_the_type_of_their_column() -> None:
    values = (True, 1, 2**64 - 1, 0.5, Decimal("0.5"), "a", datetime(2026, 6, 1), date(2026, 6, 1))  # noqa: DTZ001
    kinds = ["BOOLEAN", "INTEGER", "INTEGER", "FLOAT", "DECIMAL", "TEXT", "TIMESTAMP", "DATE"]
    row = bound_row([Parameter(value, ColumnType[kind]) for value, kind in zip(values, kinds, strict=True)])
    expected = "bool int64 uint64 double decimal128(38, 1) string timestamp[us] date32[day]"
    assert " ".join(map(str, row.schema.types)).replace(",", ",") == expected
    assert row.num_rows == 1


def _deep() -> str:
    text = "text = 'a'"
    for level in range(32):
        text = f"not (d38_19 < {level}.5 or {text})"
    return text


@pytest.mark.parametrize(
    "make",
    [
        _deep,
        lambda: "(" * 64 + " or ".join(f"int32 = {n}" for n in range(1000)) + ")" * 64,
        lambda: f"int64 in ({', '.join(map(str, range(3000)))})",
        lambda: f"text in ({', '.join(repr(str(n)) for n in range(2000))})",
        lambda: f"d10_2 in ({', '.join(map(str, range(300)))})",
    ],
    ids=["deep", "wide", "many integers", "many texts", "many decimals"],
)
def test_the_deepest_and_the_widest_filter_still_runs(store: Store, make: Callable[[], str]) -> None:
    _agree(store, parse(make()))


def test_naive_and_zoned_columns_are_asked_in_utc(store: Store) -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    for type in (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("ns"), pa.timestamp("s")):
        values = pa.array([at if type.tz else at.replace(tzinfo=None)], type)
        assert _truths(store, values, ColumnType.TIMESTAMP, "x = '2026-06-01T02:00+02:00'") == [True], type
