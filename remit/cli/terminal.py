"""What a person sees: text that cannot drive the terminal, tables, problems; and what a program sees: JSON."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from remit.answers import Problem

T = TypeVar("T")
WIDE = 100_000
"""The width of a pipe: nothing is folded or cut for a program that reads along."""
LONGEST_CELL = 60
"""Characters of a line of a cell, on a terminal: a name of three hundred must not push the others out."""


def out() -> Console:
    """Standard output, without anything that would read the text as markup."""
    return _console(stderr=False)


def notes() -> Console:
    """Standard error, for all that is not the answer itself."""
    return _console(stderr=True)


def visible(text: object) -> str:
    """`text` with everything that a terminal would act on, or that turns text around, written as an escape."""
    return "".join(char if _is_plain(char) else _escaped(char) for char in str(text))


def say(text: object) -> None:
    """One line of the answer."""
    out().print(Text(visible(text)), soft_wrap=True)


def note(text: object) -> None:
    """One line about the answer, for people only."""
    notes().print(Text(visible(text)), soft_wrap=True)


def table(headings: Sequence[str], lines: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table, or `empty` on standard error where it has no lines."""
    rows = [[visible(shown(cell)) for cell in line] for line in lines]
    if not rows:
        note(empty)
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    # what comes first is what one copies: it stays whole, unless it would leave nothing for the others
    is_whole = 2 * max(cell_len(row[0]) for row in rows) <= out().width
    for number, heading in enumerate(headings):
        most = LONGEST_CELL if number and out().is_terminal else None
        drawn.add_column(Text(visible(heading)), overflow="fold", no_wrap=is_whole and number == 0, max_width=most)
    for row in rows:
        drawn.add_row(*map(Text, row))
    out().print(drawn)


def fields(named: Iterable[tuple[str, object]], console: Console) -> None:
    """Names and values below each other; values that are absent are left out."""
    lines = [(name, text) for name, value in named if (text := shown(value))]
    width = max((9, *(len(name) for name, _ in lines)))
    for name, text in lines:
        console.print(Text(f"  {name:<{width}} {visible(text)}"), soft_wrap=True)


def problem(said: Problem) -> None:
    """Why it did not happen, and what to do next, on standard error."""
    console = notes()
    for line in f"{said.code}: {said.detail or said.title}".splitlines():
        console.print(Text(visible(line), style="bold red"), soft_wrap=True)
    excess = said.excess
    fields([("declared", excess.declared), ("asked", excess.asked)] if excess else [], console)
    fields([("rules", said.rules), ("read", said.read), ("entry", said.entry), ("next", said.help)], console)


def shown(value: object) -> str:
    """A value as people read it: times in UTC to the second, lists with commas, nothing for what is absent."""
    match value:
        case None:
            return ""
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%SZ")
        case list() | tuple():
            return ", ".join(map(shown, value))
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def print_json(value: T, shape: TypeAdapter[T] | None = None) -> None:
    """One line of JSON in ASCII; `shape` says how a value that is not JSON yet becomes it."""
    plain: Any = value if shape is None else shape.dump_python(value, mode="json", by_alias=True)
    sys.stdout.write(json.dumps(plain) + "\n")


def print_problem_json(said: Problem) -> None:
    """The problem as one line of JSON, on standard error: standard output only ever holds an answer."""
    sys.stderr.write(json.dumps(TypeAdapter(Problem).dump_python(said, mode="json", by_alias=True)) + "\n")


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    is_terminal = stream.isatty()
    # said, not guessed: else FORCE_COLOR would put colours into files and pipes
    return Console(
        stderr=stderr,
        width=None if is_terminal else WIDE,
        force_terminal=is_terminal,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _is_plain(char: str) -> bool:
    return char == " " or char.isprintable()


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
