"""The channels of `REMIT_ALERT_URLS`: each word is an address, with a name before it where one is given (`pager=…`).

`pagerduty+https://events.pagerduty.com?key=FILE` and `remit+https://…?secret=FILE` are spoken here, their secrets in
files that nobody else can read; every other address is Apprise's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from .apprised import Apprised, BadAlertUrl
from .errors import KeyUnfit
from .keyfiles import read
from .pagerduty import PagerDuty
from .transport import Transport
from .webhook import Webhook

_WORD = re.compile(r"(?:([a-z0-9][a-z0-9_-]{0,39})=)?(([a-zA-Z][a-zA-Z0-9.-]*)(?:\+(https?))?://.*)", re.DOTALL)
SHORTEST = 32
"""Bytes of a webhook's secret, at least."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to somebody. `hears_steps`: also what was done about an alert; `takes_digests`: also what calls nobody."""

    name: str
    transport: Transport
    hears_steps: bool
    takes_digests: bool


def channels_of(words: Sequence[str], *, seen_at: str) -> tuple[Channel, ...]:
    """The channels that `words` name; `seen_at` is where people reach the gateway. Raises `BadAlertUrl`.

    Without a name of its own, one is called after its scheme and its number.
    """
    channels = tuple(_channel(number, word, seen_at) for number, word in enumerate(words, start=1))
    for number, channel in enumerate(channels, start=1):
        if channel.name in {other.name for other in channels[: number - 1]}:
            raise BadAlertUrl(f"`REMIT_ALERT_URLS`: address {number} has the name of another, `{channel.name}`")
    return channels


def _channel(number: int, word: str, seen_at: str) -> Channel:
    found = _WORD.fullmatch(word)
    name, url, scheme, over = found.groups() if found else (None, word, "", None)
    name = name or f"{scheme.lower()}-{number}"
    try:
        if over and scheme == "pagerduty":
            where, key = _with_file(url.partition("+")[2], "key")
            routing_key = key.decode("ascii")
            return Channel(name, PagerDuty(where, routing_key, seen_at=seen_at), True, False)
        if over and scheme == "remit":
            where, secret = _with_file(url.partition("+")[2], "secret")
            if len(secret) < SHORTEST:
                raise ValueError(f"signed with a secret of fewer than {SHORTEST} bytes")
            return Channel(name, Webhook(where, secret, seen_at=seen_at), True, True)
        return Channel(name, Apprised(url, seen_at=seen_at), False, True)
    except (ValueError, KeyUnfit) as wrong:
        why = "with a key that is not ASCII" if isinstance(wrong, UnicodeError) else wrong
        is_one = isinstance(wrong, KeyUnfit)
        raise BadAlertUrl(f"`REMIT_ALERT_URLS`: address {number}{':' if is_one else ' is'} {why}") from None


def _with_file(url: str, parameter: str) -> tuple[str, bytes]:
    """The address without `parameter`, and what is in the file that it names."""
    parts = urlsplit(url)
    asked = parse_qsl(parts.query, keep_blank_values=True)
    files = [value for name, value in asked if name == parameter]
    if len(files) != 1 or not files[0]:
        raise ValueError(f"without its file: add ?{parameter}=FILE")
    if parts.username or parts.password or not parts.hostname:
        raise ValueError(f"not an address: write it as https://host/path?{parameter}=FILE")
    if parts.scheme != "https" and not _is_loopback(parts):
        raise ValueError("not https://, which only an address on this machine may do without")
    rest = urlencode([(name, value) for name, value in asked if name != parameter])
    return parts._replace(query=rest, fragment="").geturl(), read(Path(files[0])).strip()


def _is_loopback(parts: SplitResult) -> bool:
    try:
        return parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
