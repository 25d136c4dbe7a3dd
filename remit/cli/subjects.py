"""`remit subjects`: forgetting somebody whose rows were read."""

import sys
from typing import Annotated

import typer
from pydantic import TypeAdapter

from remit.errors import Misuse
from remit.subjects import Erased

from . import options, terminal

commands = typer.Typer(help="Erase people from the records of reads.", no_args_is_help=True)


@commands.callback()
def subjects() -> None:
    """Keeps the commands under their word while there is one."""


@commands.command()
def erase(
    data_class: Annotated[str, typer.Argument(metavar="CLASS", help="Of the column that names them: user.unique_id.")],
    why: Annotated[str, typer.Option(prompt=True, help="Why; that is recorded for good, so name nobody in it.")],
    name: Annotated[
        str | None, typer.Argument(help="Their id, as the data has it; asked for, or read from a pipe, where left out.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Forgets who somebody was in every record of a read. There is no way back.

    Erase their data first: whoever is read again is a new number. That somebody was in a read stays proved.
    """
    named = _asked() if name is None else name
    with options.gateway() as gateway:
        erased = gateway.subjects.erase(data_class, named, why)
    if as_json:
        terminal.print_json(erased, TypeAdapter(Erased))
        return
    terminal.say(f"erased: their number stands for nobody of `{erased.data_class}` any more")


def _asked() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("id"))
    line = sys.stdin.readline()
    if not line:
        raise Misuse("whom? name them, or put their id on one line of standard input")
    return line.removesuffix("\n")
