"""`remit witness`: somebody else, who co-signs a ledger only as long as it grows."""

from pathlib import Path
from typing import Annotated

import typer

from remit.errors import Misuse

from . import options, terminal
from .verifying import keys_of

commands = typer.Typer(help="Co-sign somebody's ledger, so that what it said stays said.", no_args_is_help=True)
Home = Annotated[Path, typer.Option("--home", metavar="FOLDER", help="Where its key is, and what it has seen.")]
HOME = Path(".remit-witness")


@commands.command()
def key(
    home: Home = HOME,
    name: Annotated[
        str | None, typer.Option(help="Makes the key, with this name: witness.example/w1, for one.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Prints the public key; with --name makes one.

    Gateways are told of it in REMIT_WITNESSES. Where there is a key already, none is made."""
    from audit.errors import BadNote
    from audit.keyfiles import kept
    from audit.notes import COSIGNED, Signer
    from witness.server import KEY, signer_of

    if name is not None:
        try:
            made = Signer.make(name, COSIGNED)
        except BadNote as wrong:
            raise Misuse(f"`--name {name}`: {wrong}; write it like witness.example/w1") from wrong
        kept(home / KEY, lambda: f"{made.text()}\n".encode())
    elif not (home / KEY).exists():
        raise Misuse(f"there is no key in `{home}`; make one with --name witness.example/w1")
    signer = signer_of(home)
    if name not in (None, signer.name):
        raise Misuse(f"the key in `{home}` is `{signer.name}`; leave --name out, or use another --home")
    shown = str(signer.verifier)
    terminal.print_json({"key": shown}) if as_json else terminal.say(shown)


@commands.command()
def serve(
    logs: Annotated[
        list[str], typer.Option("--log", metavar="KEY", help="A key of a log to witness; several for several.")
    ],
    home: Home = HOME,
    listen: Annotated[
        str, typer.Option(help="Anything wider than this machine belongs behind TLS.")
    ] = "127.0.0.1:8471",
) -> None:
    """Starts the witness.

    It co-signs checkpoints of these logs, as long as each grew out of the last."""
    from audit.notes import SIGNED
    from witness.server import listening
    from witness.server import serve as serve_witness

    host, _, port = listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise Misuse(f"`--listen {listen}` is not an address; write it as 127.0.0.1:8471")
    keys = keys_of(logs, "--log")
    if wrong := next((key for key in keys if key.algorithm != SIGNED), None):
        raise Misuse(f"`--log`: `{wrong.name}` is a witness's key; `remit audit key list` prints the ledger's")
    try:
        listener = listening(host.removeprefix("[").removesuffix("]"), int(port))
    except OSError as fault:
        raise Misuse(f"`--listen {listen}`: {(fault.strerror or str(fault)).lower()}; name another address") from fault
    with listener:
        serve_witness(home, keys, listener)
