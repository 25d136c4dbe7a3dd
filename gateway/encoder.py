"""What every format is to the answer that carries it."""

from collections.abc import Iterator
from typing import ClassVar, Protocol

import pyarrow as pa

from .pieces import Body

PIECE = 2_000_000
"""Bytes of Arrow data that are encoded at once, about; so memory does not depend on how wide rows are."""


class Unencodable(Exception):
    """A column's type has no place in the format."""

    def __init__(self, column: str, type: str, content_type: str) -> None:
        super().__init__(f"column `{column}` cannot be given as {content_type.partition(';')[0]}: it is {type}")


class Encoder(Protocol):
    """One answer as bytes: `begin`, then `rows` for each batch, then `end`. One thread at a time."""

    content_type: ClassVar[str]

    def __init__(self, schema: pa.Schema) -> None:
        """Raises `Unencodable`."""

    def begin(self) -> Body:
        """What stands before the rows."""

    def rows(self, batch: pa.RecordBatch) -> Iterator[Body]:
        """The rows, in pieces; the last ones may wait for more."""

    def end(self) -> Body:
        """The rows that still wait and what stands behind them: nothing but this may tell that they are all there."""


class Sink:
    """Where pyarrow writes to, as it wants a file to be."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Called by Arrow with each piece it made."""
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing behind this to flush."""

    def taken(self) -> bytes:
        """All that was written since this was last asked."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in parts of about `PIECE` bytes."""
    rows = max(1, PIECE * batch.num_rows // max(1, batch.nbytes))
    for first in range(0, batch.num_rows, rows):
        yield batch.slice(first, rows)
