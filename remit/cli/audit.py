"""`remit audit`: the trail as it grows, and a search in it; verifying and proofs have modules of their own."""

import json
import time
from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import typer

from remit.answers import Line

from . import completion, options, proofs, terminal, verifying

commands = typer.Typer(help="Follow, search and verify the ledger.", no_args_is_help=True)
commands.command()(verifying.verify)
commands.command()(verifying.check_proof)
commands.command()(proofs.checkpoint)
commands.command()(proofs.prove)
commands.add_typer(proofs.key, name="key")
FOLLOW_SECONDS = 1.0
Count = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many entries.")]
Word = Annotated[str | None, typer.Option()]
When = Annotated[str | None, typer.Option(metavar="TIME")]


@commands.command()
def tail(
    limit: Count = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with entries as they are written.")] = False,
    as_json: options.Json = False,
) -> None:
    """Prints the latest entries, oldest first.

    With --json each is one line."""
    with options.gateway() as gateway:
        latest = list(islice(gateway.entries(), limit))[::-1]
        _print_lines(latest, as_json=as_json)
        seq = latest[-1]["seq"] if latest else 0
        while follow:
            fresh = gateway.entries_after(seq)
            _print_lines(fresh.items, as_json=as_json)
            seq = int(fresh.next or seq)
            if not fresh.items:
                time.sleep(FOLLOW_SECONDS)


@commands.command()
def search(
    actor: Word = None,
    team: Word = None,
    dataset: Annotated[str | None, typer.Option(autocompletion=completion.datasets)] = None,
    purpose: Word = None,
    code: Word = None,
    kind: Word = None,
    grant: Word = None,
    read: Word = None,
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="2026-11-21T08:00:00Z, for one.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to this time.")] = None,
    limit: Count = 100,
    as_json: options.Json = False,
) -> None:
    """Finds entries that match all that is given, newest first."""
    with options.gateway() as gateway:
        found = gateway.entries(
            actor=actor,
            team=team,
            dataset=dataset,
            purpose=purpose,
            code=code,
            kind=kind,
            grant=grant,
            read=read,
            since=options.instant(since, "--from"),
            until=options.instant(until, "--to"),
        )
        lines = list(islice(found, limit))
    if as_json:
        terminal.print_json(lines)
    else:
        headings = ("seq", "at", "what", "who", "dataset", "code", "grant")
        terminal.table(headings, map(_cells, lines), empty=f"no entry matches{_unknown(kind)}")


def _print_lines(lines: Sequence[Line], *, as_json: bool) -> None:
    for line in lines:
        if as_json:
            terminal.print_json(line)
        else:
            seq, at, kind, *rest = map(terminal.shown, _cells(line))
            terminal.say(f"{seq:>8}  {at}  {kind:<18}  {'  '.join(filter(None, rest))}")


def _unknown(kind: str | None) -> str:
    """That nothing was found of a kind that there is not is no all-clear."""
    from audit.entries import Kind

    is_known = kind is None or any(f"{known}.".startswith(f"{kind}.") for known in Kind)
    return "" if is_known else f": there is no kind `{kind}`"


def _cells(line: Line) -> tuple[object, ...]:
    return tuple(_cell(line.get(name)) for name in ("seq", "at", "kind", "actor", "dataset", "code", "grant"))


def _cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, dict) else value
