"""`remit demo`: a made-up day of work, the real service, and one story told with real commands."""

import shlex
import time
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from rich.console import Console

from remit.client import connect

from . import budget, sev, stage
from .acts import GRANT, REQUEST, Act
from .pager import Pages
from .stage import DemoFailed, Stage

PLACE = Path(".demo")

OPENING = """
A company records how its staff work, to train models. [bold]Remit[/bold] stands in
front of every read of that data: a token says who asks, rules and a declared
scope decide, the ledger records it durably, and only then do rows leave.
Whoever asks for more than was declared is refused, and on-call is told.
"""


ACTS = (
    Act(
        "ana",
        "Ana, a researcher, asks for what she needs, and sees at once what the rules make of it.",
        ("requests", "create", "request.toml"),
    ),
    Act(
        "mia",
        "Mia's team owns the data. How long keys were held is enough, she says, and approves that.",
        (
            *("requests", "approve", REQUEST, "--dataset", "keystrokes"),
            *("--columns", "employee_id,occurred_at,dwell_ms", "--comment", "not which keys", "--yes"),
        ),
    ),
    Act(
        "pia",
        "Keystrokes are highly sensitive, so Pia, of privacy, has to look as well. Now there is a grant.",
        ("requests", "approve", REQUEST, "--yes"),
    ),
    Act("ana", "Ana looks at what she would see of one dataset.", ("datasets", "pointer_events")),
    Act(
        "ana",
        "She reads within her scope, into a file. Who it was comes as a pseudonym that no other grant shares.",
        ("read", "pointer_events", "--columns", "employee_id,occurred_at,x,y", "--out", "pointer.arrow"),
    ),
    Act(
        "ana",
        "She asks for one column more than was declared: which keys were pressed. Nothing leaves.",
        ("read", "keystrokes", "--columns", "employee_id,occurred_at,key", "--out", "keys.arrow"),
        exit=1,
    ),
    Act("olga", "Olga is on call. The excess became a SEV before Ana had read her answer.", ("alerts", "list")),
    Act("olga", "She looks at it: declared, asked and given, side by side.", ("alerts", "show", "1")),
    Act("olga", "She takes it on.", ("alerts", "ack", "1", "--why", "talking with Ana")),
    *budget.ACTS,
    Act("sam", "Sam, from security, reads the trail. His looking is in it too.", ("audit", "tail", "--limit", "8")),
    Act("sam", "And he recomputes the whole ledger himself: nothing changed, nothing missing.", ("audit", "verify")),
)

PAGED = ("alerts", "list")
"""Before this is asked, the page that made somebody ask is shown."""

KEPT = """The service goes on at {gateway}. Try it as ana, mia, pia, olga, sam or eve:

  {place}/as ana datasets
  {place}/as ana check pointer_events --columns x,y --rows "x < 500"
  {place}/as ana read pointer_events --columns x,y --limit 5
  {place}/as ana read performance_reviews
  {place}/as sam audit search --kind read.refused

The next `make demo` stops it; `.venv/bin/remit demo --stop` only stops it."""


def tell(*, keep: bool) -> None:
    """Set the stage in `.demo`, play every act, and leave the service running if `keep`. Raises `DemoFailed`."""
    console = Console(highlight=False)
    console.print(OPENING, end="")
    began = time.monotonic()
    place = PLACE.absolute()
    _heading(console, "A day of work of 200 employees is made up")
    rows = stage.set_up(place, _last_working_day(datetime.now(UTC).date()))
    for name, count in rows.items():
        console.print(f"  {name:<22}{count:>10,} rows")
    _heading(console, "`remit serve` starts, on a PostgreSQL of its own")
    running = stage.start(place)
    console.print(f"  serving at {running.gateway}")
    try:
        _play_all(console, running)
    except BaseException:
        stage.stop(place)
        raise
    seconds = time.monotonic() - began
    _heading(console, f"That is Remit, in {seconds:.0f} seconds.")
    if keep:
        console.print(KEPT.format(gateway=running.gateway, place=PLACE), markup=False)
    else:
        stage.stop(place)
        console.print("Everything was stopped; `make demo KEEP=1` leaves it running, to try by hand.")


def _play_all(console: Console, running: Stage) -> None:
    pages, played = Pages(running.place), 0

    def play(act: Act) -> None:
        nonlocal played
        played += 1
        _play(console, running, played, act)

    def do(who: str, says: str, *command: str, exit: int = 0) -> None:
        play(Act(who, says, command, exit))

    for act in ACTS:
        if act.command == PAGED:
            sev.show(console, pages, "asked beyond scope")
        play(act)
    sev.tell(console, running, pages, do)


def _last_working_day(today: date) -> date:
    days = (today - timedelta(days=back) for back in range(1, 4))
    return next(day for day in days if day.weekday() < 5)


def stop() -> None:
    """Stop what `remit demo --keep` left running."""
    stage.stop(PLACE.absolute())


def _play(console: Console, running: Stage, number: int, act: Act) -> None:
    known = _known(running, act.command)
    arguments = tuple(known.get(each, each) for each in act.command)
    command = shlex.join(arguments)
    _heading(console, f"{number}. {act.says}")
    with budget.broken(console, running, act.breaks, known[GRANT]) if act.breaks else nullcontext():
        console.print(f"  {act.who} $ remit {command}", style="bold cyan", markup=False, soft_wrap=True)
        ended = running.act(act.who, *arguments)
        if ended != act.exit:
            raise DemoFailed(
                f"`remit {command}` ended with {ended}, not {act.exit}; see {running.place / 'service.log'}"
            )


def _known(running: Stage, command: tuple[str, ...]) -> dict[str, str]:
    """What stands in `command` for an id, and the id."""
    if not {REQUEST, GRANT} & set(command):
        return {}
    with connect(running.gateway, token=running.token("ana")) as client:
        if REQUEST in command:
            return {REQUEST: next(client.requests.all()).id}
        return {GRANT: next(client.grants()).id}


def _heading(console: Console, text: str) -> None:
    # Whoever reads it from a file or a pipe has lines of their own width.
    console.print(f"\n[bold]{text}[/bold]", soft_wrap=not console.is_terminal)
