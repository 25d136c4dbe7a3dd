"""A dataset's columns as its store has them, and what the row language takes them for."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from policy.values import ColumnType

TYPES: Mapping[str, ColumnType] = {
    "BOOLEAN": ColumnType.BOOLEAN,
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT"), ColumnType.INTEGER),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"), ColumnType.INTEGER),
    **dict.fromkeys(("FLOAT", "DOUBLE"), ColumnType.FLOAT),
    "DECIMAL": ColumnType.DECIMAL,
    "VARCHAR": ColumnType.TEXT,
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), ColumnType.TIMESTAMP),
    "TIMESTAMP WITH TIME ZONE": ColumnType.TIMESTAMP,
    "DATE": ColumnType.DATE,
}
"""DuckDB's types by name; any other is `OTHER`."""


@dataclass(frozen=True, slots=True)
class StoreColumn:
    """A column as the store has it: DuckDB's name of its type, and the Arrow type that it is read as."""

    sql: str
    arrow: pa.DataType

    @property
    def type(self) -> ColumnType:
        """What the row language knows of it."""
        return TYPES.get(self.sql.partition("(")[0], ColumnType.OTHER)


Columns = Mapping[str, StoreColumn]
"""A store's columns by name."""
