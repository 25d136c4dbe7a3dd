"""What contains itself: the gateway pauses the dataset of an alert that is bad enough, before anybody has seen it.

It goes by what is stored: whatever a crash left undone is done at the next look, by whichever gateway looks first.
"""

from collections.abc import Callable
from datetime import datetime

import structlog

from audit.alerts import WRITER, Alerts
from audit.folding import QUIET
from audit.severities import Severity
from policy.values import Principal

from .containment import Containment
from .control import Control
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

    def look(self) -> None:
        """Contain what is to be and is not; raises what `Containment.contain` does, and then the next look does it."""
        if self._worst is None:
            return
        for alert in self._alerts.uncontained(self._worst, self._clock() - QUIET):
            state = self._control.refresh()
            if alert.dataset and alert.dataset in state.bundle.catalog.datasets:
                measure = Measure("dataset", alert.dataset)
                why = f"a {alert.severity} contains itself"
                under = Permitted(state.bundle, (), state.epoch)
                if self._containment.contain(alert, measure, by=NOBODY, why=why, under=under):
                    log.warning("alert_contained", alert=alert.id, dataset=alert.dataset)
