"""The receiver's side of a signed webhook: whether it is Remit's, unchanged, and of now.

The same letter can come twice, always under the same `key`: remember keys for as long as `within`, and heed each once.
"""

import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import NotGenuine

VERSION = "v1="
WITHIN = 300.0
"""Seconds by which a webhook may be older or newer than now: whoever caught one can send it again for so long."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What Remit tells. `event` is `raised`, `acknowledged`, `contained`, `resolved`, `reopened` or `digest`; `thread`
    is the same for all that is told of one alert; `about` has the fields of the alert or the digest."""

    key: str
    event: str
    thread: str
    severity: str
    title: str
    text: str
    about: Mapping[str, Any]


def verify_webhook(
    body: bytes, headers: Mapping[str, str], *secrets: bytes, at: float | None = None, within: float = WITHIN
) -> Notice:
    """What a webhook tells: `body` as it came, `headers` in any case, and the secret, or several while one is replaced.

    `at` is now, in seconds since 1970. Raises `NotGenuine`, and then nothing may be done on its strength.
    """
    given = {name.lower(): value for name, value in headers.items()}
    stamp = given.get("remit-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 15):
        raise NotGenuine("the webhook has no time: `Remit-Timestamp` must be seconds since 1970")
    signatures = [each.strip() for each in given.get("remit-signature", "").split(",")]
    # An empty secret signs for everybody.
    known = [VERSION + hmac.digest(each, stamp.encode() + b"." + body, "sha256").hex() for each in secrets if each]
    if not any(_same(one, other) for one in signatures for other in known):
        raise NotGenuine("the webhook is not signed with this secret, or was changed on its way")
    if abs((time.time() if at is None else at) - int(stamp)) > within:
        raise NotGenuine(f"the webhook is more than {within:.0f} s from now: sent again, or a clock is wrong")
    told = json.loads(body)
    return Notice(**{name: told[name] for name in Notice.__slots__})


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
