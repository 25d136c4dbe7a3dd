"""Canonical JSON (RFC 8785) of the restricted shape of entries: what is hashed is what is stored and searched."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from .entries import Json
from .errors import NotCanonical

quoted: Callable[[str], str] = encode_basestring
"""The canonical text of a string, in C."""
LARGEST_INTEGER = 2**53 - 1
DEEPEST = 32
UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL's jsonb refuses NUL, and UTF-8 has no lone surrogate."""
SURROGATE = re.compile("[\ud800-\udfff]")


def canonical(value: Json, depth: int = 0) -> str:
    """The canonical text of `value`, RFC 8785 §3.2. `json.dumps` lets through what this refuses.

    Raises `NotCanonical` for what the restricted shape leaves out, and beyond 32 levels.
    """
    # By its exact type: every read waits for this, and asking an abstract class takes longer than writing.
    write = _WRITERS.get(type(value)) or _writer_for(value)
    return write(value, depth)


def is_writable(text: str) -> bool:
    """Whether PostgreSQL takes this canonical text; where in doubt, not."""
    # An escaped backslash before `u0000` looks like an escaped NUL too.
    return "\\u0000" not in text and (text.isascii() or SURROGATE.search(text) is None)


def cleaned(value: Json) -> tuple[Json, int]:
    """`value` with U+FFFD for each NUL and lone surrogate in its texts, and how many there were."""
    if isinstance(value, str):
        return UNWRITABLE.subn("\ufffd", value)
    if isinstance(value, Mapping):
        items = {key: cleaned(item) for key, item in value.items()}
        return {key: item for key, (item, _) in items.items()}, sum(replaced for _, replaced in items.values())
    if isinstance(value, Sequence):
        parts = [cleaned(item) for item in value]
        return [part for part, _ in parts], sum(replaced for _, replaced in parts)
    return value, 0


def _writer_for(value: object) -> "_Writer":
    return next((write for kinds, write in _KINDS if isinstance(value, kinds)), _unsayable)


def _text(value: Any, _: int) -> str:
    return quoted(value)


def _null(_value: Any, _: int) -> str:
    return "null"


def _truth(value: Any, _: int) -> str:
    return "true" if value else "false"


def _integer(value: Any, _: int) -> str:
    if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        raise NotCanonical("an entry cannot hold an integer of 2⁵³ or more")
    return int.__repr__(value)


def _object(value: Any, depth: int) -> str:
    # The keys are ASCII, so that their order by UTF-16 code units is the order of their texts.
    keys, inner = sorted([_key(key) for key in value]), _deeper(depth)
    return "{" + ",".join([f"{quoted(key)}:{canonical(value[key], inner)}" for key in keys]) + "}"


def _array(value: Any, depth: int) -> str:
    inner = _deeper(depth)
    return "[" + ",".join([canonical(item, inner) for item in value]) + "]"


def _unsayable(value: Any, _: int) -> str:
    raise NotCanonical(f"an entry cannot hold a `{type(value).__name__}`")


def _deeper(depth: int) -> int:
    if depth == DEEPEST:
        raise NotCanonical(f"an entry's details are nested deeper than {DEEPEST} levels")
    return depth + 1


@lru_cache(1024)
def _key(key: object) -> str:
    if isinstance(key, str) and key.isascii() and "\x00" not in key:
        return key
    raise NotCanonical(f"an entry's key is not ASCII: `{key!a}`")


_Writer = Callable[[Any, int], str]
_KINDS: tuple[tuple[type | tuple[type, ...], _Writer], ...] = (
    (str, _text),
    (bool, _truth),
    (int, _integer),
    (Mapping, _object),
    ((bytes, bytearray), _unsayable),
    (Sequence, _array),
)
"""Asked from top to bottom where the exact type is none of these: enumerations, frozen mappings, other sequences."""
_WRITERS: dict[type, _Writer] = {
    str: _text,
    dict: _object,
    list: _array,
    tuple: _array,
    bool: _truth,
    int: _integer,
    type(None): _null,
}
