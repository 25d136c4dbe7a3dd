"""`remit grants`: list, add and revoke what was approved."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter

from remit.answers import Grant
from remit.granted import GrantDetail, GrantRead

from . import options, terminal
from .policy import bytes_of
from .used import line_of, show_declared, show_used, walk

commands = typer.Typer(help="List, show, add, review and revoke grants.", no_args_is_help=True)
GrantId = Annotated[str, typer.Argument(metavar="ID", help="The grant's id, as `remit grants list` shows it.")]


@dataclass(frozen=True, slots=True)
class Shown:
    """A grant with every read under it, for programs."""

    grant: GrantDetail
    reads: tuple[GrantRead, ...]


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
def show(grant: GrantId, as_json: options.Json = False) -> None:
    """Shows one grant, its use, and every read under it.

    It does so whatever became of the grant."""
    with options.gateway() as gateway:
        found, reads = gateway.granted.get(grant), tuple(gateway.granted.reads(grant))
    if as_json:
        terminal.print_json(Shown(found, reads), TypeAdapter(Shown))
        return
    terminal.say(f"{found.id}: {found.state}, {found.principal or f'team {found.team}'} for {found.purpose}")
    terminal.fields([("request", found.request), ("asked by", found.requester)], terminal.out())
    show_declared(found)
    show_used(found)
    lines = [
        (each.at, each.kind, each.actor, each.dataset, each.rows, each.code or each.ended_by, each.read)
        for each in reads
    ]
    terminal.table(("when", "what", "who", "dataset", "rows", "", "read"), lines, empty="no reads")


@commands.command()
def review(as_json: options.Json = False) -> None:
    """Walks through the grants on what your teams own.

    Longest unused first. On a terminal it asks about each; what nobody used for 30 days is proposed for removal.
    """
    with options.gateway() as gateway:
        found = gateway.granted.review()
        if as_json:
            terminal.print_json(found, TypeAdapter(tuple[GrantDetail, ...]))
        elif sys.stdin.isatty():
            walk(gateway, found)
        else:
            headings = ("id", "proposal", "unused days", "for", "purpose", "datasets", "used", "ends")
            terminal.table(headings, map(line_of, found), empty="no grants on datasets of your teams")


@commands.command()
def revoke(
    grant: GrantId,
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
    return grant.id, grant.state or grant.status, who, grant.purpose, datasets, used, grant.ends


def _who(grant: Grant) -> str:
    return grant.principal or f"team {grant.team}"


def _budget(grant: Grant) -> str:
    return "unlimited" if grant.max_rows is None else f"{grant.rows_used:,} of {grant.max_rows:,}"


def _subjects(grant: Grant) -> str:
    return "" if grant.max_subjects is None else f"{grant.subjects_used:,} of {grant.max_subjects:,}"
