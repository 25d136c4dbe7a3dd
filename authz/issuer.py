"""Know the issuer's keys: its discovery document, its JWK set, and when to ask for them again.

What always holds:

1. Keys come only from the issuer that the settings name, over https or from this machine; redirects are not followed.
2. A forged `kid` cannot make the issuer busy: it is asked at most once in `RETRY_AFTER` seconds, by one thread.
3. A key that the issuer withdraws is refused after `FRESH_FOR` seconds, or `USABLE_FOR` where it cannot be asked.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from threading import Lock

import httpx2
import structlog

from .strict_json import read_object
from .tokens import PinnedKey, TokenRefused, read_keys

FRESH_FOR = 60.0
USABLE_FOR = 15 * 60.0
RETRY_AFTER = 3.0
TIMEOUT = 3.0
PATIENCE = 1.0
"""Seconds that a token of an unknown key waits for a fetch under way; forged ones must not hold threads for long."""

PATIENCE_AT_FIRST = 2 * TIMEOUT
"""The same while no keys are held and nobody can be let in anyway."""

MAX_BODY = 256 * 1024

_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII)

log = structlog.get_logger()


class BadIssuer(ValueError):
    """The issuer's URL is none that keys can safely be fetched from; the text says what to do."""


class _Unfit(Exception):
    """The issuer answered, but not with what OpenID Connect Discovery asks for."""


@dataclass(frozen=True, slots=True)
class _Held:
    keys: Mapping[str, PinnedKey]
    at: float


class Issuer:
    """The keys of one OpenID Connect issuer; safe to share between threads. Does nothing before it is asked.

    `clock` gives seconds since 1970. Raises `BadIssuer` where `url` is not https (or http on this machine).
    """

    def __init__(self, url: str, *, clock: Callable[[], float]) -> None:
        if not _is_safe(url, or_loopback=True) or "?" in url or "#" in url:
            raise BadIssuer(f"`{url}` cannot be an issuer; give an https URL without query, or http on 127.0.0.1")
        self.url = url
        self._clock = clock
        self._held: _Held | None = None
        self._tried_at = float("-inf")
        self._fetching = Lock()

    def key(self, name: str) -> PinnedKey | TokenRefused:
        """The key that the issuer publishes under `name`; asks it where the key is unknown or held for long."""
        held = self._current(name)
        if held is None:
            return TokenRefused("the issuer's keys cannot be fetched at the moment; try again in a few seconds")
        return held.keys.get(name) or TokenRefused("the token names a key that its issuer does not publish")

    def held(self, name: str) -> PinnedKey | None:
        """The key under `name` where it is known without asking the issuer, which is not due either."""
        held = self._held
        return held.keys.get(name) if held is not None and self._age(held) <= FRESH_FOR else None

    def is_reachable(self) -> bool:
        """Whether tokens can be checked now: keys are held that are not too old, or were just fetched."""
        held = self._current()
        return held is not None and bool(held.keys)

    def _current(self, name: str | None = None) -> _Held | None:
        held = self._usable()
        if held is None:
            self._fetch(patience=PATIENCE_AT_FIRST)
        elif name is not None and name not in held.keys:
            self._fetch(patience=PATIENCE)
        elif self._age(held) > FRESH_FOR:
            self._fetch(patience=0)
        return self._usable()

    def _age(self, held: _Held) -> float:
        # A clock that was set back makes keys old, not young for ever.
        return abs(self._clock() - held.at)

    def _usable(self) -> _Held | None:
        held = self._held
        return held if held is not None and self._age(held) <= USABLE_FOR else None

    def _fetch(self, patience: float) -> None:
        if not self._fetching.acquire(timeout=patience):
            return
        try:
            now = self._clock()
            if abs(now - self._tried_at) >= RETRY_AFTER:
                self._tried_at = now
                self._held = _Held(fetch_keys(self.url), now)
        except (httpx2.HTTPError, httpx2.InvalidURL, _Unfit) as fault:
            log.warning("issuer_unreachable", issuer=self.url, reason=str(fault) or type(fault).__name__)
        finally:
            self._fetching.release()


def fetch_keys(issuer: str) -> Mapping[str, PinnedKey]:
    """Ask `issuer` for its discovery document and then for its keys (OpenID Connect Discovery §4).

    Raises what httpx2 does where it cannot be reached, `_Unfit` where it answers something else.
    """
    is_local = httpx2.URL(issuer).scheme == "http"
    # A proxy of the environment must not see, nor answer, what is asked of this machine.
    with httpx2.Client(timeout=TIMEOUT, trust_env=not is_local, headers={"Accept-Encoding": "identity"}) as client:
        document = read_object(_get(client, issuer.rstrip("/") + "/.well-known/openid-configuration"))
        if document is None or document.get("issuer") != issuer:
            raise _Unfit("the discovery document names another issuer, or is none")
        location = document.get("jwks_uri")
        if not isinstance(location, str) or not _is_safe(location, or_loopback=is_local):
            raise _Unfit("the discovery document gives no `jwks_uri` that is safe to ask")
        keys = read_keys(_get(client, location))
    if keys is None:
        raise _Unfit("what `jwks_uri` answers is no JWK set")
    return keys


def _get(client: httpx2.Client, url: str) -> bytes:
    # The client's timeout starts anew with every byte, so slow drops need an end of their own.
    give_up_at = time.monotonic() + TIMEOUT
    body = bytearray()
    with client.stream("GET", url) as response:
        if response.status_code != httpx2.codes.OK or "Content-Encoding" in response.headers:
            raise _Unfit(f"`{url}` answers {response.status_code}, not 200 with plain JSON")
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > MAX_BODY or time.monotonic() > give_up_at:
                raise _Unfit(f"`{url}` answers too much or too slowly")
    return bytes(body)


def _is_safe(url: str, *, or_loopback: bool) -> bool:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return False
    # A port or a label out of range would end a connection with an error that is no network error.
    is_host = _HOST.fullmatch(parsed.host) is not None or _is_address(parsed.host)
    if parsed.userinfo or not is_host or (parsed.port or 0) >= 2**16:
        return False
    return parsed.scheme == "https" or (or_loopback and parsed.scheme == "http" and _is_loopback(parsed.host))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)
