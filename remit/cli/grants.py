"""`remit grants`: list, add and revoke what was approved."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter

from remit.answers import Grant

from . import options, terminal
from .policy import bytes_of

commands = typer.Typer(help="List, add and revoke grants.", no_args_is_help=True)


@commands.command("list")
def list_all(
    everybody: Annotated[bool, typer.Option("--everybody", help="Also those of others; for administrators.")] = False,
    as_json: options.Json = False,
) -> None:
    """Lists your grants, newest first."""
    with options.gateway() as gateway:
        found = tuple(gateway.grants(everybody=everybody))
    if as_json:
        terminal.print_json(found, TypeAdapter(tuple[Grant, ...]))
        return
    headings = ("id", "status", "for", "purpose", "datasets", "rows used", "ends")
    terminal.table(headings, map(_line, found), empty="no grants")


@commands.command()
def add(
    file: Annotated[Path, typer.Argument(help="A declared scope, in TOML.")],
    as_json: options.Json = False,
) -> None:
    """Grants a declared scope; the file is checked before it is sent."""
    # imported here: the taxonomy behind it takes longer to load than most commands take
    from policy.scopes import load_scope, scope_to_json

    scope = scope_to_json(load_scope(bytes_of(file), file=file.name))
    with options.gateway() as gateway:
        _say_grant("added", gateway.add_grant(scope), as_json=as_json)


@commands.command()
def revoke(
    grant: Annotated[str, typer.Argument(metavar="ID", help="The grant's id, as `remit grants list` shows it.")],
    why: Annotated[str, typer.Option(help="Why it ends; that is recorded.")] = "no reason was given",
    as_json: options.Json = False,
) -> None:
    """Ends a grant for good.

    No read is authorised under it from now on, and those that run end.
    """
    with options.gateway() as gateway:
        _say_grant("revoked", gateway.revoke_grant(grant, why), as_json=as_json)


def _say_grant(done: str, grant: Grant, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(grant, TypeAdapter(Grant))
        return
    terminal.say(f"{done} {grant.id}: {_who(grant)} for {grant.purpose}")
    terminal.fields([("status", grant.status), ("datasets", list(grant.datasets))], terminal.out())
    terminal.fields([("used", f"{_budget(grant)} rows"), ("subjects", _subjects(grant))], terminal.out())
    terminal.fields([("ends", grant.ends)], terminal.out())


def _line(grant: Grant) -> tuple[object, ...]:
    who, datasets = _who(grant), list(grant.datasets)
    used = f"{_budget(grant)}; {subjects} subjects" if (subjects := _subjects(grant)) else _budget(grant)
    return grant.id, grant.status, who, grant.purpose, datasets, used, grant.ends


def _who(grant: Grant) -> str:
    return grant.principal or f"team {grant.team}"


def _budget(grant: Grant) -> str:
    return f"{grant.rows_used:,} of {'any' if grant.max_rows is None else f'{grant.max_rows:,}'}"


def _subjects(grant: Grant) -> str:
    return "" if grant.max_subjects is None else f"{grant.subjects_used:,} of {grant.max_subjects:,}"
