"""Canonical JSON (RFC 8785) of the restricted shape of entries: what is hashed is what is stored and searched."""

import json
import re
from collections.abc import Mapping, Sequence

from .entries import Json
from .errors import NotCanonical

LARGEST_INTEGER = 2**53 - 1
DEEPEST = 32
UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL's jsonb refuses NUL, and UTF-8 has no lone surrogate."""


def canonical(value: Json) -> str:
    """The canonical text of `value`, which must be `clean`; RFC 8785 §3.2 for ASCII keys and integers below 2⁵³."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def clean_text(text: str) -> tuple[str, int]:
    """`text` with each NUL and lone surrogate as U+FFFD, and how many there were.

    An entry about a hostile input must still be writable, so they are replaced and counted, never refused.
    """
    return UNWRITABLE.subn("\ufffd", text)


def clean(value: Json, depth: int = 0) -> tuple[Json, int]:
    """`value` out of plain dicts and lists, its texts cleaned, and how many characters were replaced.

    Raises `NotCanonical` for what the restricted shape leaves out, and beyond 32 levels.
    """
    if value is None or isinstance(value, bool):
        return value, 0
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int):
        return _bounded(value), 0
    if depth == DEEPEST:
        raise NotCanonical(f"an entry's details are nested deeper than {DEEPEST} levels")
    if isinstance(value, Mapping):
        return _clean_mapping(value, depth)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        items = [clean(item, depth + 1) for item in value]
        return [item for item, _ in items], sum(replaced for _, replaced in items)
    raise NotCanonical(f"an entry cannot hold a `{type(value).__name__}`")


def _clean_mapping(mapping: Mapping[str, Json], depth: int) -> tuple[Json, int]:
    cleaned: dict[str, Json] = {}
    total = 0
    for key, item in mapping.items():
        if not (isinstance(key, str) and key.isascii() and "\x00" not in key):
            raise NotCanonical(f"an entry's key is not ASCII: `{key!a}`")
        cleaned[key], replaced = clean(item, depth + 1)
        total += replaced
    return cleaned, total


def _bounded(value: int) -> int:
    if abs(value) > LARGEST_INTEGER:
        raise NotCanonical("an entry cannot hold an integer of 2⁵³ or more")
    return value
