"""`remit audit verify`, `check-proof`: proof for whoever trusts neither the database nor the gateway."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from policy.amounts import amount
from remit.errors import Misuse

from . import options, telling, terminal

if TYPE_CHECKING:
    from audit.notes import Verifier
    from audit.verify import Verdict

SHOWN = 100
"""Problems that a person is shown; `--json` has all."""
Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--key", metavar="VKEY", help="A key that you trust, the ledger's or a witness's; several for several."
    ),
]
Database = Annotated[str | None, typer.Option(metavar="URL", help="Else REMIT_DATABASE_URL, else REMIT_HOME.")]


def verify(
    database: Database = None,
    key: Keys = None,
    since: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A checkpoint that was verified before: read only what is new.")
    ] = None,
    tell: Annotated[
        bool, typer.Option("--tell/--no-tell", help="Call on-call over REMIT_URL where something does not hold.")
    ] = True,
    as_json: options.Json = False,
) -> None:
    """Recomputes the whole ledger from its raw rows.

    That is entries, tree, checkpoints and signatures. It does so here and never asks the gateway; where something does
    not hold, it exits with 1, and on-call is told by the gateway of REMIT_URL, where that is set."""
    from audit.errors import BadNote, NotProven
    from audit.verify import verify as verify_ledger

    trusted, note = keys_of(key), text_of(since) if since else ""
    if since and not note:
        _fail(f"not verified: `{since}` is empty, and no checkpoint to go on from")
    try:
        with ledger(database) as url, _progress() as progress:
            verdict = verify_ledger(url, keys=trusted, since=note, progress=progress)
    except (BadNote, NotProven) as wrong:
        _fail(f"not verified: {wrong}")
    _print(verdict, since, as_json=as_json)
    if not verdict.holds:
        if tell:
            telling.tell(verdict)
        raise typer.Exit(1)


def check_proof(
    proof: Annotated[Path, typer.Argument(metavar="PROOF", help="A file that `remit audit prove` made; - reads it.")],
    key: Keys = None,
    entry: Annotated[Path | None, typer.Option(metavar="FILE", help="The entry's canonical text, to compare.")] = None,
    as_json: options.Json = False,
) -> None:
    """Checks a proof that you were handed, with a trusted key.

    It needs no database and no gateway."""
    from audit.errors import BadNote, NotProven
    from audit.handed import check_proof as check

    trusted = keys_of(key)
    if not trusted:
        raise Misuse("give --key VKEY: a proof proves something to whoever knows the ledger's key from elsewhere")
    text = sys.stdin.buffer.read() if str(proof) == "-" else bytes_of(proof)
    try:
        proven = check(text, trusted, bytes_of(entry) if entry else None)
    except (BadNote, NotProven) as wrong:
        _fail(f"not proven: {wrong}")
    said = proven.entry.decode(errors="replace")
    if as_json:
        facts = {"origin": proven.origin, "size": proven.size, "seq": proven.seq, "entry": said}
        terminal.print_json(facts | {"signed_by": list(map(str, proven.by))})
        return
    terminal.say(f"proven: this is entry {proven.seq:,} of the ledger")
    signers = " and ".join(map(str, proven.by))
    terminal.say(f"  `{proven.origin}`, signed at {amount(proven.size, 'entry')} by {signers}")
    terminal.say(said)


def keys_of(texts: Sequence[str] | None, option: str = "--key") -> tuple["Verifier", ...]:
    """The keys that were given as vkeys."""
    from audit.errors import BadNote
    from audit.notes import Verifier

    try:
        return tuple(Verifier.parse(text) for text in texts or ())
    except BadNote as wrong:
        raise Misuse(f"`{option}` is no key: {wrong}; write it as `name+hash+base64`, in quotes") from wrong


def text_of(path: Path) -> str:
    """The text in a file; bytes that are none become what no note holds."""
    return bytes_of(path).decode(errors="replace")


def bytes_of(path: Path) -> bytes:
    """What is in a file."""
    try:
        return path.read_bytes()
    except OSError as fault:
        raise Misuse(f"`{path}` cannot be read: {(fault.strerror or 'it is no file').lower()}") from fault


@contextmanager
def ledger(database: str | None) -> Iterator[str]:
    """The URL of the ledger's database: as given, as set, or the embedded one, started where it does not run."""
    url = database or os.environ.get("REMIT_DATABASE_URL")
    if url:
        yield url
        return
    home = Path(os.environ.get("REMIT_HOME") or ".remit")
    if not home.is_dir():
        raise Misuse(f"there is no embedded database in `{home}`; give --database URL or set REMIT_HOME")
    from audit.postgres import Embedded

    with Embedded.open(home) as embedded:
        yield embedded.url("owner")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal. It is drawn by this thread: verifying may copy the process, which other threads forbid."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal.notes(), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("verify")

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, refresh=True)

        yield show


def _print(verdict: "Verdict", since: Path | None, *, as_json: bool) -> None:
    problems = [{"seq": problem.seq, "what": problem.what} for problem in verdict.problems]
    intact = {"integrity": verdict.integrity, "completeness": verdict.completeness}
    if as_json:
        signed = {"signed": verdict.signed, "by": verdict.by, "key_given": verdict.is_key_given}
        at = verdict.unsigned_since
        signed |= {"unsigned_since": at.isoformat() if at else None, "witnessed": verdict.witnessed}
        terminal.print_json(
            {
                "origin": verdict.origin,
                "size": verdict.size,
                "root": verdict.root.hex(),
                **intact,
                **signed,
                "problems": problems,
            }
        )
        return
    terminal.say(f"{amount(verdict.size, 'entry')}, root {verdict.root.hex() or 'unknown'}")
    terminal.say(f"  ledger       {verdict.origin}")
    if since:
        same = "; the tree says that those before are the same" if verdict.integrity else ""
        terminal.say(f"  read are those after the checkpoint of `{since}`{same}")
    for name, holds in intact.items():
        terminal.say(f"  {name:<12} {'holds' if holds else 'BROKEN'}")
    for line in _signed(verdict):
        terminal.say(line)
    for problem in problems[:SHOWN]:
        terminal.say(f"  entry {problem['seq']}: {problem['what']}")
    if len(problems) > SHOWN:
        terminal.say(f"  … and {len(problems) - SHOWN:,} more; --json has all")


def _signed(verdict: "Verdict") -> Iterator[str]:
    if not verdict.by:
        yield "  signed       nothing by a key that is trusted"
    else:
        yield f"  signed       the first {verdict.signed:,}, by {verdict.by}"
    if verdict.by and verdict.signed < verdict.size:
        since = f" since {verdict.unsigned_since:%Y-%m-%d %H:%M:%SZ}" if verdict.unsigned_since else ""
        yield f"  not yet      the {verdict.size - verdict.signed:,} after them{since}: nothing proves those so far"
    for witness, size in verdict.witnessed.items():
        yield f"  co-signed    {f'the first {size:,}' if size else 'nothing'}, by {witness}"
    if verdict.by and not verdict.is_key_given:
        yield "  That key is the one that the ledger itself names, which proves less: give yours with --key."


def _fail(what: str) -> None:
    terminal.note(what)
    raise typer.Exit(1)
