"""What contains itself: the gateway pauses the dataset of an alert that is bad enough, before anybody has seen it.

It goes by what is stored: whatever a crash left undone is done at the next look, by whichever gateway looks first.
"""

from collections.abc import Callable
from datetime import datetime
from threading import Event

import structlog

from audit.alerts import Alerts
from audit.entries import WRITER
from audit.errors import NotRecorded, StaleEpoch
from audit.folding import QUIET
from audit.severities import Severity
from audit.signals import Alert
from policy.values import Principal

from .containment import Containment
from .control import ATTEMPTS, Control
from .measures import Measure
from .permit import Permitted

log = structlog.get_logger()

NOBODY = Principal(WRITER, "service")
"""Who contains: nobody in person."""


class Alone:
    """Contains alerts of `worst` and worse that name a dataset of the catalog; None: none at all."""

    def __init__(
        self,
        alerts: Alerts,
        containment: Containment,
        control: Control,
        *,
        worst: Severity | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._alerts = alerts
        self._containment = containment
        self._control = control
        self._worst = worst
        self._clock = clock
        self.hurry = Event()
        """Set where there is something to look at now."""

    def tell(self, alert: Alert) -> None:
        """Look at once, where this alert, which was just raised, may be one to contain."""
        if self._worst is not None and alert.severity <= self._worst and alert.dataset is not None:
            self.hurry.set()

    def look(self) -> None:
        """Contain what is to be and is not; what goes wrong is raised, and the next look does it."""
        if self._worst is None:
            return
        for alert in self._alerts.uncontained(self._worst, self._clock() - QUIET):
            if self._contain(alert):
                log.warning("alert_contained", alert=alert.id, dataset=alert.dataset)

    def _contain(self, alert: Alert) -> bool:
        for _ in range(ATTEMPTS):
            state = self._control.refresh()
            if alert.dataset is None or alert.dataset not in state.bundle.catalog.datasets:
                return False
            measure, why = Measure("dataset", alert.dataset), f"a {alert.severity} contains itself"
            under = Permitted(state.bundle, (), state.epoch)
            try:
                return self._containment.contain(alert, measure, by=NOBODY, why=why, under=under, again=False)
            except StaleEpoch:
                continue
        raise NotRecorded("what is in force keeps changing; the alert was never contained under the newest of it")
