"""What becomes of an alert: which state each event leads to, as one table. Pure."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where an alert stands. Whether somebody took it on is said apart: a gateway contains what nobody has seen yet."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CONTAINED = "contained"
    RESOLVED = "resolved"
    REOPENED = "reopened"


class Event(StrEnum):
    """What happens to an alert; each leaves the entry `alert.<event>`."""

    ACKNOWLEDGED = "acknowledged"
    CONTAINED = "contained"
    RESOLVED = "resolved"
    REOPENED = "reopened"


TABLE: Mapping[tuple[State, Event], State] = {
    (State.OPEN, Event.ACKNOWLEDGED): State.ACKNOWLEDGED,
    (State.OPEN, Event.CONTAINED): State.CONTAINED,
    (State.OPEN, Event.RESOLVED): State.RESOLVED,
    (State.ACKNOWLEDGED, Event.CONTAINED): State.CONTAINED,
    (State.ACKNOWLEDGED, Event.RESOLVED): State.RESOLVED,
    (State.ACKNOWLEDGED, Event.REOPENED): State.REOPENED,
    (State.CONTAINED, Event.ACKNOWLEDGED): State.CONTAINED,
    (State.CONTAINED, Event.CONTAINED): State.CONTAINED,
    (State.CONTAINED, Event.RESOLVED): State.RESOLVED,
    (State.CONTAINED, Event.REOPENED): State.REOPENED,
    (State.RESOLVED, Event.REOPENED): State.REOPENED,
    (State.REOPENED, Event.ACKNOWLEDGED): State.ACKNOWLEDGED,
    (State.REOPENED, Event.CONTAINED): State.CONTAINED,
    (State.REOPENED, Event.RESOLVED): State.RESOLVED,
}
"""(state, event) → state; what is not here cannot happen, and changes nothing."""


def follows(state: str, event: Event) -> State | None:
    """The state that `event` leads to from `state`; None where it cannot happen."""
    return TABLE.get((State(state), event))
