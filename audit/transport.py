"""How a letter gets to a channel: what every way there can say, and the one door to HTTP."""

from collections.abc import Mapping
from typing import Protocol

import httpx2

from .errors import AuditError
from .letters import Letter

TIMEOUT = 10.0
LONGEST_WAIT = 3600.0
"""Seconds that a `Retry-After` is heeded at most."""


class NotDelivered(AuditError):
    """A channel did not take a letter, for all we know; the message holds no address and no secret.

    `wait` are the seconds that the channel asked to be left alone for.
    """

    def __init__(self, why: str, *, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class Unreachable(NotDelivered):
    """No connection came about, so that nothing was sent: it is worth trying at once."""


class Transport(Protocol):
    """Brings letters to one channel; for one thread at a time."""

    def send(self, letter: Letter) -> None:
        """Returns when the channel has it. Raises `NotDelivered`."""
        ...


class Poster:
    """Posts to one address. No redirect is followed, no proxy of the environment used, no answer read."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx2.Client(timeout=TIMEOUT, trust_env=False, follow_redirects=False)

    def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Returns where the answer is 2xx. Raises `NotDelivered`."""
        sent = {"Content-Type": "application/json", "User-Agent": "Remit", **headers}
        try:
            with self._client.stream("POST", self._url, content=body, headers=sent) as answer:
                if not answer.is_success:
                    raise NotDelivered(f"it answered {answer.status_code}", wait=_wait(answer.headers))
        except httpx2.ConnectError as fault:
            raise Unreachable("it cannot be reached") from fault
        except (httpx2.HTTPError, httpx2.InvalidURL) as fault:
            raise NotDelivered(f"it did not answer: {type(fault).__name__}") from fault


def _wait(headers: Mapping[str, str]) -> float:
    """The seconds of a `Retry-After`; a date is not heeded, for our clock may be another than theirs."""
    said = headers.get("retry-after", "").strip()
    return min(float(said), LONGEST_WAIT) if said.isascii() and said.isdigit() and len(said) < 10 else 0.0
