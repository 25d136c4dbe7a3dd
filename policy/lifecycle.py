"""The life of a request and of a grant: two small tables, read by the stores; nobody else changes a state. Pure.

request   open ──approve──▶ open ──the last approval──▶ granted ──close its review──▶ granted
            │ ╲──deny──▶ denied
            ╰──withdraw──▶ withdrawn          its end passes: lapsed

grant     active ◀──suspend, resume──▶ suspended ──revoke──▶ revoked       and by the clock: not_started, expired
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .values import Grant, GrantStatus


class RequestState(StrEnum):
    """What became of a request. `LAPSED` is never stored: it is what an open one is once its end has passed."""

    OPEN = "open"
    GRANTED = "granted"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"


class GrantState(StrEnum):
    """What a grant is at a moment: what was done to it, and what the clock says."""

    NOT_STARTED = "not_started"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Step(StrEnum):
    """What can be done to a request or a grant."""

    APPROVE = "approve"
    NARROW = "narrow"
    GRANT = "grant"
    DENY = "deny"
    WITHDRAW = "withdraw"
    REVIEW = "review"
    REVOKE = "revoke"
    SUSPEND = "suspend"
    RESUME = "resume"


class Role(StrEnum):
    """As what somebody does it; whoever has several of them may do what any of them may."""

    REQUESTER = "requester"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class Move:
    """One line of a table: in this state, this step, by one of these, leads there."""

    state: str
    step: Step
    after: str
    by: frozenset[Role]


ASKED = frozenset({Role.REQUESTER})
JUDGED = frozenset({Role.APPROVER})
ANY_OF_THEM = frozenset(Role)
RULED = frozenset({Role.ADMINISTRATOR})

REQUESTS = (
    Move(RequestState.OPEN, Step.APPROVE, RequestState.OPEN, JUDGED),
    Move(RequestState.OPEN, Step.GRANT, RequestState.GRANTED, JUDGED),
    Move(RequestState.OPEN, Step.NARROW, RequestState.OPEN, JUDGED),
    Move(RequestState.OPEN, Step.DENY, RequestState.DENIED, JUDGED),
    Move(RequestState.OPEN, Step.WITHDRAW, RequestState.WITHDRAWN, ASKED),
    Move(RequestState.GRANTED, Step.REVIEW, RequestState.GRANTED, JUDGED),
)
"""Every step of a request; `GRANT` is the approval after which nobody is missing. What is not here cannot be done."""

GRANTS = (
    Move(GrantStatus.ACTIVE, Step.REVOKE, GrantStatus.REVOKED, ANY_OF_THEM),
    Move(GrantStatus.SUSPENDED, Step.REVOKE, GrantStatus.REVOKED, ANY_OF_THEM),
    Move(GrantStatus.ACTIVE, Step.SUSPEND, GrantStatus.SUSPENDED, RULED),
    Move(GrantStatus.SUSPENDED, Step.RESUME, GrantStatus.ACTIVE, RULED),
)
"""Every step of a grant; a grant that is revoked stays so."""


def moved(table: tuple[Move, ...], state: str, step: Step, role: Role | None = None) -> str | None:
    """Where `step` leads from `state`, by `role` where that is known; None where it cannot be done."""
    lines = (line for line in table if line.state == state and line.step == step)
    return next((line.after for line in lines if role is None or role in line.by), None)


def becomes(before: GrantStatus, after: GrantStatus) -> bool:
    """Whether one step leads from `before` to `after`."""
    return any(line.state == before and line.after == after for line in GRANTS)


def request_state(stored: RequestState, ends: datetime, at: datetime) -> RequestState:
    """What a request is at `at`: an open one whose end has passed asks for nothing any more."""
    return RequestState.LAPSED if stored is RequestState.OPEN and at >= ends else stored


def grant_state(grant: Grant, at: datetime) -> GrantState:
    """What a grant is at `at`: what cannot come back first, then the clock, then what was done to it."""
    if grant.status is GrantStatus.REVOKED:
        return GrantState.REVOKED
    if at >= grant.scope.ends:
        return GrantState.EXPIRED
    if grant.status is GrantStatus.SUSPENDED:
        return GrantState.SUSPENDED
    return GrantState.NOT_STARTED if at < grant.scope.starts else GrantState.ACTIVE
