"""Log in without a browser on this machine: the device flow (RFC 8628)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from remit.errors import LoginFailed, Unreachable

from .id_token import subject_of
from .oauth import OAuth, ProviderRefused
from .provider import is_safe
from .values import Login, Tokens

MORE = 5
"""Seconds by which each `slow_down` makes the wait longer (RFC 8628 §3.5)."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What somebody has to do elsewhere, and until when it can be done."""

    device_code: str = field(repr=False)
    user_code: str
    verification_uri: str
    expires_in: Annotated[float, Field(gt=0, le=3600)]
    verification_uri_complete: str | None = None
    interval: Annotated[float, Field(ge=0, le=300)] = 5


_INVITATION = TypeAdapter(Invitation)


def log_in(
    oauth: OAuth, tell: Callable[[str], None], *, sleep: Callable[[float], object], clock: Callable[[], float]
) -> Login:
    """Says where to go and which code to give there, and waits; `clock` gives seconds that never run back."""
    invitation = _invitation(oauth)
    tell(f"open {invitation.verification_uri} on any device, and give the code {invitation.user_code}")
    if invitation.verification_uri_complete:
        tell(f"or open {invitation.verification_uri_complete} and compare the code")
    tokens = _wait(oauth, invitation, sleep, clock)
    target = oauth.target
    if tokens.id_token is None:
        raise LoginFailed(f"`{target.issuer}` did not say who logged in: it gave no ID token; ask whoever runs it")
    subject = subject_of(tokens.id_token, oauth.keys(), issuer=target.issuer, client_id=target.client_id, nonce=None)
    return Login(target, subject, tokens)


def _invitation(oauth: OAuth) -> Invitation:
    issuer = oauth.target.issuer
    try:
        found = _INVITATION.validate_python(oauth.start_device())
    except ValidationError:
        raise LoginFailed(f"`{issuer}` starts the device flow in a way that is not understood") from None
    for url in filter(None, (found.verification_uri, found.verification_uri_complete)):
        if not is_safe(url, or_loopback=issuer.startswith("http://")):
            raise LoginFailed(f"`{issuer}` would send you to `{url}`, which is not https; ask whoever runs it")
    return found


def _wait(oauth: OAuth, said: Invitation, sleep: Callable[[float], object], clock: Callable[[], float]) -> Tokens:
    interval, until = said.interval, clock() + said.expires_in
    while clock() + interval < until:
        sleep(interval)
        try:
            return oauth.poll_device(said.device_code)
        except Unreachable:
            interval *= 2  # as RFC 8628 §3.5 asks for where the provider does not answer
        except ProviderRefused as refused:
            if refused.error not in ("authorization_pending", "slow_down", "expired_token"):
                raise
            if refused.error == "expired_token":
                break
            interval += MORE if refused.error == "slow_down" else 0
    raise LoginFailed("the code was not used in time; run `remit login --device` for a new one")
