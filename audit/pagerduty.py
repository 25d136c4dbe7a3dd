"""PagerDuty in its own words: Events API v2. One incident for each alert, acknowledged and resolved as the alert is."""

import json
from collections.abc import Mapping

from .letters import Event, Letter
from .severities import Severity
from .transport import Poster

PATH = "/v2/enqueue"
_LONGEST = 1024
"""Characters of a summary, says PagerDuty."""

ACTIONS: Mapping[Event, str] = {
    Event.RAISED: "trigger",
    Event.REOPENED: "trigger",
    Event.ACKNOWLEDGED: "acknowledge",
    # Contained is not closed: somebody is on it, or Remit itself was, and the incident stays.
    Event.CONTAINED: "trigger",
    Event.RESOLVED: "resolve",
}
SEVERITIES: Mapping[Severity, str] = {
    Severity.SEV1: "critical",
    Severity.SEV2: "error",
    Severity.SEV3: "warning",
    Severity.SEV4: "info",
}


class PagerDuty:
    """Sends to the Events API at `url` (without a path) with the routing key of one integration.

    `seen_at` is where people reach the gateway, for the link of an incident.
    """

    def __init__(self, url: str, routing_key: str, *, seen_at: str) -> None:
        self._poster, self._key, self._seen_at = Poster(url.rstrip("/") + PATH), routing_key, seen_at

    def send(self, letter: Letter) -> None:
        """Raises `NotDelivered`."""
        event: dict[str, object] = {
            "routing_key": self._key,
            "event_action": ACTIONS[letter.event],
            # The same for all that is said of an alert, however often: PagerDuty takes it for one incident.
            "dedup_key": letter.thread,
        }
        if event["event_action"] == "trigger":
            event |= self._incident(letter)
        self._poster.post(json.dumps(event).encode(), {"Remit-Idempotency-Key": letter.key})

    def _incident(self, letter: Letter) -> dict[str, object]:
        about = letter.about
        links = [{"href": letter.link(self._seen_at), "text": f"alert {about['alert']}"}]
        return {
            "client": "Remit",
            "client_url": self._seen_at,
            "links": links,
            "payload": {
                "summary": letter.title[:_LONGEST],
                "source": about.get("dataset") or self._seen_at,
                "severity": SEVERITIES[letter.severity],
                "timestamp": letter.at.isoformat(),
                "component": "remit",
                "group": about.get("dataset") or "remit",
                "class": about.get("code"),
                "custom_details": {**about, "text": letter.body},
            },
        }
