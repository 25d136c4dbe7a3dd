"""Who is called: what the settings say of it, whose data it is, and the numbers of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from audit.apprised import BadAlertUrl
from audit.channels import Channel, channels_of
from audit.delivery import Delivery
from audit.digests import OwnerOf
from audit.escalation import Escalation, load_escalation
from audit.figures import QUANTILES, Counted
from audit.ledger import Ledger
from audit.severities import Severity
from authz.control import Control

from .metrics import Metrics
from .settings import BadSetting, Settings


@dataclass(frozen=True, slots=True)
class Calling:
    """The channels, and who of them is called when."""

    channels: tuple[Channel, ...]
    escalation: Escalation

    def delivery(
        self, engine: Engine, ledger: Ledger, gateway: str, owner_of: OwnerOf, clock: Callable[[], datetime]
    ) -> Delivery:
        """What brings it to them, for one gateway."""
        return Delivery(engine, ledger, self.channels, self.escalation, gateway=gateway, owner_of=owner_of, clock=clock)


def calling_of(settings: Settings) -> Calling:
    """What the settings say. Raises `BadSetting`, or `MisreadAll` for the file of `REMIT_ESCALATION`."""
    try:
        channels = channels_of(settings.alert_urls, seen_at=settings.public_url)
    except BadAlertUrl as wrong:
        raise BadSetting(str(wrong)) from None
    path = settings.escalation
    if path is None:
        return Calling(channels, Escalation.to_all(channels))
    try:
        return Calling(channels, load_escalation(path.read_bytes(), channels, file=path.name))
    except OSError as fault:
        raise BadSetting(f"`REMIT_ESCALATION`: `{path}`: {fault.strerror}") from fault


def owner_of(control: Control, dataset: str | None) -> str:
    """The team that owns a dataset by the catalog in force; empty where it names none."""
    known = control.state.bundle.catalog.datasets.get(dataset or "")
    return known.owner if known else ""


def watch_alerts(metrics: Metrics, counted: Counted) -> None:
    """The numbers of alerts and of their delivery, as they were at the last count."""
    gauge, gauges = metrics.gauge, metrics.gauges
    gauge("remit_outbox_waiting", "Letters that are due and not delivered", lambda: counted.figures.waiting)
    gauge("remit_outbox_age", "Seconds that the oldest of them waits", lambda: counted.figures.age)
    gauge("remit_channels_behind", "Channels that lag", lambda: counted.figures.behind)
    gauge("remit_alerts_lost", "Alerts that should call somebody and have no letter", lambda: counted.figures.lost)

    def is_open(severity: Severity) -> Callable[[], float]:
        return lambda: counted.figures.open.get(severity, math.nan)

    def to_page(quantile: str) -> Callable[[], float]:
        return lambda: counted.figures.to_page.get(quantile, math.nan)

    def to_acknowledge(quantile: str) -> Callable[[], float]:
        return lambda: counted.figures.to_acknowledge.get(quantile, math.nan)

    def to_contain(quantile: str) -> Callable[[], float]:
        return lambda: counted.figures.to_contain.get(quantile, math.nan)

    by_severity = {str(each): is_open(each) for each in Severity}
    gauges("remit_alerts_open", "Alerts that nobody has taken on", "severity", by_severity)
    pages = {each: to_page(each) for each in QUANTILES}
    gauges("remit_seconds_to_page", "From entry to first page, over a day", "quantile", pages)
    taken = {each: to_acknowledge(each) for each in QUANTILES}
    gauges("remit_seconds_to_acknowledge", "From entry to acknowledgement, over a day", "quantile", taken)
    contained = {each: to_contain(each) for each in QUANTILES}
    gauges("remit_seconds_to_contain", "From entry to first containment, over a day", "quantile", contained)
