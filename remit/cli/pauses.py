"""`remit pauses`: what is paused or suspended, and lifting it, which takes two people."""

from typing import Annotated

import typer
from pydantic import TypeAdapter

from remit.answers import Pause

from . import options, terminal

commands = typer.Typer(help="See what is paused; two people lift a pause.", no_args_is_help=True)


@commands.command("list")
def list_all(as_json: options.Json = False) -> None:
    """Lists every pause in force, and who wants one lifted."""
    with options.gateway() as gateway:
        found = tuple(gateway.pauses())
    if as_json:
        terminal.print_json(found, TypeAdapter(tuple[Pause, ...]))
        return
    lines = [
        (each.id, each.kind, each.target, each.reason, each.set_by, each.set_at, each.proposed and each.proposed.by)
        for each in found
    ]
    terminal.table(("id", "what", "which", "why", "by", "since", "lift proposed by"), lines, empty="nothing is paused")


@commands.command()
def lift(
    pause: Annotated[str, typer.Argument(metavar="ID", help="The pause's id, as `remit pauses list` shows it.")],
    why: Annotated[str, typer.Option(prompt=True, help="Why reading may go on.")],
    as_json: options.Json = False,
) -> None:
    """Proposes to lift a pause; the second person lifts it."""
    with options.gateway() as gateway:
        answer = gateway.lift(pause, why)
    if as_json:
        terminal.print_json(answer, TypeAdapter(Pause))
    elif answer.lifted:
        terminal.say(f"lifted: {answer.kind} {answer.target}".rstrip())
    else:
        terminal.say("proposed: somebody else has to run the same command")
