"""`remit alerts`: what on-call sees first, the evidence, and taking one on."""

from typing import Annotated

import typer
from pydantic import TypeAdapter

from remit.answers import Alert

from . import options, terminal

commands = typer.Typer(help="See alerts with their evidence, and take them on.", no_args_is_help=True)
AlertId = Annotated[str, typer.Argument(metavar="ID", help="The alert's id, as `remit alerts list` shows it.")]


@commands.command("list")
def list_all(as_json: options.Json = False) -> None:
    """Lists every alert, newest first."""
    with options.gateway() as gateway:
        found = tuple(gateway.alerts())
    if as_json:
        terminal.print_json(found, TypeAdapter(tuple[Alert, ...]))
        return
    lines = [
        (alert.id, f"SEV{alert.severity}", alert.state, alert.title, alert.actor, alert.count, alert.last_at)
        for alert in found
    ]
    terminal.table(("id", "sev", "state", "what", "who", "times", "last"), lines, empty="no alerts")


@commands.command()
def show(alert: AlertId, as_json: options.Json = False) -> None:
    """Shows one alert: declared, asked and given side by side, and the entries it rests on."""
    with options.gateway() as gateway:
        _show(gateway.alert(alert), as_json=as_json)


@commands.command()
def ack(
    alert: AlertId,
    why: Annotated[str, typer.Option(prompt=True, help="What you found, or what you are about to do.")],
    as_json: options.Json = False,
) -> None:
    """Takes an alert on in your name; that is recorded."""
    with options.gateway() as gateway:
        _show(gateway.acknowledge(alert, why), as_json=as_json)


def _show(alert: Alert, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(alert, TypeAdapter(Alert))
        return
    terminal.say(f"SEV{alert.severity} {alert.title}")
    named: list[tuple[str, object]] = [("id", alert.id), ("state", alert.state), ("who", alert.actor)]
    named += [("dataset", alert.dataset), ("grant", alert.grant), ("code", alert.code)]
    named += [("classes", alert.data_classes), ("times", alert.count)]
    named += [("first", alert.first_at), ("last", alert.last_at)]
    if alert.evidence is not None:
        evidence = alert.evidence
        named += [("declared", evidence.declared), ("asked", evidence.asked), ("given", evidence.given)]
        named += [("rules", evidence.rules)]
    named += [("entries", alert.entries), ("next", alert.next)]
    if alert.acknowledged is not None:
        said = alert.acknowledged
        named += [("taken on", f"by {said.by} at {terminal.shown(said.at)}: {said.why}")]
    terminal.fields(named, terminal.out())
