"""Treatments: what `coarse`, `pseudonym` and `hidden` give out, and what they must never give out."""

import base64
import hashlib
import hmac
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading import KEYS, Shelf

from authz.errors import StoreFailed
from authz.treatments import Pseudonyms, canonical
from policy.values import Treatment

SAME_FOLDER = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    yield made
    made.reader.close()


def coarse(shelf: Shelf, values: pa.Array, setting: float | str) -> list[object]:
    shelf.put({"v": values})
    read = shelf.read({"v": Treatment.COARSE}, dataset=shelf.dataset({"v": setting}))
    assert read.schema == shelf.read(["v"]).schema
    return read["v"].to_pylist()


def pseudonyms(shelf: Shelf, values: object, grant: str = "g-1") -> list[str | None]:
    shelf.put({"v": values})
    return shelf.read({"v": Treatment.PSEUDONYM}, grant=grant)["v"].to_pylist()


# Pseudonyms.


def test_a_pseudonym_is_what_the_design_says(shelf: Shelf) -> None:
    digest = hmac.digest(KEYS.of_grant("g-1"), b"user.v\0" + "änne".encode(), hashlib.sha256)
    expected = base64.b32encode(digest[:16]).decode().rstrip("=")
    assert pseudonyms(shelf, ["änne"]) == [expected]
    assert len(expected) == 26


def test_equal_values_join_within_a_grant_and_never_across_grants_or_classes(shelf: Shelf) -> None:
    first, second = pseudonyms(shelf, ["a", "b", "a"]), pseudonyms(shelf, ["a", "b", "a"], grant="g-2")
    assert first[0] == first[2] != first[1]
    assert not {*first} & {*second}
    key = KEYS.of_grant("g-1")
    assert Pseudonyms(key, "user.a").of(pa.array(["x"])) != Pseudonyms(key, "user.b").of(pa.array(["x"]))


def test_null_stays_null_and_the_empty_text_is_a_value(shelf: Shelf) -> None:
    none, empty, text = pseudonyms(shelf, [None, "", "a"])
    assert none is None
    assert empty is not None
    assert empty != text


def test_a_column_of_nothing_but_null_stays_null(shelf: Shelf) -> None:
    assert pseudonyms(shelf, pa.array([None, None], pa.string())) == [None, None]


def test_the_same_number_joins_whatever_type_a_store_keeps_it_in(shelf: Shelf) -> None:
    stored = [
        pa.array([17], pa.int8()),
        pa.array([17], pa.uint64()),
        pa.array([17.0], pa.float32()),
        pa.array([17.0]),
        pa.array(["17.000"]).cast(pa.decimal128(9, 3)),
        pa.array(["17"]),
    ]
    assert len({pseudonyms(shelf, column)[0] for column in stored}) == 1


def test_a_pseudonym_is_utf8_also_of_numbers(shelf: Shelf) -> None:
    shelf.put({"v": [1, 2]})
    assert shelf.read({"v": Treatment.PSEUDONYM}).schema.field("v").type == pa.string()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-5, "-5"),
        (2**64 - 1, "18446744073709551615"),
        (1.5, "1.5"),
        (-0.0, "0"),
        (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"),
        (100.0, "100"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (Decimal("1.50"), "1.5"),
        (Decimal("-0.00"), "0"),
        (Decimal("1E+3"), "1000"),
        (True, "true"),
        (False, "false"),
        (date(2026, 11, 1), "2026-11-01"),
        (b"\x00\xff", "00ff"),
        (" A ", " A "),
    ],
)
def test_each_value_has_one_canonical_text(value: object, text: str) -> None:
    assert canonical(value) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([True, False, None, True]),
        pa.array([1.5, -0.0, None, 1.5]),
        pa.array([math.nan, 0.0, None, math.nan], pa.float32()),
        pa.array([date(2026, 1, 1), date(2026, 1, 2), None, date(2026, 1, 1)]),
        pa.array(["1.5", "2", None, "1.50"]).cast(pa.decimal128(38, 2)),
        pa.array([b"a", b"b", None, b"a"]),
        pa.array([2**64 - 1, 0, None, 2**64 - 1], pa.uint64()),
    ],
    ids=lambda values: str(values.type),
)
def test_every_type_that_can_name_somebody_gets_pseudonyms_that_join(shelf: Shelf, values: pa.Array) -> None:
    first, second, none, last = pseudonyms(shelf, values)
    assert first == last != second
    assert none is None


@pytest.mark.parametrize("values", [[[1]], [{"a": 1}], [datetime(2026, 1, 1, tzinfo=UTC)]])
def test_a_type_that_names_nobody_gets_no_pseudonym_and_no_row_leaves(shelf: Shelf, values: list[object]) -> None:
    with pytest.raises(StoreFailed, match="pseudonym"):
        pseudonyms(shelf, values)


def test_many_different_values_are_each_right_though_not_all_are_remembered(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authz.treatments.REMEMBERED", 1_000)
    made = pseudonyms(shelf, [str(n % 45_000) for n in range(70_000)])
    assert len(set(made)) == 45_000
    assert made[:25_000] == made[45_000:]


def test_true_and_one_are_two_people() -> None:
    assert canonical(True) != canonical(1)


# Coarse.


def test_numbers_fall_to_the_start_of_their_bin(shelf: Shelf) -> None:
    assert coarse(shelf, pa.array([0, 99, 100, -1, -100, -101, None]), 100) == [0, 0, 100, -100, -100, -200, None]


def test_floats_fall_to_the_start_of_their_bin_and_nan_and_infinity_stay(shelf: Shelf) -> None:
    values = pa.array([0.0, 0.49, 0.5, -0.1, None, math.nan, math.inf, -math.inf])
    assert str(coarse(shelf, values, 0.5)) == "[0.0, 0.0, 0.5, -0.5, None, nan, inf, -inf]"


@pytest.mark.parametrize("type_", [pa.int8(), pa.int16(), pa.int32(), pa.int64()])
def test_below_the_first_whole_bin_of_a_type_lies_its_least_value(shelf: Shelf, type_: pa.DataType) -> None:
    bits = type_.bit_width
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    first = -(-least // 100) * 100
    values = pa.array([least, first - 1, first, -1, most], type_)
    assert coarse(shelf, values, 100) == [least, least, first, -100, most - most % 100]


def test_bins_wider_than_a_type_take_everything_away(shelf: Shelf) -> None:
    assert coarse(shelf, pa.array([0, 127, -1, -128], pa.int8()), 1000) == [0, 0, -128, -128]
    assert coarse(shelf, pa.array([0, 255], pa.uint8()), 1000) == [0, 0]


def test_unsigned_numbers_have_bins_up_to_their_greatest(shelf: Shelf) -> None:
    assert coarse(shelf, pa.array([2**64 - 1, 0], pa.uint64()), 1000) == [(2**64 - 1) // 1000 * 1000, 0]


def test_decimals_fall_exactly(shelf: Shelf) -> None:
    values = pa.array(["12.34", "-0.01", "9999999.99", "-9999999.99", None]).cast(pa.decimal128(9, 2))
    expected = [*map(Decimal, ("12.25", "-0.25", "9999999.75", "-9999999.99")), None]
    assert coarse(shelf, values, 0.25) == expected


def test_decimals_of_38_digits_do_not_overflow(shelf: Shelf) -> None:
    most = "9" * 38
    values = pa.array([most, f"-{most}"]).cast(pa.decimal128(38, 0))
    assert coarse(shelf, values, 100) == [Decimal("9" * 36 + "00"), Decimal(f"-{most}")]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("hour", "2026-11-21 08:00:00"), ("day", "2026-11-21 00:00:00"), ("month", "2026-11-01 00:00:00")],
)
@pytest.mark.parametrize("type_", [pa.timestamp("us"), pa.timestamp("ms"), pa.timestamp("us", tz="UTC")])
def test_times_fall_to_their_hour_day_or_month_in_utc(
    shelf: Shelf, type_: pa.DataType, setting: str, expected: str
) -> None:
    values = pa.array([datetime(2026, 11, 21, 8, 38, 41, 123000, tzinfo=UTC), None], pa.timestamp("us", tz="UTC"))
    fallen, none = coarse(shelf, values.cast(type_), setting)
    assert str(fallen)[:19] == expected
    assert none is None


def test_times_at_the_edges_of_their_type_fail_no_read(shelf: Shelf) -> None:
    for unit in ("us", "ns"):
        for setting in ("hour", "day", "month"):
            values = pa.array([-(2**63) + 2, 2**63 - 2, 0], pa.int64()).cast(pa.timestamp(unit))
            shelf.put({"v": values})
            read = shelf.read({"v": Treatment.COARSE}, dataset=shelf.dataset({"v": setting}))
            assert read.num_rows == 3


def test_dates_fall_to_their_month(shelf: Shelf) -> None:
    assert coarse(shelf, pa.array([date(2026, 11, 21), None]), "month") == [date(2026, 11, 1), None]


def test_texts_keep_their_first_characters(shelf: Shelf) -> None:
    assert coarse(shelf, pa.array(["naïve", "𝔘b", "", None]), 3) == ["naï", "𝔘b", "", None]


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        (["abc"], "day"),
        ([1], 2.5),
        ([True], 2),
        ([[1]], 2),
        ([1.5], -1),
        ([1.5], 0),
        ([1], True),
        ([1.5], math.nan),
    ],
)
def test_a_setting_that_fits_no_value_hides_the_column(shelf: Shelf, values: list[object], setting: object) -> None:
    assert coarse(shelf, pa.array(values), setting) == [None]  # type: ignore[arg-type]


def test_without_a_setting_coarse_is_hidden(shelf: Shelf) -> None:
    shelf.put({"v": [1, 2]})
    assert shelf.read({"v": Treatment.COARSE})["v"].to_pylist() == [None, None]


@SAME_FOLDER
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.integers(2, 2**53))
def test_no_bin_tells_more_than_its_width(shelf: Shelf, values: list[int], width: int) -> None:
    for value, fallen in zip(values, coarse(shelf, pa.array(values, pa.int64()), width), strict=True):
        assert fallen == max(value // width * width, -(2**63))


@SAME_FOLDER
@given(st.lists(st.floats(), min_size=1), st.floats(1e-3, 1e9))
def test_floored_floats_are_what_python_floors(shelf: Shelf, values: list[float], width: float) -> None:
    for value, fallen in zip(values, coarse(shelf, pa.array(values, pa.float64()), width), strict=True):
        quotient = value / width if math.isfinite(value) else value
        expected = math.floor(quotient) * width if math.isfinite(quotient) else quotient
        assert fallen == expected or (math.isnan(expected) and math.isnan(fallen))  # type: ignore[arg-type]
