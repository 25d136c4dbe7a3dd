"""`remit report exposure`: who could read a dataset in a time, and who did; on the terminal, as JSON, as one page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remit.errors import Misuse

from . import completion, options, report_words, terminal

if TYPE_CHECKING:
    from audit.report_values import ExposureReport

commands = typer.Typer(help="What a company needs to know within the hour.", no_args_is_help=True)


@commands.callback()
def reports() -> None:
    """What a company needs to know within the hour."""


@commands.command()
def exposure(
    dataset: Annotated[str | None, typer.Option(help="The dataset's name.", autocompletion=completion.datasets)] = None,
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="2026-11-21T08:00:00Z, for one.")] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Up to this time; now where left out.")
    ] = None,
    alert: Annotated[
        str | None, typer.Option(metavar="ID", help="For an alert: its dataset, from a day before it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="One self-contained page: report.html.")] = None,
    as_json: options.Json = False,
) -> None:
    """Who could have read a dataset, interval by interval, and who did: what, how much, of whom; it is recorded."""
    from pydantic import TypeAdapter

    from audit.report_values import ExposureReport

    if alert is None and (dataset is None or since is None):
        raise Misuse("name --dataset and --from, or --alert; `remit alerts list` shows the alerts")
    place = _place(out)
    first, end = options.instant(since, "--from"), options.instant(until, "--to")
    with options.gateway() as gateway:
        told = gateway.exposure(dataset, since=first, until=end, alert=alert)
    report = TypeAdapter(ExposureReport).validate_python(told)
    if place is not None:
        _write(report, place)
    if as_json:
        terminal.print_json(told)
        return
    _print(report)
    if place is not None:
        terminal.note(f"the page is in {place}")


def _place(out: Path | None) -> Path | None:
    """Where the page goes, asked before anything else: a report is an entry."""
    from .outfile import check_place

    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise Misuse(f"`{out}` is no page; end it in .html")
    return None if out is None else check_place(out)


def _write(report: "ExposureReport", place: Path) -> None:
    from .outfile import appearing
    from .report_page import page_of

    with appearing(place) as file:
        file.write(page_of(report).encode())


def _print(report: "ExposureReport") -> None:
    terminal.say(f"who could read `{report.dataset}`, and who did")
    terminal.say(report_words.time_of(report))
    for section in report_words.sections(report):
        terminal.say("")
        terminal.say(section.title.upper())
        for line in section.says:
            terminal.say(f"  {line}")
        if section.rows:
            terminal.table(section.headings, section.rows, empty="")
