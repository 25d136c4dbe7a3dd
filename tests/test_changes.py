"""What is left of a column once rows that are like the row before are left out."""

from decimal import Decimal

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from authz.changes import FEW, Changes
from authz.treatments import canonical

COLUMNS = st.sampled_from(
    (
        (pa.string(), ("", "e1", "E1", "\x00", "é", None)),
        (pa.int64(), (0, -1, 2**62, None)),
        (pa.float64(), (0.0, -0.0, float("inf"), None)),
        (pa.decimal128(9, 2), (Decimal("1.00"), Decimal("-1.00"), None)),
        (pa.bool_(), (True, False, None)),
        (pa.binary(), (b"", b"\x00", None)),
    )
)


@given(COLUMNS, st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40)), max_size=12), st.integers(0, 3))
def test_everybody_stays_in_the_order_of_their_first_rows(
    of: tuple[pa.DataType, tuple[object, ...]], runs: list[tuple[int, int]], cut: int
) -> None:
    type_, values = of
    rows = [values[which % len(values)] for which, length in runs for _ in range(length)]
    column = pa.array(rows, type_).slice(cut)
    assert people(Changes().of(column)) == people(column)


def people(column: pa.Array) -> list[str]:
    """Whom a column names: 0.0 and -0.0 are one person."""
    return list(dict.fromkeys(canonical(value) for value in column.drop_null().to_pylist()))


def test_of_rows_that_are_grouped_few_are_left_and_mixed_ones_are_left_as_they_are() -> None:
    changes = Changes()
    assert len(changes.of(pa.array(["a"] * 1000 + ["b"] * 1000))) == 2
    mixed = pa.array(["a", "b"] * 1000)
    assert changes.of(mixed) is mixed
    assert len(changes.of(pa.array(["a"] * FEW * 10))) == FEW * 10
