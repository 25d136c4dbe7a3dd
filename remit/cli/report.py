"""`remit report exposure`: who could read a dataset in a time, and who did; on the terminal, as JSON, as one page."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remit.errors import Misuse

from . import completion, options, report_words, terminal
from .verifying import Keys, keys_of

if TYPE_CHECKING:
    from audit.notes import Verifier
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
    key: Keys = None,
    as_json: options.Json = False,
) -> None:
    """Who could have read a dataset, and who did.

    Interval by interval: what, how much, of whom. That it was asked is recorded."""
    from pydantic import TypeAdapter

    from audit.report_values import ExposureReport

    from .report_page import page_of

    if alert is None and (dataset is None or since is None):
        raise Misuse("name --dataset and --from, or --alert; `remit alerts list` shows the alerts")
    place, trusted = _place(out), keys_of(key)
    first, end = options.instant(since, "--from"), options.instant(until, "--to")
    with options.gateway() as gateway:
        told = gateway.exposure(dataset, since=first, until=end, alert=alert)
    report = TypeAdapter(ExposureReport).validate_python(told)
    verified = _signed(report, trusted) if trusted else report_words.UNVERIFIED
    if place is not None:
        _write(page_of(report, verified), place)
    if as_json:
        terminal.print_json(told)
        return
    _print(report, verified, is_short=place is not None)
    if place is not None:
        terminal.note(f"the page is in {place}")


def _place(out: Path | None) -> Path | None:
    """Where the page goes, asked before anything else: a report is an entry."""
    from .outfile import check_place

    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise Misuse(f"`{out}` is no page; end it in .html")
    return None if out is None else check_place(out)


def _write(page: str, place: Path) -> None:
    from .outfile import appearing

    with appearing(place) as file:
        file.write(page.encode())


def _signed(report: "ExposureReport", trusted: "Sequence[Verifier]") -> str:
    """Whose signature of the checkpoint holds; raises `NotProven` where none of these keys signed it."""
    from audit.errors import NotProven
    from audit.notes import Checkpoint, Note, base64

    cover = report.checkpoint
    if not cover.size:
        raise NotProven("no checkpoint covers the report yet; ask again in a second")
    note = Note.parse(cover.note.encode())
    said, by = Checkpoint.parse(note.text), note.verified(trusted)
    if not by or (said.origin, said.size, base64(said.root)) != (cover.origin, cover.size, cover.root):
        raise NotProven("the checkpoint of the report is not signed by the key that was given")
    return f"signed by {', '.join(map(str, by))}; whether the entries are those: `remit audit verify`"


def _print(report: "ExposureReport", verified: str, *, is_short: bool) -> None:
    """Everything; where it is in a page, only what it comes to."""
    terminal.say(f"who could read `{report.dataset}`, and who did")
    terminal.say(report_words.time_of(report))
    for section in report_words.sections(report, verified):
        if is_short and section.title not in report_words.SHORT:
            continue
        terminal.say("")
        terminal.say(section.title.upper())
        for line in section.says:
            terminal.say(f"  {line}")
        if section.rows and not is_short:
            terminal.table(section.headings, section.rows, empty="")
