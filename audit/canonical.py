"""Canonical JSON (RFC 8785) of the restricted shape of entries: what is hashed is what is stored and searched."""

import re
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring

from .entries import Json
from .errors import NotCanonical

quoted: Callable[[str], str] = encode_basestring
"""The canonical text of a string, in C."""
LARGEST_INTEGER = 2**53 - 1
DEEPEST = 32
UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL's jsonb refuses NUL, and UTF-8 has no lone surrogate."""
MAYBE_UNWRITABLE = re.compile(r"\\u0000|[" + "\ud800-\udfff]")
"""What they look like in canonical text; an escaped backslash before `u0000` looks like it too."""


def canonical(value: Json, depth: int = 0) -> str:
    """The canonical text of `value`, RFC 8785 §3.2. `json.dumps` takes longer, and lets through what this refuses.

    Raises `NotCanonical` for what the restricted shape leaves out, and beyond 32 levels.
    """
    if isinstance(value, str):
        return quoted(value)
    if value is None:
        return "null"
    if isinstance(value, int):
        return _integer(value)
    if depth == DEEPEST:
        raise NotCanonical(f"an entry's details are nested deeper than {DEEPEST} levels")
    if isinstance(value, (dict, Mapping)):  # `dict` first, here and below: asking an abstract class takes longer
        # The keys are ASCII, so that their order by UTF-16 code units is the order of their texts.
        keys = sorted([_key(key) for key in value])
        return "{" + ",".join([f"{quoted(key)}:{canonical(value[key], depth + 1)}" for key in keys]) + "}"
    if isinstance(value, (list, tuple, Sequence)) and not isinstance(value, (bytes, bytearray)):
        return "[" + ",".join([canonical(item, depth + 1) for item in value]) + "]"
    raise NotCanonical(f"an entry cannot hold a `{type(value).__name__}`")


def is_writable(text: str) -> bool:
    """Whether PostgreSQL takes this canonical text; where in doubt, not."""
    return MAYBE_UNWRITABLE.search(text) is None


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


def _integer(value: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        raise NotCanonical("an entry cannot hold an integer of 2⁵³ or more")
    return int.__repr__(value)


def _key(key: object) -> str:
    if isinstance(key, str) and key.isascii() and "\x00" not in key:
        return key
    raise NotCanonical(f"an entry's key is not ASCII: `{key!a}`")
