"""The lines of `policies.conf`, read so that nothing means something else to Casbin than to a person.

Casbin's own reader joins lines that end in a backslash, keeps a `# …` behind a value, merges repeated sections, lets
the last of two equal names win and does not know `[ rules ]`. A file that would make use of any of it is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .errors import Misread, MisreadAll
from .model import MODEL
from .names import is_name
from .tables import closest, shown

NAMES = "names are lower-case letters, digits and _, joined by dots"
BLANKS = " \t"
SECTIONS = (*MODEL, "data_classes", "purposes", "conditions", "rules")
DECLARED_IN = {"data class": "data_classes", "purpose": "purposes", "condition": "conditions"}
"""Where a name of each kind gets its meaning; words of other kinds are Remit's own."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One `name = value`; `line` counts from 1."""

    name: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Section:
    """A section's settings in their order; `line` is where it opens."""

    line: int
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class ConfFile:
    """The sections that Remit knows, in the order in which they open."""

    sections: Mapping[str, Section]

    def settings(self, section: str) -> tuple[Setting, ...]:
        """What `section` holds; nothing where the file does not have it."""
        return self.sections[section].settings if section in self.sections else ()

    def line(self, section: str) -> int | None:
        """Where `section` opens; None where the file does not have it."""
        return self.sections[section].line if section in self.sections else None


class ConfProblems:
    """Everything that is wrong with one file, gathered so that its author sees all of it at once."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: list[Misread] = []

    def refuse(self, line: int | None, reason: str, suggestion: str | None = None) -> None:
        """Notes a problem of `line`, or of the whole file where that is None."""
        self._found.append(Misread(self._file, line, reason, suggestion))

    def unknown(self, line: int, what: str, name: str, known: Iterable[str]) -> None:
        """Notes that `name` is not one of `known`, and which of them is near, or else what can be done."""
        # A file of a hundred thousand mistakes is not worth a hundred thousand searches.
        near = closest(name, known) if len(self._found) < 100 else None
        self.refuse(line, f"unknown {what} `{shown(name)}`" + ("" if near else _way_out(what, known)), near)

    def raise_any(self) -> None:
        """Raises `MisreadAll` where anything was noted."""
        if self._found:
            raise MisreadAll(self._found)


def _way_out(what: str, known: Iterable[str]) -> str:
    section = DECLARED_IN.get(what)
    return f"; declare it in `[{section}]`" if section else f"; write {' or '.join(f'`{name}`' for name in known)}"


def read_conf(data: bytes, problems: ConfProblems) -> ConfFile:
    """Splits `data` into sections and settings; what is wrong with it is added to `problems`."""
    lines = _Lines(problems)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        problems.refuse(data.count(b"\n", 0, error.start) + 1, "not UTF-8: save the file as UTF-8")
        problems.raise_any()
    for number, line in enumerate(text.split("\n"), start=1):
        lines.take(number, line.removesuffix("\r"))
    return lines.conf()


class _Lines:
    def __init__(self, problems: ConfProblems) -> None:
        self._refuse = problems.refuse
        self._opened: dict[str, int] = {}
        self._settings: dict[str, dict[str, Setting]] = {}
        self._section: dict[str, Setting] = {}
        self._take = self._refuse_homeless

    def conf(self) -> ConfFile:
        sections = {name: Section(line, tuple(self._settings[name].values())) for name, line in self._opened.items()}
        return ConfFile(sections)

    def take(self, number: int, line: str) -> None:
        written = line.strip(BLANKS)
        if not written.replace("\t", " ").isprintable():
            odd = next(c for c in written if not c.isprintable() and c != "\t")
            self._refuse(number, f"holds the invisible character U+{ord(odd):04X}: take it out")
        elif not written or written.startswith("#"):
            return
        elif written.startswith(";"):
            self._refuse(number, "comments start with `#`, not with `;`")
        elif written.endswith("\\"):
            self._refuse(number, "ends in `\\`, which joins it to the next line: write it on one line")
        elif written.startswith("["):
            self._open(number, written)
        else:
            self._take(number, written)

    def _open(self, number: int, written: str) -> None:
        name = written[1:-1]
        if not written.endswith("]") or name not in SECTIONS:
            near = closest(name.strip(" []").casefold(), SECTIONS)
            self._refuse(number, f"unknown section `{shown(written)}`", near and f"[{near}]")
            self._take = self._skip
            return
        if name in self._opened:
            self._refuse(number, f"section `[{name}]` is already in line {self._opened[name]}")
        self._opened.setdefault(name, number)
        self._section = self._settings.setdefault(name, {})
        self._take = self._set

    def _skip(self, number: int, written: str) -> None:
        """What stands in a section that nobody knows is not judged."""

    def _refuse_homeless(self, number: int, written: str) -> None:
        self._refuse(number, f"`{shown(written)}` stands before the first section")

    def _set(self, number: int, written: str) -> None:
        name, equals, value = (part.strip(BLANKS) for part in written.partition("="))
        if not equals:
            self._refuse(number, f"`{shown(written)}` is no `name = value`")
        elif not is_name(name):
            self._refuse(number, f"`{shown(name)}` is no name: {NAMES}")
        elif name in self._section:
            self._refuse(number, f"`{shown(name)}` is already in line {self._section[name].line}")
        elif not value:
            self._refuse(number, f"`{shown(name)}` says nothing: write a value behind the `=`")
        else:
            self._section[name] = Setting(name, value, number)
