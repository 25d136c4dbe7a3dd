"""The one door to the stores: DuckDB in this process, able to open exactly one dataset's files and nothing else.

What always holds:

- A `Door` is locked before the first statement of a read runs; each of its statements was built by us.
- It sees the files as they were pinned; every file has the same columns of the same types.
- What a driver says never leaves here: its messages quote SQL, paths and values.
"""

import re
import threading
from collections.abc import Iterable, Mapping

import duckdb
import pyarrow as pa
import structlog
from sqlglot import exp

from .errors import AuthzError, DoorClosed, ReadStopped, StoreFailed
from .files import File
from .lockdown import BUFFER, LOCK, SETTINGS
from .rosters import Rosters
from .store_columns import Columns, StoreColumn

TABLE = "dataset"
"""What a statement calls the dataset's rows."""

BOUND: Mapping[pa.DataType, duckdb.sqltypes.DuckDBPyType] = {
    pa.bool_(): duckdb.sqltypes.BOOLEAN,
    pa.int64(): duckdb.sqltypes.BIGINT,
    pa.uint64(): duckdb.sqltypes.UBIGINT,
    pa.float64(): duckdb.sqltypes.DOUBLE,
    pa.string(): duckdb.sqltypes.VARCHAR,
    pa.timestamp("us"): duckdb.sqltypes.TIMESTAMP,
    pa.date32(): duckdb.sqltypes.DATE,
}
"""What bound values are; a decimal is bound as its text, because DuckDB gives a Python one a type by its value."""

FAULTS = (duckdb.Error, pa.ArrowException, OSError)
KIND = re.compile(r"[A-Z][A-Za-z ]* (?:Error|Exception)(?=:)")

log = structlog.get_logger()


class Rows:
    """One query, which runs from the first `read` on. One thread at a time reads; `stop` may come from any thread.

    Rows come in the order of the files; DuckDB's threads make batches ahead.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, sql: str, parameters: pa.RecordBatch | None) -> None:
        self._sql = sql
        self._parameters = parameters
        self._reading = threading.Lock()
        # Held for moments only: to interrupt a statement while it is being freed would be a use after free.
        self._handle = threading.Lock()
        self._broken: AuthzError | None = None
        self._cursor: duckdb.DuckDBPyConnection | None = cursor
        self._reader: pa.RecordBatchReader | None = None
        self._rest: pa.RecordBatch | None = None

    def read(self, rows: int) -> list[pa.RecordBatch]:
        """The next rows, exactly this many in one batch or more; fewer at the end, none after it.

        Where DuckDB cuts depends on rows that the filter left out, and must not show. Raises `StoreFailed`, or
        `ReadStopped` once `stop` was called.
        """
        batches: list[pa.RecordBatch] = []
        with self._reading:
            if self._reader is None and rows > 0:
                self._start(rows)
            while rows > 0 and (batch := self._rest or self._pull()) is not None:
                self._rest = batch.slice(rows) if batch.num_rows > rows else None
                batches.append(batch.slice(0, rows))
                rows -= batches[-1].num_rows
            if self._broken is not None:
                raise self._broken
        return [batch for batch in batches if batch.num_rows > 0]

    def stop(self) -> None:
        """End the query and free what it holds; returns when that is done. May be called again."""
        if self._broken is None:
            self._broken = ReadStopped()
        self._interrupt()
        # An interruption that comes a moment before the statement is lost.
        while not self._reading.acquire(timeout=0.05):
            self._interrupt()
        try:
            self._free()
        finally:
            self._reading.release()

    def _start(self, batch_rows: int) -> None:
        if self._cursor is None or self._broken is not None:
            return
        try:
            self._cursor.execute(BUFFER)
            query = self._cursor.sql(self._sql, params=bound(self._parameters))
            self._reader = query.to_arrow_reader(batch_rows)
        except FAULTS as fault:
            self._break(fault)

    def _interrupt(self) -> None:
        with self._handle:
            if self._cursor is not None:
                self._cursor.interrupt()

    def _pull(self) -> pa.RecordBatch | None:
        if self._reader is None or self._broken is not None:
            return None
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            self._free()
        except FAULTS as fault:
            self._break(fault)
        return None

    def _break(self, fault: Exception) -> None:
        self._free()
        if self._broken is None:
            self._broken = failed(fault)

    def _free(self) -> None:
        with self._handle:
            cursor, self._cursor, reader, self._reader = self._cursor, None, self._reader, None
            self._rest = None
            if reader is not None:
                reader.close()
            if cursor is not None:
                cursor.close()


class Door:
    """A DuckDB in memory that can open exactly these files. Raises `StoreFailed` where one cannot be read.

    `known` spares another look into files that were looked into before.
    """

    def __init__(self, files: tuple[File, ...], known: Mapping[File, Columns] | None = None) -> None:
        self.files = files
        self.rosters = Rosters()
        self._lock = threading.Lock()
        self._root: duckdb.DuckDBPyConnection | None = None
        try:
            self._root = duckdb.connect(":memory:")
            self.looks = _locked(self._root, files, known or {})
            self.columns = _common(self.looks.values())
        except FAULTS as fault:
            self.close()
            raise failed(fault) from None

    def run(self, sql: str, parameters: pa.RecordBatch | None = None) -> Rows:
        """One statement that we built, with at most one row of bound values. Raises `StoreFailed`."""
        with self._lock:
            if self._root is None:
                raise DoorClosed
            try:
                return Rows(self._root.cursor(), sql, parameters)
            except FAULTS as fault:
                raise failed(fault) from None

    def close(self) -> None:
        """Let nothing more through; queries end as they would have.

        DuckDB's own `close` would end them. Without it, the last of them ends the database.
        """
        with self._lock:
            self._root = None


def failed(fault: Exception) -> StoreFailed:
    """What may be told of a driver's fault; the log gets its kind only, for the message can quote values."""
    kind = KIND.search(str(fault))
    log.warning("store_failed", fault=type(fault).__name__, kind=kind.group() if kind else None)
    return StoreFailed("the store could not be read")


def bound(parameters: pa.RecordBatch | None) -> list[duckdb.Value]:
    """One row of values as DuckDB binds them: each of its type, a decimal as its text."""
    if parameters is None:
        return []
    return [_value(column[0]) for column in parameters.columns]


def _value(scalar: pa.Scalar) -> duckdb.Value:
    if pa.types.is_decimal(scalar.type):
        return duckdb.Value(f"{scalar.as_py():f}", duckdb.sqltypes.VARCHAR)
    return duckdb.Value(scalar.as_py(), BOUND[scalar.type])


def _locked(
    root: duckdb.DuckDBPyConnection, files: tuple[File, ...], known: Mapping[File, Columns]
) -> Mapping[File, Columns]:
    for statement in (*SETTINGS, f"SET allowed_paths = {_array(files).sql('duckdb')}", *LOCK):
        root.execute(statement)
    looks = {file: known.get(file) or _columns(root, file) for file in files}
    view = exp.Create(this=exp.to_table(TABLE), kind="VIEW", expression=_every_row(files))
    root.execute(view.sql("duckdb"))
    return looks


def _common(looks: Iterable[Columns]) -> Columns:
    """The columns that every file has and that are of one type in all of them."""
    first, *others = looks
    return {name: column for name, column in first.items() if all(other.get(name) == column for other in others)}


def _columns(root: duckdb.DuckDBPyConnection, file: File) -> Columns:
    every = _every_row((file,))
    schema = root.sql(every.limit(0).sql("duckdb")).to_arrow_table().schema
    types = {str(name): str(type_) for name, type_, *_ in root.execute(f"DESCRIBE {every.sql('duckdb')}").fetchall()}
    return {field.name: StoreColumn(types[field.name], field.type) for field in schema}


def _every_row(files: tuple[File, ...]) -> exp.Select:
    # Columns that DuckDB makes out of folders' names would take the place of the files' own.
    partitioned = exp.EQ(this=exp.column("hive_partitioning"), expression=exp.false())
    return exp.select("*").from_(exp.Anonymous(this="read_parquet", expressions=[_array(files), partitioned]))


def _array(files: tuple[File, ...]) -> exp.Array:
    return exp.Array(expressions=[exp.Literal.string(file.path) for file in files])
