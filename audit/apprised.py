"""The many channels that Apprise knows: mail, chats, pagers. The only module that imports `apprise`."""

import warnings

import apprise

from .letters import Letter
from .severities import Severity
from .transport import NotDelivered


class BadAlertUrl(ValueError):
    """An address of `REMIT_ALERT_URLS` is not understood. The message says which by number: addresses hold secrets."""


class Apprised:
    """Sends letters as plain text to one address of Apprise's. Raises `ValueError` where it is not one.

    `seen_at` is where people reach the gateway, for the link of an alert.
    """

    def __init__(self, url: str, *, seen_at: str) -> None:
        self._seen_at = seen_at
        self._apprise = apprise.Apprise(asset=_asset())
        with warnings.catch_warnings():
            # The first address loads every kind of channel there is, and one of them imports what Python is to lose.
            warnings.simplefilter("ignore", DeprecationWarning)
            if not self._apprise.add(url):
                raise ValueError("not one that apprise understands")
        for server in self._apprise:
            # Else a mail waits 5.5 s for the one before it. A service that wants a slower sender says so, and gets one.
            server.request_rate_per_sec = 0

    def send(self, letter: Letter) -> None:
        """Raises `NotDelivered`; Apprise does not tell why."""
        link = letter.link(self._seen_at)
        is_sent = self._apprise.notify(
            title=letter.title,
            body=f"{letter.body}\nlink:     {link}" if link else letter.body,
            body_format=apprise.NotifyFormat.TEXT,
            notify_type=_kind_of(letter.severity),
        )
        if not is_sent:
            raise NotDelivered("it refused it, or cannot be reached")


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
        # Trying again is the sender's, who remembers it across a restart.
        default_service_retry=0,
        service_timeout=0,
        storage_mode="memory",
        allow_templates=False,
    )
