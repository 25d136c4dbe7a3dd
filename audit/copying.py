"""Entries out of a binary COPY, as fast as they come: psycopg's own way waits anew for each row."""

from collections.abc import Iterator
from struct import Struct

import psycopg
from psycopg.copy import Copy

from .head import Session
from .merkle import HASH_BYTES

HEADER = 19
"""Bytes before the first row: the signature, flags, and an extension that there is not (see PostgreSQL's `COPY`)."""
END = b"\xff\xff"
WITHOUT_WAITING = 1
BEFORE_TEXT, LENGTH = Struct(">hiqi"), Struct(">i")
TEXT, LEAF_LENGTH = BEFORE_TEXT.size, LENGTH.pack(HASH_BYTES)

Row = tuple[int, bytes | None, bytes | None, bytes | None]
"""`seq`, `canonical`, `leaf`, and the text of `doc`."""


def entries(session: Session, query: str) -> Iterator[Row]:
    """The rows of a `COPY (SELECT seq, canonical, leaf, doc …) TO STDOUT (FORMAT BINARY)`. Raises psycopg's errors."""
    arrived = session.pgconn.get_copy_data
    with session.cursor().copy(query.encode()) as copy:
        row = bytes(copy.read())[HEADER:]
        while row != END:
            columns, size, seq, length = BEFORE_TEXT.unpack_from(row)
            leaf = TEXT + length + 4
            # Where a length of 32 stands where it has to, no value before it is NULL or of another type.
            if columns == 4 and size == 8 and row[leaf - 4 : leaf] == LEAF_LENGTH:
                # The first byte of a binary `jsonb` is the version of its form; of NULL there is nothing at all.
                yield seq, row[TEXT : leaf - 4], row[leaf : leaf + HASH_BYTES], row[leaf + HASH_BYTES + 5 :] or None
            else:
                yield _of_any_types(row)
            size, data = arrived(WITHOUT_WAITING)
            row = bytes(data) if size > 0 else _awaited(session, copy, size)
        copy.read()


def _awaited(session: Session, copy: Copy, size: int) -> bytes:
    """The next row, for which psycopg waits: that can be interrupted."""
    if size < 0:
        result = session.pgconn.get_result()
        raise psycopg.OperationalError(result.get_error_message() if result else "the rows ended too early")
    return bytes(copy.read()) or END


def _of_any_types(row: bytes) -> Row:
    """The values of a row in which some are missing, or of types that somebody changed."""
    fields, at = list[bytes | None](), 2
    while at < len(row):
        (size,) = LENGTH.unpack_from(row, at)
        at += LENGTH.size
        fields.append(row[at : at + size] if size >= 0 else None)
        at += max(size, 0)
    seq, canonical, leaf, doc = fields
    return int.from_bytes(seq or b"", signed=True), canonical, leaf, doc and doc[1:]
