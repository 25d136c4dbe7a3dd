"""What a grant was used for, on a terminal, and what follows from it."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from pydantic import TypeAdapter

from policy.amounts import amount
from remit.answers import GrantedDataset
from remit.client import Client
from remit.errors import Misuse
from remit.granted import GrantDetail

from . import terminal

SCOPE = ("principal", "team", "purpose", "max_rows", "max_subjects", "justification", "training_run", "assessment")


def said(grant: GrantDetail) -> str:
    """`3 of 11 columns, 4 % of the rows`, or the rows themselves where there is no budget of them."""
    declared = {(name, column) for name, one in grant.datasets.items() for column in one.columns}
    used = {(name, column) for name, one in grant.used.items() for column in one.columns}
    rows = sum(one.rows for one in grant.used.values())
    most = grant.max_rows
    share = amount(rows, "row") if most is None else f"{_percent(grant.rows_used, most)} % of the rows"
    return f"{len(declared & used)} of {amount(len(declared), 'column')}, {share}"


def line_of(grant: GrantDetail) -> tuple[object, ...]:
    """A grant as a line of a review."""
    who, datasets = grant.principal or f"team {grant.team}", list(grant.datasets)
    return grant.id, grant.proposal, grant.unused_days, who, grant.purpose, datasets, said(grant), grant.ends


def show_declared(grant: GrantDetail) -> None:
    """What a grant is for: why, how long, which columns and rows, and how much of each budget is used."""
    named: list[tuple[str, object]] = [("why", grant.justification), ("from", grant.starts), ("until", grant.ends)]
    named += [("rows", _of(grant.rows_used, grant.max_rows)), ("people", _of(grant.subjects_used, grant.max_subjects))]
    named += [
        ("scope", f"{name}: {', '.join(one.columns)}; {one.rows or 'every row'}")
        for name, one in grant.datasets.items()
    ]
    terminal.fields(named, terminal.out())


def show_used(grant: GrantDetail) -> None:
    """What was used of a grant, as a whole and of each dataset."""
    terminal.fields([("used", said(grant))], terminal.out())
    for name, one in grant.used.items():
        reads = f"{amount(one.reads, 'read')}, {amount(one.rows, 'row')}"
        reads = f"{reads}, the last at {terminal.shown(one.last_at)}"
        terminal.say(f"  {name}: {', '.join(one.columns)} in {reads}")


def next_scope(grant: GrantDetail, *, whole: bool) -> dict[str, Any]:
    """What to ask for after `grant`. Raises `Misuse` where nothing of it was used."""
    if grant.renewal is None:
        raise Misuse(f"nothing was read under `{grant.id}`, so there is nothing to renew; ask anew for what is needed")
    if not whole:
        return dict(grant.renewal)
    plain = TypeAdapter(GrantDetail).dump_python(grant, mode="json")
    datasets = {name: _plain(one) for name, one in grant.datasets.items()}
    times = {key: grant.renewal[key] for key in ("starts", "ends")}
    return {key: plain[key] for key in SCOPE if plain[key] is not None} | times | {"datasets": datasets}


def show_next(scope: Mapping[str, Any]) -> None:
    """What would be asked for."""
    terminal.say("to ask for next:")
    named = [
        (name, f"{', '.join(one['columns'])}; {one.get('rows') or 'every row'}")
        for name, one in scope["datasets"].items()
    ]
    named += [(key, scope[key]) for key in ("max_rows", "max_subjects", "starts", "ends") if key in scope]
    terminal.fields(named, terminal.out())


def walk(gateway: Client, grants: Sequence[GrantDetail]) -> None:
    """Ask about each grant: keep it, revoke it, or stop here."""
    if not grants:
        terminal.note("no grants on datasets of your teams")
    for number, grant in enumerate(grants, start=1):
        who = grant.principal or f"team {grant.team}"
        terminal.say(f"{number} of {len(grants)}  {grant.id}: {who} for {grant.purpose}")
        show_declared(grant)
        terminal.fields([("unused", amount(grant.unused_days, "day")), ("proposal", grant.proposal)], terminal.out())
        show_used(grant)
        default = "r" if grant.proposal == "remove" else "k"
        answer = ""
        while answer not in ("k", "r", "q"):
            answer = typer.prompt("[k]eep, [r]evoke, [q]uit", default=default).strip().lower()[:1]
        if answer == "q":
            return
        if answer == "r":
            why = typer.prompt("why", default=f"reviewed: unused for {amount(grant.unused_days, 'day')}")
            terminal.say(f"revoked {gateway.revoke_grant(grant.id, why).id}")


def _percent(used: int, most: int) -> str:
    """Never 0 where some were used, never 100 where some are left."""
    return "less than 1" if 0 < 100 * used < most else str(100 * used // most)


def _of(used: int, most: int | None) -> str | None:
    return None if most is None else f"{used:,} of {most:,} used"


def _plain(one: GrantedDataset) -> dict[str, Any]:
    return {"columns": list(one.columns)} | ({"rows": one.rows} if one.rows else {})
