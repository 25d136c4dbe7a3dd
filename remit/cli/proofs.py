"""`remit audit checkpoint`, `prove`, `key`: what the ledger hands out, for others to check."""

import os
import sys
import time
from typing import Annotated

import typer

from remit.errors import Refused

from . import options, terminal

key = typer.Typer(help="The keys that sign checkpoints.", no_args_is_help=True)
AGAIN_SECONDS = (0.5, 1.5, 3.0)
"""What is waited before it is asked again, and again: few times, for each asking is an entry."""


def checkpoint() -> None:
    """Prints the newest checkpoint: a C2SP signed note.

    Keep it where nobody else writes, for `verify --since`."""
    with options.gateway() as gateway:
        sys.stdout.write(gateway.checkpoint())


def prove(seq: Annotated[int, typer.Argument(min=1, help="The entry's number.")]) -> None:
    """Prints the proof that an entry is in the ledger.

    It is there to be handed out: `prove 17 > proof`, then `check-proof proof`."""
    with options.gateway() as gateway:
        for seconds in (*AGAIN_SECONDS, None):
            try:
                sys.stdout.write(gateway.proof(seq))
                return
            except Refused as refused:
                # What was just written is under a checkpoint within a second.
                if refused.code != "not_found" or seconds is None:
                    raise
                time.sleep(seconds)


@key.command("list")
def list_keys(as_json: options.Json = False) -> None:
    """Prints the public keys of the ledger, as the gateway tells them.

    Anybody who can write to its database could have named one: `key show`, where the gateway runs, says which are its
    own."""
    with options.gateway() as gateway:
        keys = gateway.ledger_keys()
    if as_json:
        terminal.print_json({"origin": keys.origin, "keys": [{"vkey": k.vkey, "status": k.status} for k in keys.items]})
        return
    terminal.table(("status", "key"), [(each.status, each.vkey) for each in keys.items], empty="there is no key yet")


@key.command()
def show(as_json: options.Json = False) -> None:
    """Prints the public keys of this machine's gateway.

    The newest comes first. They are read from its own file; neither the gateway nor the database is asked. Give them to
    whoever verifies."""
    from audit import ledger_keys
    from gateway.settings import ledger_key

    keys = [str(signer.verifier) for signer in ledger_keys.read(ledger_key(os.environ)).signers]
    if as_json:
        terminal.print_json({"keys": keys})
        return
    for each in keys:
        terminal.say(each)


@key.command()
def rotate(as_json: options.Json = False) -> None:
    """Makes a new key, on the gateway's machine.

    The one before it signs along until the next rotation. A running gateway takes the new one up within a second and
    says so in the ledger."""
    from audit import ledger_keys
    from gateway.settings import ledger_key

    keys = ledger_keys.rotate(ledger_key(os.environ))
    new, *old = [str(signer.verifier) for signer in keys.signers]
    if as_json:
        terminal.print_json({"key": new, "signs_along": old, "retired": list(map(str, keys.retired))})
        return
    terminal.say(new)
    terminal.note("give this key to witnesses and to whoever verifies; the one before it signs along until the next")
