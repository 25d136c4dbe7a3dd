"""A scope to ask for, out of a file or out of answers on a terminal."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

from remit.client import Client
from remit.errors import Misuse

from . import terminal

DAYS = 30


def scope_of_file(data: bytes, name: str) -> dict[str, Any]:
    """What a scope file says, as JSON has it. Raises `MisreadAll` where it is no TOML; the gateway judges the rest."""
    # imported here: the taxonomy behind it takes longer to load than most commands take
    from policy.toml_lines import read_toml

    return {key: _plain(value) for key, value in read_toml(data, file=name).values.items()}


def scope_of_answers(gateway: Client) -> dict[str, Any]:
    """What somebody at a terminal answers; they are shown which columns there are and what they would see of them."""
    dataset = gateway.dataset(typer.prompt("dataset").strip())
    for column in dataset.columns:
        terminal.say(f"  {column.name:<20} {column.treatment or '':<10} {column.data_class or ''}")
    columns = [name.strip() for name in typer.prompt("columns, with commas between").split(",") if name.strip()]
    rows = typer.prompt("rows (a filter, empty for every row)", default="", show_default=False).strip()
    purposes = sorted({one.purpose for one in dataset.audience})
    purpose = typer.prompt("purpose", default=purposes[0] if len(purposes) == 1 else None).strip()
    days = typer.prompt("for how many days", default=DAYS, type=int)
    most = typer.prompt("at most how many rows (empty: any)", default="", show_default=False).strip()
    justification = typer.prompt("why, in a sentence").strip()
    now = datetime.now(UTC)
    scope: dict[str, Any] = {
        "purpose": purpose,
        "starts": now.isoformat(),
        "ends": (now + timedelta(days=days)).isoformat(),
        "justification": justification,
        "datasets": {dataset.name: {"columns": columns} | ({"rows": rows} if rows else {})},
    }
    return scope | ({"max_rows": _whole(most)} if most else {})


def _whole(text: str) -> int:
    try:
        return int(text.replace(",", "").replace("_", ""))
    except ValueError:
        raise Misuse(f"`{text}` is no whole number") from None


def _plain(value: object) -> Any:
    """TOML's values as JSON has them: times are written out."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
