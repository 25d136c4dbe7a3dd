"""Rows as bytes: Arrow, Parquet, CSV and newline-delimited JSON.

Only Arrow and Parquet have an end of their own. A CSV or NDJSON answer that was cut between two lines looks like a
whole one: that it ended early shows in HTTP alone, whose last chunk is missing. Whoever keeps such rows has to ask
their HTTP client whether the answer ended as it should (curl exits with 18).
"""

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from .encoder import Encoder, Unencodable, parts
from .parquet import ParquetEncoder
from .pieces import Piece
from .texts import TEXT, NoText, extent, joined, objects, plain, unwrapped

_EXECUTED = r"\A[\p{Z}\p{C}\x{fffe}\x{ffff}]*[=+\-@\t\r\n＝＋－＠﹦﹢﹣﹫−]"
"""What a spreadsheet may take for the start of a formula, behind what it may skip: white space and what is unseen."""

_BARE = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
"""What stands in CSV without quotes, and with no guard: none of its values can call or name anything."""


class ArrowEncoder:
    """Arrow IPC. Without what `end` gives, no reader takes the stream for whole."""

    content_type: ClassVar[str] = "application/vnd.apache.arrow.stream"

    def __init__(self, schema: pa.Schema) -> None:
        self._parts: list[memoryview] = []
        self._writer = pa.ipc.new_stream(pa.PythonFile(self, mode="w"), schema)

    def write(self, data: bytes | pa.Buffer) -> int:
        """Called by Arrow with each part it made: what is large is a batch's own memory, and is kept, not copied."""
        self._parts.append(memoryview(data))
        return len(self._parts[-1])

    def flush(self) -> None:
        """Called by Arrow; there is nothing behind this to flush."""

    closed = False

    def begin(self) -> Piece:
        """The schema."""
        return self._taken()

    def rows(self, batch: pa.RecordBatch) -> Iterator[Piece]:
        """One message."""
        self._writer.write_batch(batch)
        yield self._taken()

    def end(self) -> Piece:
        """The end of the stream."""
        self._writer.close()
        return self._taken()

    def _taken(self) -> Piece:
        parts, self._parts = self._parts, []
        return Piece(parts)


class CsvEncoder:
    """CSV as RFC 4180 has it, in UTF-8, with a line of names first; made so that no spreadsheet executes a cell.

    Numbers and booleans stand bare, all else in quotes; NULL is empty and empty text is `""`. A text or name that a
    spreadsheet could take for a formula has an apostrophe before it. Nothing marks the end.
    """

    content_type: ClassVar[str] = "text/csv; charset=utf-8; header=present"

    def __init__(self, schema: pa.Schema) -> None:
        self._names = schema.names
        _check(self, schema)

    def begin(self) -> bytes:
        """The line of names."""
        return _line_of([_cell(pa.array([name], TEXT)) for name in self._names])

    def rows(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        """Whole lines."""
        for part in parts(batch):
            yield _line_of([_cell(column) for column in part.columns])

    def end(self) -> bytes:
        """Nothing: CSV has no end mark."""
        return b""


class NdjsonEncoder:
    """One JSON object a line, in UTF-8. Nothing marks the end."""

    content_type: ClassVar[str] = "application/x-ndjson"

    def __init__(self, schema: pa.Schema) -> None:
        self._names = schema.names
        _check(self, schema)

    def begin(self) -> bytes:
        """Nothing: every line is a row."""
        return b""

    def rows(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        """Whole lines."""
        for part in parts(batch):
            yield _bytes_of(objects(self._names, part.columns, "\n"))

    def end(self) -> bytes:
        """Nothing: NDJSON has no end mark."""
        return b""


ENCODERS: dict[str, type[Encoder]] = {
    encoder.content_type: encoder for encoder in (ArrowEncoder, ParquetEncoder, CsvEncoder, NdjsonEncoder)
}
"""Every format on offer by its content type; the first is what whoever takes anything gets."""


def _check(encoder: Encoder, schema: pa.Schema) -> None:
    """Find out now, and not in the middle of the rows, which column has no text."""
    for field in schema:
        try:
            plain(pa.array([], field.type))
        except (NoText, pa.ArrowException) as wrong:
            raise Unencodable(field.name, str(field.type), encoder.content_type) from wrong


def _cell(column: pa.Array) -> pa.Array:
    column = unwrapped(column)
    text = plain(column)
    if not any(is_bare(column.type) for is_bare in _BARE):
        text = _quoted(text)
    return pc.fill_null(text, "")


def _quoted(text: pa.Array) -> pa.Array:
    before: pa.Array | str = '"'
    executed = pc.match_substring_regex(text, _EXECUTED)
    if pc.any(executed, min_count=0).as_py():
        before = pc.if_else(executed, pa.scalar("\"'", TEXT), pa.scalar('"', TEXT))
    return joined(before, pc.replace_substring(text, '"', '""'), '"')


def _line_of(cells: list[pa.Array]) -> bytes:
    separated = [part for cell in cells for part in (",", cell)][1:]
    return _bytes_of(joined(*separated, "\r\n"))


def _bytes_of(lines: pa.Array) -> bytes:
    """All lines, one behind the other, which is how Arrow keeps them."""
    first, last = extent(lines)
    _, _, data = lines.buffers()
    return data.slice(first, last - first).to_pybytes() if last > first else b""
