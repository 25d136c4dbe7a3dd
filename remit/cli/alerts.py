"""`remit alerts`: what on-call sees first, the evidence, taking one on, containing and resolving it."""

from collections.abc import Sequence
from typing import Annotated

import typer
from pydantic import TypeAdapter

from policy.amounts import amount
from remit.alerts import Alert, Step
from remit.answers import Accepted

from . import options, terminal

commands = typer.Typer(help="See alerts and their evidence; take on, contain, resolve them.", no_args_is_help=True)
Why = Annotated[str, typer.Option(prompt=True, help="What you found, or what you are about to do.")]
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
    """Shows one alert: declared, asked and given side by side.

    Also the entries that it rests on, what happened to it, and what you can do."""
    with options.gateway() as gateway:
        _show(gateway.alert(alert), as_json=as_json)


@commands.command()
def ack(
    alert: AlertId,
    why: Why,
    as_json: options.Json = False,
) -> None:
    """Takes an alert on in your name; that is recorded."""
    with options.gateway() as gateway:
        _show(gateway.acknowledge(alert, why), as_json=as_json)


@commands.command()
def contain(
    alert: AlertId,
    why: Why,
    what: Annotated[
        str | None, typer.Option(help="grant, principal, dataset, team, purpose or everything; else what it proposes.")
    ] = None,
    target: Annotated[str, typer.Option(help="Which one; the alert's own where left out.")] = "",
    as_json: options.Json = False,
) -> None:
    """Suspends or pauses what the alert is about, in every gateway.

    That it stays closed is tested from then on."""
    from audit.severities import AROUND_REMIT

    with options.gateway() as gateway:
        contained = gateway.contain(alert, why, what=what, target=target)
    _show(contained, as_json=as_json)
    if contained.code == AROUND_REMIT:
        terminal.note("the files are as open as before: only taking their permissions away closes them")


@commands.command()
def resolve(alert: AlertId, why: Why, as_json: options.Json = False) -> None:
    """Says that it is over; refused while anything of it is open.

    What the alert is about has to stay closed without what contains it."""
    with options.gateway() as gateway:
        _show(gateway.resolve(alert, why), as_json=as_json)


@commands.command()
def accept(
    alert: AlertId,
    digest: Annotated[str, typer.Option("--open", metavar="DIGEST", help="What would be open, as `resolve` names it.")],
    why: Why,
    as_json: options.Json = False,
) -> None:
    """Lets be open what the alert closed; two people have to.

    They accept just that, by its name."""
    with options.gateway() as gateway:
        answer = gateway.accept_open(alert, digest, why)
    if as_json:
        terminal.print_json(answer, TypeAdapter(Accepted))
    elif len(answer.by) < answer.needed:
        terminal.say(f"accepted by {', '.join(answer.by)}: it takes {answer.needed} people")
    else:
        terminal.say(f"accepted by {', '.join(answer.by)}: it may be open, and is asked no more")


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
    named += [("entries", alert.entries), ("owner", alert.owner), ("next", alert.next)]
    if alert.acknowledged is not None:
        said = alert.acknowledged
        named += [("taken on", f"by {said.by} at {terminal.shown(said.at)}: {said.why}")]
    if alert.hold is not None and alert.hold.checks:
        hold = alert.hold
        is_open = f"{hold.open_by_rules} by the rules, {hold.open_whole} whole"
        named.append(("held", f"{amount(hold.checks, 'access', 'accesses')} must stay refused; open now: {is_open}"))
    terminal.fields(named, terminal.out())
    for number, times in enumerate(_times(alert.history)):
        lines = [(step.at, step.state, step.by, _did(step), step.entry) for step in times]
        terminal.say("what happened" if number == 0 else "what happened after it was open again")
        terminal.table(("at", "state", "who", "why", "entry"), lines, empty="")
    if alert.state != "resolved" and alert.actions:
        terminal.say("what you can do")
        for action in alert.actions:
            terminal.say(f"  {action.command}")


def _times(history: Sequence[Step]) -> list[list[Step]]:
    """The history, cut where the alert was opened again."""
    times: list[list[Step]] = [[]]
    for step in history:
        if step.event == "reopened":
            times.append([])
        times[-1].append(step)
    return [steps for steps in times if steps]


def _did(step: Step) -> str:
    what, target = step.details.get("what"), step.details.get("target")
    return f"{what}{' ' if target else ''}{target or ''}: {step.why}" if what else step.why
