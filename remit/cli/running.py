"""`remit serve`, `remit demo`, `remit database migrate`: start the gateway, see it at work, make its tables."""

import os
from typing import Annotated

import typer

from gateway.settings import Settings

from . import options, terminal

database = typer.Typer(help="Make or upgrade the tables of a database of your own.", no_args_is_help=True)


def serve() -> None:
    """Starts the gateway; REMIT_… in the environment sets it up."""
    settings = Settings.from_environment(os.environ)
    # imported here: no other command should wait for a whole gateway to load
    from gateway.server import serve as serve_gateway

    serve_gateway(settings)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the gateway running, to try things yourself.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Only stop what --keep left running.")] = False,
) -> None:
    """Makes up a day of work and tells one story with it."""
    from remit.demo import story

    if stop:
        story.stop()
    else:
        story.tell(keep=keep)


@database.command()
def migrate(
    owner: Annotated[str, typer.Option("--database", metavar="OWNER_URL", help="As the owner of the database.")],
    role: Annotated[str, typer.Option(help="The role that the gateway connects as; gets its rights.")],
    as_json: options.Json = False,
) -> None:
    """Makes or upgrades the tables, and gives a role its rights.

    URL is the owner's; the role is the gateway's, which can add to the ledger and change nothing of it."""
    from audit.schema import migrate as migrate_schema

    migrate_schema(owner, role)
    if as_json:
        terminal.print_json({"role": role, "migrated": True})
        return
    terminal.say(f"the tables are up to date, and `{role}` has its rights")
