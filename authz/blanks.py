"""Leaves nothing beneath NULLs nor behind the last row: a store may keep anything there, and a format may send it.

DuckDB fills the slot of a NULL with what its vector held before, which may be another row's value that the reader must
not see, or a pointer of this process. So it is with the bits that are left of a bitmap's last byte. Arrow sends all
of them as they are.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def blanked(column: pa.Array) -> pa.Array:
    """The same values, with zeros in every slot that is NULL and in bits of no row, also in nested ones."""
    if isinstance(column, pa.ExtensionArray):
        return pa.ExtensionArray.from_storage(column.type, blanked(column.storage))
    for fits, make in _NESTED:
        if fits(column.type):
            return make(column)
    if pa.types.is_nested(column.type):
        return pa.array(column.to_pylist(), column.type)
    if pa.types.is_boolean(column.type):
        return _boolean(column)
    if column.null_count == 0 or pa.types.is_null(column.type):
        return column
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(blanked(column.indices), column.dictionary, ordered=column.type.ordered)
    return _zeroed(column) if _has_slots(column.type) else _cleanly_marked(column)


def _has_slots(type_: pa.DataType) -> bool:
    """Whether each value has a slot of its own; a text that is NULL has no bytes at all."""
    try:
        return bool(type_.bit_width)
    except ValueError:
        return False


def _zeroed(column: pa.Array) -> pa.Array:
    column = pa.concat_arrays([column])  # its buffers start with it
    _, slots = column.buffers()
    width = (column.type.bit_width + 7) // 8
    zero = pa.Array.from_buffers(column.type, 1, [None, pa.py_buffer(bytes(width))])[0]
    whole = pa.Array.from_buffers(column.type, len(column), [None, slots])
    clean = pc.if_else(column.is_valid(), whole, zero)
    return pa.Array.from_buffers(column.type, len(column), [_validity(column), clean.buffers()[1]], column.null_count)


def _boolean(column: pa.Array) -> pa.Array:
    values = _bits(pc.fill_null(column, False))
    return pa.Array.from_buffers(column.type, len(column), [_validity(column), values], column.null_count)


def _cleanly_marked(column: pa.Array) -> pa.Array:
    """The same buffers, but for the one that says which values are NULL."""
    _, *data = column.buffers()
    return pa.Array.from_buffers(
        column.type, len(column), [_validity(column, column.offset), *data], column.null_count, column.offset
    )


def _validity(column: pa.Array, offset: int = 0) -> pa.Buffer | None:
    return _bits(column.is_valid(), offset) if column.null_count else None


def _bits(flags: pa.BooleanArray, offset: int = 0) -> pa.Buffer:
    """A bitmap of these behind `offset` bits, and zeros up to the end of its last byte."""
    every = np.concatenate([np.zeros(offset, bool), flags.to_numpy(zero_copy_only=False)])
    return pa.py_buffer(np.packbits(every, bitorder="little"))


def _nulls(column: pa.Array) -> pa.BooleanArray:
    return pa.Array.from_buffers(pa.bool_(), len(column), [None, _bits(column.is_null())])


def _struct(column: pa.Array) -> pa.Array:
    if column.type.num_fields == 0:
        return column
    # `flatten` makes children NULL where their struct is
    children = [blanked(child) for child in column.flatten()]
    return pa.StructArray.from_arrays(children, fields=list(column.type), mask=_nulls(column))


def _list(column: pa.Array) -> pa.Array:
    # `flatten` gives the values of lists that are not NULL only, in the order of the lists
    lengths = pc.fill_null(pc.list_value_length(column), 0).cast(pa.int32())
    ends = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    return pa.ListArray.from_arrays(ends, blanked(column.flatten()), type=column.type, mask=_nulls(column))


def _fixed_list(column: pa.Array) -> pa.Array:
    size = column.type.list_size
    is_there = np.repeat(column.is_valid().to_numpy(zero_copy_only=False), size)
    places = pa.array(np.cumsum(is_there) - 1, mask=~is_there)
    # `flatten` leaves out what a NULL list has, and `take` gives it new and empty slots
    values = blanked(column.flatten().take(places))
    return pa.FixedSizeListArray.from_arrays(values, type=column.type, mask=_nulls(column))


def _map(column: pa.Array) -> pa.Array:
    pairs = pa.struct([column.type.key_field, column.type.item_field])
    made = _list(column.cast(pa.list_(pairs)))
    validity, offsets = made.buffers()[:2]
    entries = pa.Array.from_buffers(pairs, len(made.values), [None], children=made.values.flatten())
    return pa.Array.from_buffers(
        column.type, len(made), [validity, offsets], made.null_count, made.offset, children=[entries]
    )


_NESTED: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]], ...] = (
    (pa.types.is_struct, _struct),
    (pa.types.is_map, _map),
    (pa.types.is_list, _list),
    (pa.types.is_fixed_size_list, _fixed_list),
)
