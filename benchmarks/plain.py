"""Plain DuckDB, as a notebook would use it: its two lazy ways to Arrow, and nobody asked."""

from collections.abc import Iterator

import duckdb
import pyarrow as pa
from adbc_driver_duckdb import driver_path
from adbc_driver_manager import dbapi

ROWS = 65_536
"""Of a batch, as the gateway reads them."""


def connect() -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory with its own settings; it stays open, as Remit's do."""
    return duckdb.connect(":memory:")


def batches(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[pa.RecordBatch]:
    """The rows by DuckDB's own Arrow reader: in order, on all its threads, never all at once in memory."""
    with connection.cursor() as cursor:
        yield from cursor.sql(sql).to_arrow_reader(ROWS)


def connect_adbc() -> dbapi.Connection:
    """The same by its ADBC driver."""
    return dbapi.connect(driver=driver_path(), entrypoint="duckdb_adbc_init", autocommit=True)


def adbc_batches(connection: dbapi.Connection, sql: str) -> Iterator[pa.RecordBatch]:
    """The rows as the driver hands them out: in order, on one thread, 2,048 at a time."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        yield from cursor.fetch_record_batch()
