"""Rows of one person after the other are looked at once."""

import pyarrow as pa
import pyarrow.compute as pc

FEW = 8
"""Rows are compared with each other where at most one of so many is of somebody else than the row before."""

MIXED = 16
"""Batches after which it is tried again, where that was not so."""


class Changes:
    """Leaves out of a column what is the same as in the row before, where that leaves little; one thread at a time.

    To compare with the row before costs a quarter of looking a value up.
    """

    def __init__(self) -> None:
        self._mixed = 0

    def of(self, column: pa.Array) -> pa.Array:
        """Every value of the column at least once, in the order of their first rows."""
        if self._mixed > 0 or len(column) < 2:
            self._mixed -= 1
            return column
        is_other = pc.fill_null(pc.not_equal(column.slice(1), column.slice(0, len(column) - 1)), True)
        if is_other.true_count * FEW > len(column):
            self._mixed = MIXED
            return column
        return pa.concat_arrays([column.slice(0, 1), column.slice(1).filter(is_other)])
