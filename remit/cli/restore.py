"""`remit audit restore-check`: whether a database is all that its witnesses saw of it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.amounts import amount
from remit.errors import Misuse

from . import options, terminal
from .verifying import keys_of, ledger

if TYPE_CHECKING:
    from audit.cosigner import WitnessAt
    from audit.notes import Verifier
    from audit.restored import Found, Seen

SAID = {
    "same": "is what was seen, to the last entry",
    "ahead": "grew out of what was seen",
    "lost": "has LOST entries that were seen",
    "forked": "is ANOTHER HISTORY than what was seen",
}


def restore_check(
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A checkpoint that was kept; with --key.")
    ] = None,
    witness: Annotated[
        str | None, typer.Option(metavar="URL", help="A witness to ask; with --key. Else those of REMIT_WITNESSES.")
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="Whose signature counts; the ledger's names the ledger."),
    ] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="Else REMIT_DATABASE_URL, else REMIT_HOME.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Says whether a restored database is all that was seen.

    By its witnesses, or by a checkpoint that was kept. Exits with 1 where some of it is lost, and says how much."""
    from audit.restored import Outcome, compare, origin_of

    trusted = keys_of(keys)
    with ledger(database) as url:
        origin = origin_of(url)
        seen = [_kept(checkpoint, trusted, witness)] if checkpoint else _witnessed(witness, trusted, origin)
        if wrong := next((each for each in seen if each.checkpoint.origin != origin), None):
            raise Misuse(f"this ledger is `{origin}`, and the checkpoint is of `{wrong.checkpoint.origin}`")
        found = [compare(url, each) for each in seen]
    if as_json:
        terminal.print_json([_fields(each) for each in found])
    for each in found if not as_json else []:
        _tell(each)
    if any(each.outcome in (Outcome.LOST, Outcome.FORKED) for each in found):
        raise typer.Exit(1)


def _kept(file: Path, keys: "Sequence[Verifier]", witness: str | None) -> "Seen":
    from audit.notes import Note
    from audit.restored import Seen

    if witness is not None or not keys:
        raise Misuse("`--checkpoint FILE` goes with the --key that signed it, and with no --witness")
    try:
        return Seen.of(Note.parse(file.read_bytes()), keys)
    except OSError as fault:
        raise Misuse(f"`{file}`: {(fault.strerror or str(fault)).lower()}") from fault


def _witnessed(url: str | None, keys: "Sequence[Verifier]", origin: str) -> "list[Seen]":
    """What each witness saw; one that cannot be asked is told of, and only where none can it is a fault."""
    from audit.errors import NotCosigned
    from audit.notes import COSIGNED
    from gateway.settings import witnesses

    own = [key for key in keys if key.algorithm == COSIGNED]
    # What the database calls itself is its own word, and a witness may know several ledgers.
    if other := next((key.name for key in keys if key not in own and key.name != origin), None):
        raise Misuse(f"this ledger is `{origin}`, and the key is of `{other}`")
    if len(own) != (1 if url else 0):
        raise Misuse("`--witness URL` goes with one --key of a witness, its own; `remit witness key` prints it")
    asked = (_at(url, own[0]),) if url else witnesses(os.environ).witnesses
    if not asked:
        raise Misuse("give --witness URL and --key, or --checkpoint FILE and --key, or set REMIT_WITNESSES")
    seen = []
    for at, each in enumerate(asked):
        try:
            seen.append(_asked(each, origin))
        except NotCosigned as fault:
            if at + 1 == len(asked) and not seen:
                raise NotCosigned(f"`{each.key.name}` at {each.url}: {fault}") from fault
            terminal.note(f"{each.key.name}: {fault}")
    return seen


def _at(url: str, key: "Verifier") -> "WitnessAt":
    from audit.cosigner import WitnessAt

    if not url.startswith(("http://", "https://")):
        raise Misuse(f"`--witness {url}` is no address; write it like http://127.0.0.1:8471")
    return WitnessAt(url, key)


def _asked(witness: "WitnessAt", origin: str) -> "Seen":
    from audit.cosigner import Cosigner
    from audit.errors import NotProven
    from audit.restored import Seen

    cosigner = Cosigner(witness)
    try:
        note = cosigner.latest(origin)
    finally:
        cosigner.close()
    if note is None:
        raise NotProven(f"`{witness.key.name}` has co-signed nothing of the ledger `{origin}`")
    return Seen.of(note, [witness.key])


def _fields(found: "Found") -> dict[str, object]:
    seen = found.seen
    return {
        "outcome": found.outcome,
        "origin": seen.checkpoint.origin,
        "by": seen.key.name,
        "seen": seen.checkpoint.size,
        "seen_at": seen.at and seen.at.isoformat(),
        "size": found.size,
        "proven": found.proven,
        "last_at": found.last_at,
        "lost": found.lost,
        "unknown": found.unknown,
    }


def _tell(found: "Found") -> None:
    seen = found.seen
    terminal.say(f"{seen.key.name}: this ledger of {amount(found.size, 'entry')} {SAID[found.outcome]}")
    terminal.say(f"  ledger    {seen.checkpoint.origin}")
    at = f", at {terminal.shown(seen.at)}" if seen.at else ""
    terminal.say(f"  seen      {amount(seen.checkpoint.size, 'entry')}{at}")
    if not found.lost:
        return
    until = terminal.shown(seen.at) if seen.at else "the time of the checkpoint"
    if not found.unknown:
        terminal.say(f"  lost      {amount(found.lost, 'entry')}, of {found.last_at or 'the beginning'} to {until}")
        return
    terminal.say(f"  lost      at least {amount(found.lost, 'entry')}, the last of {until}")
    terminal.say(f"  proven    the first {found.proven:,}")
    terminal.say(
        f"  unknown   the {found.unknown:,} after them, until {found.last_at}: what was seen, or written since"
    )
