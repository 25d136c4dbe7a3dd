"""Pseudonyms: equal values join within one grant, and never across grants.

base32 (RFC 4648, without padding) of the first 128 bits of HMAC-SHA-256(grant key, class ‖ 0 ‖ canonical text).
"""

import hmac
from base64 import b32encode
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from math import isfinite

import pyarrow as pa
import pyarrow.compute as pc

from .errors import StoreFailed

BITS = 128

REMEMBERED = 262_144
"""Pseudonyms that a stream keeps for its next batch (15 MB of them); past it they are forgotten, all at once."""

Identifier = bool | int | float | Decimal | str | bytes | date

NAMING: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_date,
)
"""The types whose values can name somebody."""


def canonical(value: Identifier) -> str:
    """The text that a pseudonym is made of: one for each value, whatever type a store keeps it in.

    Text is itself. Numbers are plain decimals without needless zeros (`17`, `17.0` and `17.00` are `17`), else `nan`,
    `inf`, `-inf`; booleans `true` and `false`, dates ISO 8601, bytes hexadecimal.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if not isfinite(value):
            return str(value)
        case float() | Decimal():
            text = f"{Decimal(repr(value)) if isinstance(value, float) else value:f}"
            text = text.rstrip("0").rstrip(".") if "." in text else text
            return "0" if text == "-0" else text
        case bytes():
            return value.hex()
        case date():
            return value.isoformat()


class Pseudonyms:
    """Makes the pseudonyms of one column under one grant's key (32 bytes); each value is hashed once."""

    def __init__(self, key: bytes, data_class: str) -> None:
        self._keyed = hmac.new(key, data_class.encode() + b"\0", "sha256")
        self._values: pa.Array | None = None
        self._texts = pa.array([], pa.string())

    def of(self, column: pa.Array) -> pa.Array:
        """The column as utf8, NULL where it was."""
        if self._values is None or len(self._values) > REMEMBERED:
            self._values, self._texts = column.slice(0, 0), self._texts.slice(0, 0)
        places = pc.index_in(column, value_set=self._values)
        if places.null_count > column.null_count:
            self._learn(column.filter(places.is_null()).drop_null().unique())
            places = pc.index_in(column, value_set=self._values)
        return self._texts.take(places)

    def _learn(self, values: pa.Array) -> None:
        texts = pa.array([self._made(canonical(value)) for value in values.to_pylist()], pa.string())
        self._values = pa.concat_arrays([self._values, values])
        self._texts = pa.concat_arrays([self._texts, texts])

    def _made(self, text: str) -> str:
        keyed = self._keyed.copy()
        keyed.update(text.encode())
        return b32encode(keyed.digest()[: BITS // 8]).rstrip(b"=").decode()


def can_name(type_: pa.DataType) -> bool:
    """Whether values of the type can name somebody: whether they have a canonical text."""
    return any(fits(type_) for fits in NAMING)


def refuse_unnameable(column: str, type_: pa.DataType) -> None:
    """Raises `StoreFailed` where values of the type have no canonical text, so neither pseudonym nor subject."""
    if not can_name(type_):
        raise StoreFailed(f"column `{column}` names nobody, so it is neither pseudonym nor subject: it is {type_}")
