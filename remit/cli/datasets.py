"""`remit datasets`: what there is; and of one dataset, how much of each column you would get, and why."""

from typing import Annotated

import typer
from pydantic import TypeAdapter

from remit.answers import Dataset

from . import completion, options, terminal


def datasets(
    name: Annotated[
        str | None, typer.Argument(help="Show this one, column by column.", autocompletion=completion.datasets)
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Lists the datasets, or what you would get of one."""
    with options.gateway() as gateway:
        if name is not None:
            _show(gateway.dataset(name), as_json=as_json)
            return
        found = tuple(gateway.datasets())
    if as_json:
        terminal.print_json(found, TypeAdapter(tuple[Dataset, ...]))
        return
    lines = [(each.name, each.title, each.owner, [column.name for column in each.columns]) for each in found]
    terminal.table(("name", "title", "owner", "columns"), lines, empty="the catalogue is empty")


def _show(found: Dataset, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(found, TypeAdapter(Dataset))
        return
    terminal.say(f"{found.name}: {found.title}")
    audience = [f"{member.team} for {member.purpose}" for member in found.audience] or "nobody"
    terminal.fields([("owner", found.owner), ("source", found.source), ("audience", audience)], terminal.out())
    lines = [
        (column.name, column.data_class, column.type, column.sensitivity, column.treatment, column.why)
        for column in found.columns
    ]
    headings = ("column", "data class", "type", "sensitivity", "you get", "because")
    terminal.table(headings, lines, empty="it has no columns")
