"""Plain DuckDB, as a notebook would use it: the fastest way to its rows, a lazy Arrow reader, and nobody asked."""

from collections.abc import Iterator

import pyarrow as pa
from adbc_driver_duckdb import driver_path
from adbc_driver_manager import dbapi


def connect() -> dbapi.Connection:
    """A DuckDB in memory with its own settings; it stays open, as Remit's do."""
    return dbapi.connect(driver=driver_path(), entrypoint="duckdb_adbc_init", autocommit=True)


def batches(connection: dbapi.Connection, sql: str) -> Iterator[pa.RecordBatch]:
    """The rows as DuckDB hands them out."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        yield from cursor.fetch_record_batch()
