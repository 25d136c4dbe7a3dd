"""PostgreSQL's arrays in its binary form, packed at once: psycopg's own way makes a call for each item."""

import struct
from collections.abc import Sequence

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

TEXT, BYTEA = 25, 17
TEXT_ARRAY, BYTEA_ARRAY = 1009, 1001
HEADER, LENGTH = struct.Struct(">iiiii"), struct.Struct(">i")


class Texts(bytes):
    """A `text[]`, packed."""


class Blobs(bytes):
    """A `bytea[]`, packed."""


def texts(items: Sequence[bytes]) -> Texts:
    """A `text[]` of texts in UTF-8."""
    return Texts(_packed(TEXT, items))


def blobs(items: Sequence[bytes]) -> Blobs:
    """A `bytea[]`."""
    return Blobs(_packed(BYTEA, items))


def _packed(kind: int, items: Sequence[bytes]) -> bytes:
    """One dimension from 1 on, without NULLs: `array_send` in `src/backend/utils/adt/arrayfuncs.c`."""
    parts = [HEADER.pack(1, 0, kind, len(items), 1)]
    for item in items:
        parts += (LENGTH.pack(len(item)), item)
    return b"".join(parts)


class _AsTexts(Dumper):
    format, oid = Format.BINARY, TEXT_ARRAY

    def dump(self, obj: bytes) -> bytes:
        return obj


class _AsBlobs(_AsTexts):
    oid = BYTEA_ARRAY


psycopg.adapters.register_dumper(Texts, _AsTexts)
psycopg.adapters.register_dumper(Blobs, _AsBlobs)
