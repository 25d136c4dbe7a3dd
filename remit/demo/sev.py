"""How the demo ends: the hole is closed with one command, and stays closed although somebody opens it again."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from remit.client import connect

from .pager import NoPage, Page, Pages
from .stage import DemoFailed, Stage
from .written import write

Do = Callable[..., None]
"""Plays one act: `do(who, says, *command, exit=0)`."""
ALERT = "1"
"""The excess of which on-call was paged first."""
RULE = "keys_for_training"
NARROW, WIDE = "read, privacy_trained, coarse", "read, -, coarse"
SHOWN = ("declared", "asked", "given", "contain")


def tell(console: Console, running: Stage, pages: Pages, do: Do) -> None:
    """Contain it, widen a rule, accept that, be paged again, narrow it, lift the pause. Raises `DemoFailed`."""
    policies = running.place / "policies.conf"
    do(
        "olga",
        "Ana does not answer. Olga closes it with one command: from its commit on, nobody reads any keystrokes.",
        *("alerts", "contain", ALERT, "--why", "nobody knows yet what the keys were for"),
    )
    do("ana", "Ana's own grant is in force, and gets her nothing.", "check", "keystrokes", exit=1)
    edit(console, policies, NARROW, WIDE)
    reload = ("policy", "reload")
    do("eve", "Somebody widens the rule: no training in privacy any more. It is not let in.", *reload, exit=1)
    show(console, pages, "would open again")
    accept = (*reload, "--accept", _offered(running), "--why", "the new ones start today")
    do("olga", "Olga accepts these very files by name, in the knowledge of what they open.", *accept)
    do("otto", "It takes two people.", *accept)
    do("eve", "Now they are let in.", *reload)
    accepted = time.monotonic()
    show(console, pages, "let in again what was closed")
    console.print(f"  … {time.monotonic() - accepted:.0f} seconds later: what was closed is asked again every minute.")
    edit(console, policies, WIDE, NARROW)
    do("eve", "The rule is narrowed again.", *reload)
    lift = ("pauses", "lift", _pause(running), "--why", "Ana had the wrong notebook open")
    do("olga", "With the hole closed, the pause may go. Olga proposes it, …", *lift)
    do("otto", "… and a second person lifts it: it is asked once more whether anything would be open.", *lift)
    do(
        "sam",
        "Who could have read those keys, who did, who tried: one page, for whoever asks within the hour.",
        *("report", "exposure", "--alert", ALERT, "--out", "report.html"),
    )


def show(console: Console, pages: Pages, about: str) -> None:
    """Print the page that on-call got. Raises `DemoFailed` where there is none."""
    try:
        page = pages.next(about)
    except NoPage as missing:
        raise DemoFailed(str(missing)) from None
    console.print("\n  [bold red]The pager rings[/bold red] (a signed webhook, to a receiver on this machine):")
    for line in (page.title, *_lines(page)):
        console.print(f"  | {line}", markup=False, soft_wrap=True)


def edit(console: Console, policies: Path, old: str, new: str) -> None:
    """Change one rule, and show the line."""
    lines = policies.read_text().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if line.startswith(RULE))
    changed = lines[at].replace(old, new)
    if changed == lines[at]:
        raise DemoFailed(f"rule `{RULE}` of `{policies}` is not what it was; start the demo anew")
    console.print("\n[bold]In policies.conf:[/bold]")
    for sign, line in (("-", lines[at]), ("+", changed)):
        console.print(f"  {sign} {line.rstrip()}", markup=False, soft_wrap=True)
    lines[at] = changed
    write(policies, "".join(lines), policies.stat().st_mode & 0o777)


def _lines(page: Page) -> list[str]:
    return [f"{name + ':':<10}{page.line(name)}" for name in SHOWN if page.line(name)]


def _offered(running: Stage) -> str:
    """The digest of the files that were refused last, as the refusal told it."""
    with connect(running.gateway, token=running.token("sam")) as client:
        return str(next(client.entries(kind="policy.refused"))["details"]["offered"])


def _pause(running: Stage) -> str:
    with connect(running.gateway, token=running.token("olga")) as client:
        return next(client.pauses()).id
