"""Rows at the edges of every column type that a store may have, and filters that lean on those edges."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import inf, nan, nextafter
from random import Random

import pyarrow as pa
from hypothesis import strategies as st

from policy.rows import (
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
from policy.values import ColumnType

POWERS = (7, 8, 15, 16, 31, 32, 53, 63, 64)
INTEGERS = sorted(
    {sign * 2**power + near for power in POWERS for sign in (1, -1) for near in (-1, 0, 1)} | {0, 1, -1, 5}
)
FLOATS = [
    *(0.0, -0.0, 0.1, -0.1, 0.5, 2.5, 5.0, -5.0, 1e300, -1e300, inf, -inf, nan, 5e-324, -5e-324),
    *(float(2**53), float(2**53 + 2), float(2**63), float(2**64), nextafter(inf, 0), -nextafter(inf, 0)),
]
TEXTS = [
    *("", "a", "A", "ab", "b", "'", "''", '"', "%", "_", "a%", "a_b", "\\", "a\\", "\\%", "a\\_b", "$1", "--", ";"),
    *(
        "é",
        "e\u0301",
        "😀",
        "a😀b",
        "\ufeff",
        "\uffff",
        "ß",
        "ﬀ",
        "İ",
        "\n",
        "\t",
        " ",
        "null",
        "a\u200db",
        "\x7f",
        "日本",
    ),
]
TIMES = [
    *(datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 1, 12, 30, 15, 123456, tzinfo=UTC)),
    *(datetime(1970, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    *(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    *(datetime(1677, 9, 21, tzinfo=UTC), datetime(2262, 4, 12, tzinfo=UTC), datetime(2262, 4, 11, tzinfo=UTC)),
]
DATES = [time.date() for time in TIMES]


def nines(sign: int, digits: int, scale: int) -> Decimal:
    """The greatest number of so many digits, or the least (`sign` 1); exact, which arithmetic on decimals is not."""
    return Decimal((sign, (9,) * digits, -scale))


DECIMALS = [
    *map(Decimal, ("0", "0.5", "-0.5", "0.05", "0.005", "1", "-1", "12.34", "-12.34", "99.99", "1e-38", "-1e-38", "5")),
    *(nines(sign, 38, scale) for sign in (0, 1) for scale in (0, 2, 19, 38)),
    *(nines(0, 18, 18), nines(1, 18, 18), nines(1, 4, 2), Decimal("1e37")),
]


def _whole(unit: int) -> list[datetime]:
    return [time.replace(microsecond=time.microsecond // unit * unit) for time in TIMES]


def _near(time: datetime) -> bool:
    return datetime(1677, 9, 22, tzinfo=UTC) <= time <= datetime(2262, 4, 11, tzinfo=UTC)


def _naive(times: list[datetime]) -> list[datetime]:
    return [time.replace(tzinfo=None) for time in times]


def _decimals(precision: int, scale: int) -> list[Decimal]:
    room = Decimal(10) ** (precision - scale)
    return [value for value in DECIMALS if value.copy_abs() < room and -int(value.as_tuple().exponent) <= scale]


def _ints(type: pa.DataType) -> list[int]:
    low, high = (0, 2**type.bit_width) if pa.types.is_unsigned_integer(type) else _signed(type)
    return [value for value in INTEGERS if low <= value < high]


def _signed(type: pa.DataType) -> tuple[int, int]:
    return -(2 ** (type.bit_width - 1)), 2 ** (type.bit_width - 1)


WHOLE = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
SCALES = ((4, 2), (9, 0), (10, 2), (18, 18), (38, 0), (38, 19), (38, 38))
TIME_TYPES: Mapping[str, tuple[pa.DataType, list[datetime]]] = {
    "micros": (pa.timestamp("us"), _naive(TIMES)),
    "zoned": (pa.timestamp("us", "UTC"), TIMES),
    "nanos": (pa.timestamp("ns"), _naive([time for time in TIMES if _near(time)])),
    "millis": (pa.timestamp("ms"), _naive(_whole(1000))),
    "seconds": (pa.timestamp("s"), _naive(_whole(1_000_000))),
}
COLUMNS: Mapping[str, tuple[ColumnType, pa.DataType, list[object]]] = {
    **{str(type): (ColumnType.INTEGER, type, list(_ints(type))) for type in WHOLE},
    "half": (ColumnType.FLOAT, pa.float32(), list(FLOATS)),
    "double": (ColumnType.FLOAT, pa.float64(), list(FLOATS)),
    **{f"d{p}_{s}": (ColumnType.DECIMAL, pa.decimal128(p, s), list(_decimals(p, s))) for p, s in SCALES},
    "text": (ColumnType.TEXT, pa.string(), list(TEXTS)),
    'and "odd" ü.%': (ColumnType.TEXT, pa.string(), list(TEXTS)),
    "flag": (ColumnType.BOOLEAN, pa.bool_(), [True, False]),
    "day": (ColumnType.DATE, pa.date32(), list(DATES)),
    **{name: (ColumnType.TIMESTAMP, type, list(values)) for name, (type, values) in TIME_TYPES.items()},
}
TYPES = {name: type for name, (type, _, _) in COLUMNS.items()}


def sample_table(rows: int, seed: int) -> pa.Table:
    """Rows numbered `n`, with an edge or NULL, chosen at random, in each column of `COLUMNS`."""
    random = Random(seed)
    return _table(
        {name: [random.choice([None, *edges]) for _ in range(rows)] for name, (_, _, edges) in COLUMNS.items()}
    )


def edge_table() -> pa.Table:
    """Every edge of every column once in its order, then NULL: what stands close together differs little."""
    rows = max(len(edges) for _, _, edges in COLUMNS.values())
    return _table({name: edges + [None] * (rows - len(edges)) for name, (_, _, edges) in COLUMNS.items()})


def _table(values: Mapping[str, list[object]]) -> pa.Table:
    arrays = {name: pa.array(values[name], type) for name, (_, type, _) in COLUMNS.items()}
    return pa.table({**arrays, "n": range(len(next(iter(arrays.values()))))})


def _times(time: datetime, hours: int) -> str:
    try:
        return (time - timedelta(hours=hours)).isoformat()[:-6] + f"{-hours:+03}:00"
    except OverflowError:
        return time.isoformat()


NUMBERS = st.one_of(
    st.sampled_from(INTEGERS),
    st.sampled_from([Decimal(repr(value)) for value in FLOATS if value not in (inf, -inf) and value == value]),
    st.sampled_from(DECIMALS),
    st.sampled_from([10**30, -(10**30), 10**38, 10**399, Decimal("1e399"), Decimal("-1e399"), Decimal("1e-399")]),
    st.integers(),
    st.integers(-(10**20), 10**20).map(lambda value: Decimal(value).scaleb(-3)),
)
PLAIN_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5)
PATTERNS = st.text(st.sampled_from("ab%_\\'é😀\u0301"), max_size=6)
RAW: Mapping[ColumnType, st.SearchStrategy[object]] = {
    ColumnType.INTEGER: NUMBERS,
    ColumnType.FLOAT: NUMBERS,
    ColumnType.DECIMAL: NUMBERS,
    ColumnType.TEXT: st.sampled_from(TEXTS) | PLAIN_TEXT,
    ColumnType.BOOLEAN: st.booleans(),
    ColumnType.DATE: st.sampled_from(DATES).map(date.isoformat),
    ColumnType.TIMESTAMP: st.builds(_times, st.sampled_from(TIMES), st.integers(-14, 14))
    | st.sampled_from(["2026-06-01", "2026-06-01 12:30", "2262-04-11T00:00:00Z", "1677-09-22T00:00:00Z"]),
}


def leaves(types: Mapping[str, ColumnType]) -> st.SearchStrategy[Filter]:
    """One test of one column, or of two columns of a type; literals as they are parsed, not yet typed."""
    return st.one_of([_leaf(name, types) for name in sorted(types)])


def _leaf(name: str, types: Mapping[str, ColumnType]) -> st.SearchStrategy[Filter]:
    column, literal = ColumnRef(name), RAW[types[name]].map(Literal)
    alike = st.sampled_from([ColumnRef(other) for other in sorted(types) if types[other] is types[name]])
    kinds: list[st.SearchStrategy[Filter]] = [
        st.builds(Comparison, st.just(column), st.sampled_from(Operator), literal),
        st.builds(Comparison, st.just(column), st.sampled_from(Operator), literal),
        st.builds(Comparison, st.just(column), st.sampled_from(Operator), alike),
        st.builds(Between, st.just(column), literal, literal),
        st.builds(In, st.just(column), st.lists(literal, min_size=1, max_size=8).map(tuple)),
        st.just(IsNull(column)),
    ]
    if types[name] is ColumnType.TEXT:
        kinds.append(st.builds(Like, st.just(column), (PATTERNS | PLAIN_TEXT).map(Literal)))
    return st.one_of(kinds)


def filters(types: Mapping[str, ColumnType], max_leaves: int = 6) -> st.SearchStrategy[Filter]:
    """Filters over columns of these types, nested by `not`, `and` and `or`."""

    def nested(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
        several = st.lists(inner, min_size=2, max_size=4)
        return inner.map(Not) | several.map(lambda parts: all_of(*parts)) | several.map(lambda parts: any_of(*parts))

    return st.recursive(leaves(types), nested, max_leaves=max_leaves)
