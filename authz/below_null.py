"""What lies below a NULL: a store may leave there what its memory held before, also of rows that were left out."""

import pyarrow as pa
import pyarrow.compute as pc


def cleared(column: pa.Array) -> pa.Array:
    """The column with nothing below its NULLs: an Arrow stream carries its memory as it is."""
    if pa.types.is_nested(column.type):
        # `if_else` copies what lies below a NULL inside of a value
        return pa.array(column.to_pylist(), column.type)
    if column.null_count == 0:
        return column
    return pc.if_else(column.is_valid(), column, pa.nulls(len(column), column.type))
