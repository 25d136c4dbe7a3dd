"""Tables that somebody else wrote, as TOML or JSON: each getter notes what is wrong and goes on.

A getter that found something wrong answers with an empty value, so what is built from it must not be used before
`Problems.raise_any` was passed.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from .errors import Misread, MisreadAll
from .names import ANY, is_name

Path = tuple[str | int, ...]
"""Where something stands in a table of tables: keys, and indexes of lists."""
NAME_RULE = "lower-case letters, digits and _, joined by dots"
UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def shown(text: str) -> str:
    """`text` as it may stand in a message: at most 80 characters, those that do not print written out."""
    cut = text if len(text) <= 80 else text[:79] + "…"
    return "".join(c if c.isprintable() and c != "`" else f"\\u{ord(c):04x}" for c in cut)


def closest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like `name`, or None where none is near."""
    return next(iter(difflib.get_close_matches(name[:200], list(candidates), n=1)), None)


class Problems:
    """Everything that is wrong with one file, gathered so that its author sees all of it at once."""

    def __init__(self, file: str, lines: Mapping[Path, int] | None = None) -> None:
        self._file = file
        self._lines = lines or {}
        self._found: list[Misread] = []

    def add(self, path: Path, reason: str, suggestion: str | None = None) -> None:
        """Notes a problem with what stands at `path`; its line is that, or that of the nearest table around it."""
        line = next((self._lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self._lines), None)
        self._found.append(Misread(self._file, line, reason, suggestion))

    def near(self, name: str, candidates: Iterable[str]) -> str | None:
        """`closest`, while there are few problems: thousands of mistakes are not worth thousands of searches."""
        near = closest(name, candidates) if len(self._found) < 100 else None
        return near and shown(near)

    def all(self) -> MisreadAll | None:
        """What was noted so far, in the order of lines; None where nothing was."""
        return MisreadAll(self._found) if self._found else None

    def raise_any(self) -> None:
        """Raises `MisreadAll` where anything was noted."""
        if self._found:
            raise MisreadAll(self._found)


def place(path: Path) -> str:
    """`("datasets", "d", "audience", 0, "team")` → `datasets.d.audience[0].team`, fit for a message."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{shown(step)}" for step in path)
    return "".join(steps).removeprefix(".")


@dataclass(frozen=True, slots=True)
class Table:
    """One table, where it stands, and where its problems go. A JSON null counts as a key that is not there."""

    values: Mapping[str, object]
    path: Path
    problems: Problems

    def refuse(self, key: str | int, reason: str, suggestion: str | None = None) -> None:
        """Notes that what stands under `key` cannot be accepted."""
        self.problems.add((*self.path, key), reason, suggestion)

    def at(self, key: str | int) -> str:
        """How messages call what stands under `key`."""
        return place((*self.path, key))

    def only(self, known: Collection[str]) -> None:
        """Refuses every key that is not `known`."""
        for key in self.values:
            if key not in known:
                self.refuse(key, f"unknown key `{self.at(key)}`", self.problems.near(key, known))

    def is_named(self, name: str) -> bool:
        """Whether `name`, which this table is called by, is a dotted name; a problem where it is not."""
        if not is_name(name):
            self.problems.add(self.path, f"`{shown(name)}` is no name: names are {NAME_RULE}")
        return is_name(name)

    def text(self, key: str, what: str, *, required: bool = True) -> str:
        """A text that is not blank; `what` tells its author what belongs there. Not there: empty."""
        value = self.values.get(key)
        if value is None:
            if required:
                self.refuse(key, f"`{self.at(key)}` is missing: it must be {what}")
            return ""
        if not isinstance(value, str) or not value.strip():
            self.refuse(key, f"`{self.at(key)}` must be {what}, as a text that is not empty")
            return ""
        if UNWRITABLE.search(value):
            self.refuse(key, f"`{self.at(key)}` holds a control character or half a surrogate pair: take it out")
            return ""
        return value

    def name(self, key: str, what: str, *, required: bool = True, any_too: bool = False) -> str:
        """A dotted name, or `*` where `any_too`."""
        value = self.text(key, what, required=required)
        if value and not is_name(value) and not (any_too and value == ANY):
            rule = NAME_RULE + (", or `*`" if any_too else "")
            self.refuse(key, f"`{self.at(key)}` must be {what}, not `{shown(value)}`: names are {rule}")
            return ""
        return value

    def entries(self, key: str, what: str) -> Iterator[tuple[str, object]]:
        """The entries of the table under `key`, of which there must be at least one."""
        value = self.values.get(key)
        if isinstance(value, Mapping) and value:
            yield from value.items()
        else:
            self.refuse(key, f"`{self.at(key)}` is missing or empty: {what}")

    def items(self, key: str, what: str) -> Iterator[tuple[int, object]]:
        """The items of the list under `key`, numbered from 0; not there: none."""
        value = self.values.get(key)
        if isinstance(value, list):
            yield from enumerate(value)
        elif value is not None:
            self.refuse(key, f"`{self.at(key)}` must be {what}")

    def within(self, *steps: str | int, value: object, what: str) -> "Table | None":
        """The table `value`, which stands below this one; None, and a problem, where it is no table."""
        path = (*self.path, *steps)
        if isinstance(value, Mapping):
            return Table(value, path, self.problems)
        self.problems.add(path, f"`{place(path)}` must be {what}")
        return None
