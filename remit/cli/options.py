"""Options that several commands share."""

from datetime import datetime
from typing import Annotated

import typer

from remit.client import Client, connect
from remit.errors import Misuse

from . import completion

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
DatasetName = Annotated[
    str,
    typer.Argument(help="The dataset's name, as `remit datasets` lists it.", autocompletion=completion.datasets),
]
Columns = Annotated[
    str | None,
    typer.Option(
        help="Names with commas between; all of the grant's where left out.", autocompletion=completion.columns
    ),
]
Rows = Annotated[str | None, typer.Option(help="A filter: x < 500 and button = 'left'.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most that many rows.")]
Purpose = Annotated[str | None, typer.Option(help="What it is for; the grant's purpose where left out.")]
GrantId = Annotated[str | None, typer.Option(help="Under which grant; yours are tried in order where left out.")]


def gateway() -> Client:
    """The gateway of REMIT_URL, as the owner of REMIT_TOKEN or of the login that is kept for it."""
    return connect()


def names(columns: str | None) -> list[str] | None:
    """`x, y` → `["x", "y"]`; None stays None."""
    if columns is None:
        return None
    found = [name.strip() for name in columns.split(",")]
    if "" in found:
        raise Misuse(f"`--columns {columns}` leaves a name out; write names with one comma between, like x,y")
    return found


def instant(text: str | None, option: str) -> datetime | None:
    """A time with its zone, from RFC 3339: 2026-11-21T08:00:00Z."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misuse(f"`{option} {text}` is no time; write it like 2026-11-21T08:00:00Z") from error
    if time.tzinfo is None:
        raise Misuse(f"`{option} {text}` has no time zone; write it like 2026-11-21T08:00:00Z")
    return time
