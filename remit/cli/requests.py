"""`remit requests`: ask for a scope, and decide on those of others with their effect in view."""

import sys
from collections.abc import Mapping
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter

from remit.client import Client
from remit.errors import Misuse, Refused, RemitError
from remit.requests import Request

from . import asking, completion, options, terminal
from .policy import bytes_of
from .requested import line_of, show_request
from .used import next_scope, show_next, show_used

commands = typer.Typer(help="Ask for a scope, and decide on those of others.", no_args_is_help=True)
RequestId = Annotated[str, typer.Argument(metavar="ID", help="The request's id, as `remit requests list` shows it.")]
Why = Annotated[str, typer.Option(prompt=True, help="Why; that is recorded.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask again, after it was shown.")]


@commands.command()
def create(
    file: Annotated[Path | None, typer.Argument(help="A declared scope, in TOML; asked for where left out.")] = None,
    break_glass: Annotated[
        bool, typer.Option("--break-glass", help="For an hour, at once, without approval; reviewed afterwards.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Asks for a scope, and shows at once what the rules make of it.

    Without a file it asks on the terminal. Whose it is may be left out of the file: then it is yours.
    """
    if file is None and not sys.stdin.isatty():
        raise Misuse("name a file with the scope: there is no terminal to ask on")
    with options.gateway() as gateway:
        if file:
            scope = asking.scope_of_file(bytes_of(file), file.name)
            if scope.get("break_glass") and not break_glass:
                raise Misuse(f"`{file.name}` skips approval and raises an alert: say so with --break-glass as well")
        else:
            scope = asking.scope_of_answers(gateway, at_once=break_glass)
        if break_glass:
            scope |= {"break_glass": True}
        try:
            made = gateway.requests.create(scope)
        except RemitError:
            if file is None:
                asking.note_answers(scope)
            raise
        _say("asked for", made, as_json=as_json)


@commands.command("list")
def list_all(
    everybody: Annotated[bool, typer.Option("--everybody", help="Also those of others; for security.")] = False,
    as_json: options.Json = False,
) -> None:
    """Lists requests that concern you, newest first.

    You made them, would read under them or have a say in them."""
    with options.gateway() as gateway:
        found = tuple(gateway.requests.all(everybody=everybody))
    if as_json:
        terminal.print_json(found, TypeAdapter(tuple[Request, ...]))
        return
    headings = ("id", "state", "who asks", "for", "purpose", "datasets", "missing", "you can")
    terminal.table(headings, map(line_of, found), empty="no requests")


@commands.command()
def show(request: RequestId, as_json: options.Json = False) -> None:
    """Shows one request: its effect, and who has to approve.

    Also who has approved, and what happened to it."""
    with options.gateway() as gateway:
        found = gateway.requests.get(request)
        _say("", found, as_json=as_json)
        if not as_json:
            _show_last(gateway, found)


@commands.command()
def approve(
    request: RequestId,
    comment: Annotated[str, typer.Option(help="What you want to have said with it.")] = "",
    max_rows: Annotated[
        int | None, typer.Option(min=1, help="At most so many rows, fewer than were asked for.")
    ] = None,
    max_subjects: Annotated[int | None, typer.Option(min=1, help="At most so many people.")] = None,
    ends: Annotated[str | None, typer.Option(help="An earlier end, like 2026-12-01T00:00:00Z.")] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="The dataset that --columns and --rows narrow.", autocompletion=completion.datasets),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Only these columns stay, with commas between.", autocompletion=completion.columns),
    ] = None,
    rows: Annotated[str | None, typer.Option(help="One more filter: x < 500.")] = None,
    shown: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="What you were shown before, as `show` names it; else nothing.")
    ] = None,
    yes: Yes = False,
    as_json: options.Json = False,
) -> None:
    """Approves a request as it is shown, or makes less of it.

    What you name is made less before you approve. Whoever approved before a narrowing has to look again.
    """
    with options.gateway() as gateway:
        found = gateway.requests.get(request)
        narrowing = _narrowing(found, max_rows, max_subjects, ends, dataset, columns, rows)
        _show_before(gateway, found, as_json=as_json)
        found = replace(found, shown=shown or found.shown)
        if narrowing:
            _confirm(f"make this of it: {terminal.shown(dict(narrowing))}?", yes, "it stays as it was")
            found = gateway.requests.narrow(found, narrowing, comment or "an approver narrowed it")
            _show_before(gateway, found, as_json=as_json)
        left = "it was narrowed and not approved" if narrowing else "it was not approved"
        _confirm("approve this?", yes, f"{left}; `remit requests deny {request}` refuses it for good")
        _say("approved", gateway.requests.approve(found, comment), as_json=as_json)


@commands.command()
def renew(
    grant: Annotated[str, typer.Argument(metavar="GRANT", help="The grant to go on from.")],
    whole: Annotated[bool, typer.Option("--all", help="The same scope again, not only what was used of it.")] = False,
    why: Annotated[str | None, typer.Option(help="The justification; that of the grant where left out.")] = None,
    yes: Yes = False,
    as_json: options.Json = False,
) -> None:
    """Asks again for what was used of a grant, for as long."""
    with options.gateway() as gateway:
        last = gateway.granted.get(grant)
        if not as_json:
            show_used(last)
        scope = next_scope(last, whole=whole)
        scope |= {"renews": grant} | ({"justification": why} if why else {})
        if not as_json:
            show_next(scope)
        _confirm("ask for this?", yes, "nothing was asked for")
        _say("asked for", gateway.requests.create(scope), as_json=as_json)


@commands.command()
def deny(request: RequestId, why: Why, as_json: options.Json = False) -> None:
    """Refuses a request for good."""
    with options.gateway() as gateway:
        _say("denied", gateway.requests.deny(request, why), as_json=as_json)


@commands.command()
def withdraw(
    request: RequestId,
    why: Annotated[str, typer.Option(help="Why; that is recorded.")] = "no reason was given",
    as_json: options.Json = False,
) -> None:
    """Takes a request of yours back."""
    with options.gateway() as gateway:
        _say("withdrawn", gateway.requests.withdraw(request, why), as_json=as_json)


@commands.command()
def review(request: RequestId, why: Why, as_json: options.Json = False) -> None:
    """Closes the review of a grant that was taken without approval."""
    with options.gateway() as gateway:
        _say("reviewed", gateway.requests.review(request, why), as_json=as_json)


def _narrowing(
    found: Request,
    max_rows: int | None,
    max_subjects: int | None,
    ends: str | None,
    dataset: str | None,
    columns: str | None,
    rows: str | None,
) -> Mapping[str, Any]:
    instant = options.instant(ends, "--ends")
    until = None if instant is None else instant.isoformat()
    made: dict[str, Any] = {"max_rows": max_rows, "max_subjects": max_subjects, "ends": until}
    inner = {"columns": options.names(columns), "rows": rows}
    inner = {name: value for name, value in inner.items() if value is not None}
    if inner:
        names = list(found.scope.datasets)
        if dataset is None and len(names) != 1:
            raise Misuse(f"name the dataset that is narrowed with --dataset: {', '.join(names)}")
        made["datasets"] = {dataset or names[0]: inner}
    return {name: value for name, value in made.items() if value is not None}


def _confirm(question: str, yes: bool, otherwise: str) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Misuse("there is no terminal to ask on; write --yes where you have looked at it")
    if not typer.confirm(question):
        terminal.note(f"stopped: {otherwise}")
        raise typer.Exit(1)


def _show_before(gateway: Client, request: Request, *, as_json: bool) -> None:
    """What is decided on, and recorded as shown; beside JSON on standard error."""
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        show_request(request)
        _show_last(gateway, request)


def _show_last(gateway: Client, request: Request) -> None:
    """How much was used of the grant that this would renew, for whoever may see that."""
    if request.renews is None:
        return
    try:
        last = gateway.granted.get(request.renews)
    except Refused:
        return
    terminal.say(f"{last.id}, which this renews:")
    show_used(last)


def _say(done: str, request: Request, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(request, TypeAdapter(Request))
        return
    if done:
        terminal.say(f"{done} {request.id}: {request.state}")
    show_request(request)
