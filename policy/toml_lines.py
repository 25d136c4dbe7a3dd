"""TOML, and the line on which each of its keys stands: `tomllib` reads the values, a scanner finds the places.

The scanner only ever sees text that `tomllib` has accepted, so it looks for where tokens end and judges nothing.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .errors import Misread, MisreadAll
from .tables import Path

BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
KEY_PART = re.compile(r"""[ \t]*([A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*""")
SCALAR = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}'''  # up to two quotes may stand right before the closing three
    r"""|\'\'\'.*?'{3,5}"""
    r'''|"(?:[^"\\\n]|\\.)*"'''
    r"""|'[^'\n]*'"""
    r"""|[^,\]}#\n]+""",
    re.DOTALL,
)
PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class TomlDocument:
    """A TOML file's values, and the line (from 1) of each key path and array item."""

    values: Mapping[str, object]
    lines: Mapping[Path, int]


def read_toml(data: bytes, *, file: str) -> TomlDocument:
    """Raises `MisreadAll` with the line where `data` is not UTF-8 or not TOML."""
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MisreadAll([Misread(file, line, "not UTF-8: save the file as UTF-8")]) from error
    try:
        return TomlDocument(tomllib.loads(text), MappingProxyType(_Scanner(text).lines()))
    except RecursionError as error:
        raise MisreadAll([Misread(file, None, "arrays or tables are nested too deep")]) from error
    except tomllib.TOMLDecodeError as error:
        raise MisreadAll([_syntax(file, text, str(error))]) from error
    except ValueError as error:  # `int` refuses thousands of digits
        raise MisreadAll([Misread(file, None, "a number has too many digits")]) from error


def _syntax(file: str, text: str, message: str) -> Misread:
    place = PLACE.search(message)
    reason = f"not TOML: {message[:1].lower()}{PLACE.sub('', message)[1:]}"
    if place is None:
        return Misread(file, None, reason)
    return Misread(file, int(place[1] or text.count("\n") + 1), reason)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}

    def lines(self) -> dict[Path, int]:
        table: Path = ()
        self._skip(BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(BLANK)
        return self._lines

    def _skip(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise AssertionError(f"no {pattern.pattern!r} at character {self._at} of accepted TOML")
        self._at = match.end()
        return match

    def _takes(self, token: str) -> bool:
        found = self._text.startswith(token, self._at)
        self._at += len(token) if found else 0
        return found

    def _note(self, path: Path, at: int) -> None:
        self._lines.setdefault(path, bisect_right(self._starts, at))

    def _key(self) -> tuple[str, ...]:
        parts = [_plain(self._skip(KEY_PART)[1])]
        while self._takes("."):
            parts.append(_plain(self._skip(KEY_PART)[1]))
        return tuple(parts)

    def _header(self) -> Path:
        at = self._at
        is_array = self._takes("[[")
        if not is_array:
            self._takes("[")
        path: Path = ()
        *outer, last = self._key()
        for part in outer:
            path = self._latest((*path, part))
            self._note(path, at)
        path = (*path, last)
        self._note(path, at)
        if is_array:
            self._counts[path] = self._counts.get(path, 0) + 1
            path = self._latest(path)
            self._note(path, at)
        self._takes("]]" if is_array else "]")
        return path

    def _latest(self, path: Path) -> Path:
        return (*path, self._counts[path] - 1) if path in self._counts else path

    def _pair(self, table: Path) -> None:
        at = self._at
        path = table
        for part in self._key():
            path = (*path, part)
            self._note(path, at)
        self._takes("=")
        self._skip(BLANK)
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._takes("["):
            self._array(path)
        elif self._takes("{"):
            self._inline_table(path)
        else:
            self._skip(SCALAR)

    def _array(self, path: Path) -> None:
        index = 0
        self._skip(BLANK)
        while not self._takes("]"):
            self._note((*path, index), self._at)
            self._value((*path, index))
            index += 1
            self._between()

    def _inline_table(self, path: Path) -> None:
        self._skip(BLANK)
        while not self._takes("}"):
            self._pair(path)
            self._between()

    def _between(self) -> None:
        self._skip(BLANK)
        self._takes(",")
        self._skip(BLANK)


def _plain(part: str) -> str:
    if part.startswith(("'", '"')):
        return str(tomllib.loads(f"k = {part}")["k"])
    return part
