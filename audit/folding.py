"""Which entries are one alert. Pure.

Entries of the same principal, dataset, grant and code are one alert until it is resolved or an hour has passed since
its last. A rise in severity or a data class that none of the live alerts had is never folded away: it becomes an alert
of its own, rather than the old one raised, so that an acknowledgement never covers what nobody had seen yet.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from .severities import SPREAD, SPREAD_WITHIN
from .signals import MOST, Alert, Key, together_of
from .states import State

QUIET = timedelta(hours=1)
"""An alert that has counted nothing for longer than this is over; what comes then is a new one."""


@dataclass(frozen=True, slots=True)
class Folded:
    """What to store: alerts to insert, oldest first, and stored ones that have counted further."""

    raised: tuple[Alert, ...]
    counted: tuple[Alert, ...]


def fold(known: Iterable[Alert], signals: Iterable[Alert]) -> Folded:
    """Fold `signals`, in the order of their entries, into the `known` alerts of the same principals.

    `known` has to hold each alert that counted within `QUIET` before the first signal and has the key of a signal, or
    of the alert over several excesses; and, where a signal is an excess, of its principal's other excesses within
    `SPREAD_WITHIN` the last one of each dataset and code. More changes nothing.
    """
    board = _Board()
    for alert in sorted(known, key=lambda alert: (alert.last_at, alert.id)):
        board.add(alert)
    board.touched.clear()
    for signal in signals:
        board.place(signal)
        together = board.together(signal)
        if together:
            board.place(together)
    changed = [board.alerts[slot] for slot in sorted(board.touched)]
    return Folded(tuple(a for a in changed if not a.id), tuple(a for a in changed if a.id))


@dataclass(slots=True)
class _Board:
    """The alerts while they are folded; everything names them by their slot in `alerts`."""

    alerts: list[Alert] = field(default_factory=list)
    slots: dict[Key, list[int]] = field(default_factory=dict)
    excesses: dict[str, dict[tuple[str | None, str], int]] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)

    def add(self, alert: Alert) -> None:
        self.slots.setdefault(alert.key, []).append(len(self.alerts))
        self.alerts.append(alert)
        self._touch(len(self.alerts) - 1)

    def place(self, signal: Alert) -> None:
        if any(signal.last_seq in self.alerts[slot].evidence.entries for slot in self.slots.get(signal.key, ())):
            return None  # raised at once, past the follower
        live = [slot for slot in self.slots.get(signal.key, ()) if _is_live(self.alerts[slot], signal.last_at)]
        had = frozenset[str]().union(*(self.alerts[slot].data_classes for slot in live))
        fitting = [slot for slot in live if self.alerts[slot].severity <= signal.severity]
        if not fitting or not signal.data_classes <= had:
            return self.add(signal)
        # The least severe that fits: SEV4 entries must not keep a quiet SEV3 from being over.
        slot = max(fitting, key=lambda slot: (self.alerts[slot].severity, slot))
        self.alerts[slot] = _counted(self.alerts[slot], signal)
        return self._touch(slot)

    def together(self, signal: Alert) -> Alert | None:
        """The alert over this and the principal's other excesses, where they are different enough."""
        last = (self.alerts[slot] for slot in self.excesses.get(signal.actor, {}).values())
        recent = [alert for alert in last if signal.last_at - alert.last_at <= SPREAD_WITHIN]
        if not signal.evidence.is_excess or len(recent) < SPREAD:
            return None
        return together_of(signal, recent)

    def _touch(self, slot: int) -> None:
        alert = self.alerts[slot]
        self.touched.add(slot)
        if alert.evidence.is_excess:
            self.excesses.setdefault(alert.actor, {})[alert.dataset, alert.code] = slot


def _is_live(alert: Alert, at: datetime) -> bool:
    return alert.state != State.RESOLVED and at - alert.last_at <= QUIET


def _counted(alert: Alert, signal: Alert) -> Alert:
    entries = (*alert.evidence.entries, signal.last_seq)
    if len(entries) > 2 * MOST:
        entries = entries[:MOST] + entries[-MOST:]
    return replace(
        alert,
        count=alert.count + 1,
        last_seq=signal.last_seq,
        last_at=signal.last_at,
        evidence=replace(alert.evidence, entries=entries),
    )
