"""A signed webhook: whoever has the secret can tell that a letter is Remit's, of now, and which one it is.

`Remit-Signature: v1=` and the hexadecimal HMAC-SHA-256 under the secret of `Remit-Timestamp`, a dot, and the body. The
body holds the key as well, so that it is signed. The receiver's side is `remit.verify_webhook`.
"""

import hmac
import json
import time
from collections.abc import Callable

from .letters import Letter
from .transport import Poster

VERSION = "v1"


class Webhook:
    """Posts letters to `url`, signed with `secret`; `clock` gives seconds since 1970.

    `seen_at` is where people reach the gateway, for the link of an alert.
    """

    def __init__(self, url: str, secret: bytes, *, seen_at: str, clock: Callable[[], float] = time.time) -> None:
        self._poster, self._secret, self._seen_at, self._clock = Poster(url), secret, seen_at, clock

    def send(self, letter: Letter) -> None:
        """Raises `NotDelivered`."""
        said = _said(letter, letter.link(self._seen_at))
        body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        at = str(int(self._clock()))
        signature = hmac.digest(self._secret, at.encode() + b"." + body, "sha256").hex()
        headers = {
            "Remit-Timestamp": at,
            "Remit-Signature": f"{VERSION}={signature}",
            "Remit-Idempotency-Key": letter.key.encode("ascii", "replace").decode(),
        }
        self._poster.post(body, headers)


def _said(letter: Letter, link: str) -> dict[str, object]:
    return {
        "key": letter.key,
        "event": str(letter.event),
        "thread": letter.thread,
        "at": letter.at.isoformat(),
        "severity": str(letter.severity),
        "title": letter.title,
        "text": letter.body,
        "about": {**letter.about, **({"link": link} if link else {})},
    }
