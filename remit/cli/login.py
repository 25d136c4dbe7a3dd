"""`remit login`, `remit logout`, `remit whoami`: who you are at a gateway."""

import os
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import TypeAdapter

from remit.answers import Whoami
from remit.client import connect, gateway_url
from remit.connection import Connection
from remit.errors import LoginFailed, Refused
from remit.login.keeping import Keeping
from remit.login.values import Login

from . import options, terminal

SECONDS = 30.0
_WHOAMI = TypeAdapter(Whoami)


def login(
    issuer: Annotated[str | None, typer.Option(help="Refuse any other issuer that the gateway may name.")] = None,
    client_id: Annotated[
        str | None,
        typer.Option(help="What the issuer knows this command as; else REMIT_CLIENT_ID, else the gateway's."),
    ] = None,
    device: Annotated[bool, typer.Option("--device", help="Log in on another device, with a code.")] = False,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser, or show its address.")
    ] = True,
    as_json: options.Json = False,
) -> None:
    """Logs you in at the gateway.

    With a browser, or with --device on another device. The login is kept for the gateway of REMIT_URL, renewed by
    itself, and used by every command and by `remit.connect`, unless there is a REMIT_TOKEN."""
    # imported here: no other command should wait for an OAuth library to load
    from remit.login import browser as with_browser
    from remit.login import device as with_device
    from remit.login.oauth import OAuth
    from remit.login.target import target_of

    gateway = gateway_url()
    known_as = client_id or os.environ.get("REMIT_CLIENT_ID") or None
    with closing(Connection(gateway, None, SECONDS)) as connection:
        secret = os.environ.get("REMIT_CLIENT_SECRET") or None
        target = target_of(gateway, connection, issuer=issuer, client_id=known_as, client_secret=secret)
    terminal.note(f"logging in at {target.issuer} for the gateway at {gateway}")
    with OAuth(target) as oauth:
        if device:
            made = with_device.log_in(oauth, terminal.note, sleep=time.sleep, clock=time.monotonic)
        else:
            made = with_browser.log_in(oauth, terminal.note, opens=browser)
    keeping = Keeping.of(os.environ)
    with keeping.locked(gateway):
        place = keeping.put(made)
    _say_login(made, place, as_json=as_json)


def logout(as_json: options.Json = False) -> None:
    """Logs you out, here and at the issuer."""
    from remit.login.leaving import log_out

    gateway = gateway_url()
    gone = log_out(Keeping.of(os.environ), gateway)
    if as_json:
        terminal.print_json({"gateway": gateway, "was_logged_in": gone is not None})
    elif gone is None:
        terminal.note(f"nobody was logged in at {gateway}")
    else:
        until = datetime.fromtimestamp(gone.tokens.expires_at, UTC)
        terminal.say(f"{gone.subject} is logged out of {gateway}")
        terminal.note(f"an access token that was copied before stays good until {terminal.shown(until)}")
    _note_token()


def whoami(as_json: options.Json = False) -> None:
    """Says who the gateway takes you for.

    Exits with 1 where it does not take you for anybody."""
    with connect() as client:
        found = client.whoami()
    if as_json:
        terminal.print_json(found, _WHOAMI)
        return
    terminal.say(f"{found.name} ({found.kind}) at {gateway_url()}")
    attributes = [f"{name} = {value}" for name, value in found.attributes.items()]
    kept = "REMIT_TOKEN" if os.environ.get("REMIT_TOKEN") else "remit login, renewed by itself"
    said = [("teams", list(found.teams) or "none"), ("attributes", attributes), ("issuer", found.issuer)]
    terminal.fields([*said, ("until", found.expires), ("by", kept)], terminal.out())


def _say_login(made: Login, place: str, *, as_json: bool) -> None:
    gateway = made.target.gateway
    try:
        with connect(gateway, token=made.tokens.access, timeout=SECONDS) as client:
            found = client.whoami()
    except Refused as refused:
        raise LoginFailed(
            f"`{made.subject}` is logged in at `{made.target.issuer}`, but the gateway does not take the token: "
            f"{refused.detail}. The issuer has to give access tokens as RFC 9068 has them (a JWT with `typ` `at+jwt`) "
            f"with `aud` `{made.target.audience}` and a claim with teams; ask whoever runs it, README has its settings"
        ) from refused
    if as_json:
        terminal.print_json({"kept_in": place, **_WHOAMI.dump_python(found, mode="json")})
    else:
        terminal.say(f"logged in as {found.name} ({', '.join(found.teams) or 'no teams'})")
        terminal.note(
            "kept in the keyring; `remit logout` takes it away"
            if place == "keyring"
            else "kept in a file that only you can read: no keyring of this machine could be used"
        )
    _note_token()


def _note_token() -> None:
    if os.environ.get("REMIT_TOKEN"):
        terminal.note("REMIT_TOKEN is set and goes before any login; unset it")
