"""Columns as text, whole columns at a time: as JSON, and as what both JSON and CSV are made of.

Every function here takes an array and gives one of `TEXT` with as many values.
"""

from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

TEXT = pa.large_string()
"""Its offsets have 64 bits, so that no text is too long for it."""

EXACT = 2**53 - 1
"""Beyond it on either side JSON readers that know only doubles round silently (RFC 7493 §2.2)."""

_UNSAFE = r"[\x00-\x1f\x{85}\x{2028}\x{2029}]"
"""Control characters, which JSON wants escaped; and what Python and others also take for the end of a line."""
_COMMON = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_RARE = {chr(code): f"\\u{code:04x}" for code in (*range(0x20), 0x85, 0x2028, 0x2029)}

_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_Form = Callable[[pa.Array], pa.Array]


class NoText(Exception):
    """Values of this type have no text."""


def joined(*parts: pa.Array | str) -> pa.Array:
    """The parts, value by value, one behind the other; NULL where any part is. At least one is an array."""
    texts = [pa.scalar(part, TEXT) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*texts, pa.scalar("", TEXT), null_handling="emit_null")


def plain(column: pa.Array) -> pa.Array:
    """Each value as text without quotes, NULL where it was. Raises `NoText`.

    Times are ISO 8601: those with a zone are UTC and end in `Z`, those without end in neither. Bytes are hexadecimal,
    floats that are not finite `NaN`, `Infinity` and `-Infinity`; lists, maps and structs are JSON.
    """
    column = unwrapped(column)
    return _form(column.type)(column)


def json(column: pa.Array) -> pa.Array:
    """Each value as JSON (RFC 8259), on one line; never NULL but `null`. Raises `NoText`.

    Whole numbers that a double cannot hold are strings, and so are decimals and floats that are not finite. A map is
    a list of objects with `key` and `value`, as keys may be of any type.
    """
    column = unwrapped(column)
    text = plain(column)
    type = column.type
    if pa.types.is_integer(type):
        text = _quoted_where(_is_beyond_exact(column), text)
    elif pa.types.is_floating(type):
        text = _quoted_where(pc.invert(pc.is_finite(column)), text)
    elif any(is_text(type) for is_text in _TEXTS):
        text = _quoted(text)
    elif not (pa.types.is_boolean(type) or pa.types.is_nested(type)):
        text = joined('"', text, '"')
    return pc.fill_null(text, "null")


def unwrapped(column: pa.Array) -> pa.Array:
    """The values themselves, where the type is only a way to keep or to name them."""
    if isinstance(column, pa.ExtensionArray):
        return unwrapped(column.storage)
    if pa.types.is_dictionary(column.type):
        return unwrapped(column.dictionary_decode())
    if pa.types.is_run_end_encoded(column.type):
        return unwrapped(pc.run_end_decode(column))
    return column


def extent(column: pa.Array) -> tuple[int, int]:
    """Where in its data the bytes of a column with 64-bit offsets begin and end."""
    if len(column) == 0:
        return 0, 0
    places = _places(column)
    return places[0].as_py(), places[-1].as_py()


def objects(names: list[str], columns: list[pa.Array], end: str = "") -> pa.Array:
    """One JSON object for each row of the columns, of which there is at least one, and `end` behind it."""
    parts: list[pa.Array | str] = []
    for before, name, column in zip(["{", *[","] * len(names)], _names(names), columns, strict=False):
        parts += [f"{before}{name}:", json(column)]
    return joined(*parts, "}" + end)


def _names(names: list[str]) -> Iterator[str]:
    yield from json(pa.array(names, TEXT)).to_pylist()


def _places(column: pa.Array) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(column) + 1, [None, column.buffers()[1]], offset=column.offset)


def _form(type: pa.DataType) -> _Form:
    for fits, form in _FORMS:
        if fits(type):
            return form
    raise NoText(str(type))


def _cast(column: pa.Array) -> pa.Array:
    return column.cast(TEXT)


def _float(column: pa.Array) -> pa.Array:
    text = column.cast(TEXT)
    zero = pc.equal(text, "-0")
    if pc.any(zero, min_count=0).as_py():  # most readers of JSON take `-0` for an integer, which has no sign
        text = pc.if_else(zero, pa.scalar("-0.0", TEXT), text)
    if pc.all(pc.is_finite(column), min_count=0).as_py():
        return text
    text = pc.replace_substring(text, "inf", "Infinity")
    return pc.replace_substring(text, "nan", "NaN")


def _timestamp(column: pa.Array) -> pa.Array:
    # without its zone a timestamp is its time in UTC
    text = column.cast(pa.timestamp(column.type.unit)).cast(TEXT)
    text = pc.replace_substring_regex(text, r"^([-0-9]+) ", r"\1T")
    return text if column.type.tz is None else joined(text, "Z")


def _hex(column: pa.Array) -> pa.Array:
    column = column.cast(pa.large_binary())
    first, last = extent(column)
    if first == last:
        return column.cast(TEXT)
    digits = column.buffers()[2].slice(first, last - first).hex().lower()
    doubled = pc.multiply(pc.subtract(_places(column), first), 2)
    text = pa.LargeStringArray.from_buffers(len(column), doubled.buffers()[1], pa.py_buffer(digits))
    return _where(column, text)


def _duration(column: pa.Array) -> pa.Array:
    digits = _DIGITS[column.type.unit]
    found = column.cast(pa.int64()).to_pylist()
    return pa.array([None if each is None else f"PT{_point(each, digits)}S" for each in found], TEXT)


def _interval(column: pa.Array) -> pa.Array:
    found = column.to_pylist()
    texts = [each and f"P{each.months}M{each.days}DT{_point(each.nanoseconds, 9)}S" for each in found]
    return pa.array(texts, TEXT)


def _point(number: int, digits: int) -> str:
    """The number divided by a power of ten, exactly."""
    whole, rest = divmod(abs(number), 10**digits)
    return f"{'-' if number < 0 else ''}{whole}" + (f".{rest:0{digits}}" if rest else "")


def _map(column: pa.Array) -> pa.Array:
    pairs = pa.struct([column.type.key_field.with_name("key"), column.type.item_field.with_name("value")])
    return _list(column.cast(pa.list_(pairs)))


def _list(column: pa.Array) -> pa.Array:
    # `flatten` gives the values of lists that are not NULL only, in the order of the lists
    lengths = pc.fill_null(pc.list_value_length(column), 0).cast(pa.int32())
    ends = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    texts = pa.ListArray.from_arrays(ends, json(column.flatten()).cast(pa.string()))
    return _where(column, joined("[", pc.binary_join(texts, ",").cast(TEXT), "]"))


def _struct(column: pa.Array) -> pa.Array:
    names = [field.name for field in column.type]
    text = objects(names, column.flatten()) if names else pa.array(["{}"] * len(column), TEXT)
    return _where(column, text)


def _where(column: pa.Array, text: pa.Array) -> pa.Array:
    """The text where the column has a value, NULL elsewhere."""
    return pc.if_else(column.is_valid(), text, pa.scalar(None, TEXT))


def _quoted_where(needed: pa.Array, text: pa.Array) -> pa.Array:
    if not pc.any(needed, min_count=0).as_py():
        return text
    return pc.if_else(needed, joined('"', text, '"'), text)


def _is_beyond_exact(column: pa.Array) -> pa.Array:
    type = column.type
    if type.bit_width < 64:
        return pa.array([], pa.bool_())
    least = -EXACT if pa.types.is_signed_integer(type) else 0
    return pc.or_(pc.less(column, pa.scalar(least, type)), pc.greater(column, pa.scalar(EXACT, type)))


def _quoted(text: pa.Array) -> pa.Array:
    text = _replaced(text, _COMMON)
    if pc.any(pc.match_substring_regex(text, _UNSAFE), min_count=0).as_py():
        text = _replaced(text, _RARE)
    return joined('"', text, '"')


def _replaced(text: pa.Array, replacements: Mapping[str, str]) -> pa.Array:
    for each, by in replacements.items():
        text = pc.replace_substring(text, each, by)
    return text


_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_FORMS: tuple[tuple[Callable[[pa.DataType], bool], _Form], ...] = (
    (pa.types.is_null, _cast),
    (pa.types.is_boolean, _cast),
    (pa.types.is_integer, _cast),
    (pa.types.is_decimal, _cast),
    *((is_text, _cast) for is_text in _TEXTS),
    (pa.types.is_date, _cast),
    (pa.types.is_time, _cast),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_floating, _float),
    (pa.types.is_duration, _duration),
    (pa.types.is_interval, _interval),
    (pa.types.is_binary, _hex),
    (pa.types.is_large_binary, _hex),
    (pa.types.is_binary_view, _hex),
    (pa.types.is_fixed_size_binary, _hex),
    (pa.types.is_map, _map),
    (pa.types.is_list, _list),
    (pa.types.is_large_list, _list),
    (pa.types.is_fixed_size_list, _list),
    (pa.types.is_list_view, _list),
    (pa.types.is_large_list_view, _list),
    (pa.types.is_struct, _struct),
)
