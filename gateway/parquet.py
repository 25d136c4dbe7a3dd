"""Rows as one Parquet file, row group by row group. Without its footer, which comes last, no reader opens it.

Nothing but the rows that are delivered gets into the file: what is kept below a NULL is not written, statistics are of
each group's own rows, and a dictionary that came with a column, which may hold values of other rows, is left behind.
"""

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa
from pyarrow import parquet

from .encoder import Sink, Unencodable, parts
from .texts import unwrapped

GROUP_ROWS = 262_144
GROUP_BYTES = 32_000_000
"""A row group is full at so many rows, or bytes of Arrow data: large enough to be small on disk and fast to read."""


class ParquetEncoder:
    """Parquet, compressed with Zstandard. Up to one row group waits in memory."""

    content_type: ClassVar[str] = "application/vnd.apache.parquet"

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = pa.schema([_plain(field) for field in schema])
        self._sink = Sink()
        self._writer = _writer(self._sink, self._schema)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def begin(self) -> bytes:
        """Four letters."""
        return self._sink.taken()

    def rows(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        """Whole row groups."""
        for part in parts(batch):
            while part.num_rows:
                fitting = part.slice(0, GROUP_ROWS - self._rows)
                part = part.slice(fitting.num_rows)
                self._wait(fitting)
                if self._rows == GROUP_ROWS or self._bytes >= GROUP_BYTES:
                    yield self._group()

    def end(self) -> bytes:
        """The last row group and the footer."""
        last = self._group() if self._waiting else b""
        self._writer.close()
        return last + self._sink.taken()

    def _wait(self, batch: pa.RecordBatch) -> None:
        columns = [unwrapped(column) for column in batch.columns]
        self._waiting.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._rows += batch.num_rows
        self._bytes += batch.nbytes

    def _group(self) -> bytes:
        # one chunk, so that the bytes depend on the rows and not on how they came
        group = pa.Table.from_batches(self._waiting, self._schema).combine_chunks()
        self._waiting, self._rows, self._bytes = [], 0, 0
        self._writer.write_table(group, row_group_size=GROUP_ROWS)
        return self._sink.taken()


def _writer(sink: Sink, schema: pa.Schema) -> parquet.ParquetWriter:
    return parquet.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd", compression_level=1)


def _plain(field: pa.Field) -> pa.Field:
    """The field as the file has it. Raises `Unencodable`."""
    try:
        plain = pa.field(field.name, unwrapped(pa.array([], field.type)).type)
        schema = pa.schema([plain])
        with _writer(Sink(), schema) as writer:
            writer.write_table(schema.empty_table())
    except pa.ArrowException as wrong:
        raise Unencodable(field.name, str(field.type), ParquetEncoder.content_type) from wrong
    if _holds_dictionary(plain.type):
        raise Unencodable(field.name, str(field.type), ParquetEncoder.content_type)
    return plain


def _holds_dictionary(type: pa.DataType) -> bool:
    """Whether values came with a dictionary that would be written whole."""
    inner = (type.field(place).type for place in range(type.num_fields))
    return pa.types.is_dictionary(type) or any(map(_holds_dictionary, inner))
