"""Tell on-call. Each channel of `REMIT_ALERT_URLS` gets every alert that pages, none waits for another.

The only module that imports `apprise`. What is waiting to be delivered is in memory only; the alert itself is kept.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Full, Queue
from threading import Thread
from time import monotonic

import apprise
import structlog

from .severities import Severity
from .signals import Alert, plain

_WAITING = 1_000
"""Alerts that may wait for a channel; more are logged, not delivered."""
_LONGEST = 500

log = structlog.get_logger()


class BadAlertUrl(ValueError):
    """An address of `REMIT_ALERT_URLS` is not understood. The message says which by number: addresses hold secrets."""


@dataclass(frozen=True, slots=True)
class Message:
    """What on-call reads: plain text, no data of anybody, no token."""

    title: str
    body: str
    severity: Severity


class Delivery:
    """Sends in a thread for each address: `send` never waits, and an address that fails is logged.

    Making one raises `BadAlertUrl`; without addresses it sends nothing.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._channels = tuple(_Channel(number, url) for number, url in enumerate(urls, start=1))
        for channel in self._channels:
            channel.start()

    def send(self, alert: Alert) -> None:
        """Hand the alert to every channel where its SEV pages; one that cannot take it is logged."""
        if alert.severity.pages:
            message = message_of(alert)
            for channel in self._channels:
                channel.put(alert.id, message)

    def close(self, *, seconds: float = 10) -> None:
        """Deliver what is waiting, for at most so many seconds in all."""
        until = monotonic() + seconds
        for channel in self._channels:
            channel.end()
        for channel in self._channels:
            channel.join(max(0, until - monotonic()))


class _Channel(Thread):
    def __init__(self, number: int, url: str) -> None:
        super().__init__(name=f"delivery-{number}", daemon=True)
        self._number = number
        self._queue: Queue[tuple[int, Message] | None] = Queue(_WAITING)
        self._apprise = apprise.Apprise(asset=_asset())
        if not _understands(self._apprise, url):
            raise BadAlertUrl(f"REMIT_ALERT_URLS: address {number} is not one that apprise understands")

    def put(self, alert: int, message: Message) -> None:
        try:
            self._queue.put_nowait((alert, message))
        except Full:
            log.error("alert_not_delivered", alert=alert, channel=self._number, reason="too many are waiting")

    def end(self) -> None:
        try:
            self._queue.put_nowait(None)
        except Full:
            log.error("alerts_not_delivered", channel=self._number, reason="too many are waiting")

    def run(self) -> None:
        while item := self._queue.get():
            alert, message = item
            result = self._apprise.notify(
                title=message.title,
                body=message.body,
                body_format=apprise.NotifyFormat.TEXT,
                notify_type=_kind_of(message.severity),
            )
            if result:
                log.info("alert_delivered", alert=alert, channel=self._number)
            else:
                log.error("alert_not_delivered", alert=alert, channel=self._number, reason="the channel refused it")


def message_of(alert: Alert) -> Message:
    """What is said about an alert: what, declared against asked, the entries, what to do."""
    evidence = alert.evidence
    entries = ", ".join(map(str, evidence.entries))
    told = (
        ("declared", plain(evidence.declared, _LONGEST) or "nothing"),
        ("asked", plain(evidence.asked, _LONGEST)),
        ("given", evidence.given),
        ("purpose", plain(evidence.purpose)),
        ("classes", plain(", ".join(sorted(alert.data_classes)))),
        ("columns", plain(", ".join(evidence.columns), _LONGEST)),
        ("rules", plain(", ".join(evidence.rules))),
        ("when", f"{alert.first_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("entries", f"{entries} ({alert.count} in all)" if alert.count > len(evidence.entries) else entries),
        ("see", f"`remit alerts show {alert.id}`"),
        ("next", evidence.next),
        ("contain", f"`remit grants revoke {plain(alert.grant)}`" if alert.grant else ""),
    )
    body = "\n".join(f"{label + ':':<10}{text}" for label, text in told if text)
    return Message(f"{alert.severity} {alert.title}", body, alert.severity)


def _understands(channel: apprise.Apprise, url: str) -> bool:
    with warnings.catch_warnings():
        # The first address loads every kind of channel there is, and one of them imports what Python is to lose.
        warnings.simplefilter("ignore", DeprecationWarning)
        return bool(channel.add(url))


def _kind_of(severity: Severity) -> apprise.NotifyType:
    return apprise.NotifyType.FAILURE if severity <= Severity.SEV2 else apprise.NotifyType.WARNING


def _asset() -> apprise.AppriseAsset:
    """Apprise without what it adds by itself: links and pictures from its makers' site, redirects, files on disk."""
    return apprise.AppriseAsset(
        app_id="Remit",
        app_desc="Remit",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        http_redirects=False,
        async_mode=False,
        default_service_retry=2,
        service_timeout=0,
        storage_mode="memory",
        allow_templates=False,
    )
