"""The one door to the stores: DuckDB through ADBC, able to open exactly one dataset's files and nothing else.

What always holds:

- A `Door` is locked before the first statement of a read runs; each of its statements was built by us.
- It sees the files as they were pinned; every file has the same columns of the same types.
- What a driver says never leaves here: its messages quote SQL, paths and values.
"""

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import structlog
from adbc_driver_duckdb import driver_path
from adbc_driver_manager import dbapi
from sqlglot import exp

from policy.catalog import Catalog
from policy.values import ColumnType, Dataset

from .errors import AuthzError, DoorClosed, ReadStopped, StoreFailed
from .files import File, pin
from .treatments import can_name

TABLE = "dataset"
"""What a statement calls the dataset's rows."""

THREADS = min(os.cpu_count() or 1, 4)
"""Of each door: its streams share them."""

MEMORY = "50%"
"""Of the machine's, for all streams of one dataset: past it a read fails, instead of the gateway."""

BUFFER = "SET max_streaming_buffer_size = '1MB'"
"""Rows that wait to be fetched. DuckDB's 10 MB make no stream faster, and 200 of them cost 3 GB."""

SETTINGS = (
    # Rows that do not fit must not be spilled to a disk that nobody guards.
    "SET temp_directory = ''",
    f"SET threads = {THREADS}",
    f"SET memory_limit = '{MEMORY}'",
    "SET TimeZone = 'UTC'",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET enable_external_file_cache = false",
    "SET parquet_metadata_cache = true",
    # Both make joins, and joins do not keep the order of rows: which leave first, or under a limit at all, would depend
    # on how many there are that must not be seen.
    "SET disabled_optimizers = 'in_clause,late_materialization'",
    "SET allowed_configs = ['max_streaming_buffer_size']",
)
LOCK = ("SET enable_external_access = false", "SET lock_configuration = true")

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

FAULTS = (dbapi.Error, pa.ArrowException, OSError)
KIND = re.compile(r"[A-Z][A-Za-z ]* (?:Error|Exception)(?=:)")

log = structlog.get_logger()


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


class Rows:
    """A running query. One thread at a time reads; `stop` may come from any thread, and ends a read under way."""

    def __init__(self, connection: dbapi.Connection, sql: str, parameters: pa.RecordBatch | None) -> None:
        self._connection = connection
        self._reading = threading.Lock()
        # Held for moments only: to cancel a statement while it is being freed would be a use after free.
        self._handle = threading.Lock()
        self._broken: AuthzError | None = None
        self._cursor: dbapi.Cursor | None = connection.cursor()
        try:
            self._cursor.execute(BUFFER)
            self._cursor.execute(sql, parameters)
            self._reader: pa.RecordBatchReader | None = self._cursor.fetch_record_batch()
        except FAULTS as fault:
            self._free()
            raise failed(fault) from None
        self.schema: pa.Schema = self._reader.schema

    def read(self, least: int) -> list[pa.RecordBatch]:
        """The next rows, at least this many (from 1) in batches of a few thousand; fewer at the end, none after it.

        Raises `StoreFailed`, or `ReadStopped` once `stop` was called.
        """
        batches: list[pa.RecordBatch] = []
        with self._reading:
            while least > 0 and (batch := self._pull()) is not None:
                batches.append(batch)
                least -= batch.num_rows
            if self._broken is not None:
                raise self._broken
        return batches

    def stop(self) -> None:
        """End the query and free what it holds; returns when that is done. May be called again."""
        if self._broken is None:
            self._broken = ReadStopped()
        with self._handle:
            if self._cursor is not None:
                self._cursor.adbc_cancel()
        with self._reading:
            self._free()

    def _pull(self) -> pa.RecordBatch | None:
        if self._reader is None or self._broken is not None:
            return None
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            self._free()
        except FAULTS as fault:
            self._free()
            if self._broken is None:
                self._broken = failed(fault)
        return None

    def _free(self) -> None:
        with self._handle:
            cursor, self._cursor, self._reader = self._cursor, None, None
            if cursor is not None:
                cursor.close()
                self._connection.close()


class Door:
    """A DuckDB in memory that can open exactly these files. Raises `StoreFailed` where one cannot be read.

    `known` spares another look into files that were looked into before.
    """

    def __init__(self, files: tuple[File, ...], known: Mapping[File, Columns] | None = None) -> None:
        self.files = files
        self._lock = threading.Lock()
        self._root: dbapi.Connection | None = None
        try:
            self._root = dbapi.connect(driver=driver_path(), entrypoint="duckdb_adbc_init", autocommit=True)
            self.looks = _locked(self._root, files, known or {})
        except FAULTS as fault:
            self.close()
            raise failed(fault) from None

    @property
    def columns(self) -> Columns:
        """The columns that every file has and that are of one type in all of them."""
        first, *others = self.looks.values()
        return {name: column for name, column in first.items() if all(other.get(name) == column for other in others)}

    def run(self, sql: str, parameters: pa.RecordBatch | None = None) -> Rows:
        """Run one statement that we built, with at most one row of bound values. Raises `StoreFailed`."""
        with self._lock:
            if self._root is None:
                raise DoorClosed
            try:
                connection = self._root.adbc_clone()
            except FAULTS as fault:
                raise failed(fault) from None
        return Rows(connection, sql, parameters)

    def close(self) -> None:
        """Let nothing more through; queries that run end as they would have."""
        with self._lock:
            root, self._root = self._root, None
        if root is not None:
            root.close()


def look(catalog: Catalog, folder: Path) -> Mapping[str, Mapping[str, ColumnType] | str]:
    """Which columns each dataset has in its store, undeclared ones too: dataset → column → type.

    Or why it cannot be read: its files are damaged, or disagree on a declared column.
    """
    return {name: _looked(dataset, folder) for name, dataset in catalog.datasets.items()}


def failed(fault: Exception) -> StoreFailed:
    """What may be told of a driver's fault; the log gets its kind only, for the message can quote values."""
    kind = KIND.search(str(fault))
    log.warning("store_failed", fault=type(fault).__name__, kind=kind.group() if kind else None)
    return StoreFailed("the store could not be read")


def _looked(dataset: Dataset, folder: Path) -> Mapping[str, ColumnType] | str:
    try:
        door = Door(pin(dataset.location, folder))
    except StoreFailed as fault:
        return f"dataset `{dataset.name}`: {fault.reason}"
    door.close()
    found = {name: column.type for columns in door.looks.values() for name, column in columns.items()}
    for name in dataset.columns:
        if name in found and name not in door.columns:
            return f"dataset `{dataset.name}`: its files disagree on the type of column `{name}`"
    subject = door.columns.get(dataset.subject)
    if subject is not None and not can_name(subject.arrow):
        return (
            f"dataset `{dataset.name}`: nobody is named by `{dataset.subject}`, which is {subject.arrow} in the store"
        )
    return found


def _locked(root: dbapi.Connection, files: tuple[File, ...], known: Mapping[File, Columns]) -> Mapping[File, Columns]:
    with root.cursor() as cursor:
        for statement in (*SETTINGS, f"SET allowed_paths = {_array(files).sql('duckdb')}", *LOCK):
            cursor.execute(statement)
        looks = {file: known.get(file) or _columns(cursor, file) for file in files}
        view = exp.Create(this=exp.to_table(TABLE), kind="VIEW", expression=_every_row(files))
        cursor.execute(view.sql("duckdb"))
        return looks


def _columns(cursor: dbapi.Cursor, file: File) -> Columns:
    every = _every_row((file,))
    schema = cursor.execute(every.limit(0).sql("duckdb")).fetch_arrow_table().schema
    types = {str(name): str(type_) for name, type_, *_ in cursor.execute(f"DESCRIBE {every.sql('duckdb')}").fetchall()}
    return {field.name: StoreColumn(types[field.name], field.type) for field in schema}


def _every_row(files: tuple[File, ...]) -> exp.Select:
    # Columns that DuckDB makes out of folders' names would take the place of the files' own.
    partitioned = exp.EQ(this=exp.column("hive_partitioning"), expression=exp.false())
    return exp.select("*").from_(exp.Anonymous(this="read_parquet", expressions=[_array(files), partitioned]))


def _array(files: tuple[File, ...]) -> exp.Array:
    return exp.Array(expressions=[exp.Literal.string(file.path) for file in files])
