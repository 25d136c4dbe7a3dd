"""Read JSON in the one way that nobody else can read differently."""

import json
import re
from collections.abc import Iterator
from typing import NoReturn

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

MAX_DEPTH = 16
TOO_LARGE = 2**53
"""From here on a reader that keeps numbers as doubles sees another number (RFC 7493 §2.2)."""

_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|([\[{])|([\]}])', re.DOTALL)
_UNSOUND = re.compile("[\0\ud800-\udfff]")


def read_object(data: bytes) -> dict[str, Json] | None:
    """The object that `data` says as UTF-8, or None where it says none, or not to every reader the same.

    Not the same to every reader (RFC 7493): a key twice in one object, NaN or an infinity, a number of 2⁵³ or
    more, a lone surrogate. Also None: a NUL in a string, objects and arrays more than 16 deep.
    """
    try:
        text = data.decode()
        if _depth(text) > MAX_DEPTH:
            return None
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except ValueError:
        return None
    return value if isinstance(value, dict) and all(map(_is_sound, _leaves(value))) else None


def _depth(text: str) -> int:
    # Before parsing: the parser recurses, and deep enough JSON would end it with a RecursionError.
    depth = deepest = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        depth += bool(match[1]) - bool(match[2])
        deepest = max(deepest, depth)
    return deepest


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is there twice")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"`{constant}` is not JSON")


def _leaves(value: Json) -> Iterator[Json]:
    """Every key and every value that is neither an object nor an array."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _is_sound(leaf: Json) -> bool:
    if isinstance(leaf, str):
        return _UNSOUND.search(leaf) is None
    # 1e999 is valid JSON and reads as an infinity.
    return not isinstance(leaf, int | float) or abs(leaf) < TOO_LARGE
