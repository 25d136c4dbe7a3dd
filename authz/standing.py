"""Who has a say in what becomes of a request, which approvals count, and what hinders a step."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policy.approving import OWNER, missing
from policy.decision import Refuse
from policy.effect import Effect
from policy.lifecycle import REQUESTS, RequestState, Role, Step, moved
from policy.values import Principal

from .requests import Approval, Request

Seen = Effect | Refuse
"""What the rules make of a request now."""


class Reason(StrEnum):
    """Why a step cannot be taken, where no line of the decision table says it."""

    TOO_MANY = "too_many"
    NOT_FOUND = "not_found"
    NOT_OPEN = "not_open"
    NOT_APPROVER = "not_approver"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Cannot:
    """A step that cannot be taken, why, and what to do next."""

    reason: Reason
    detail: str
    help: str


PAST = {
    Step.APPROVE: "approved",
    Step.NARROW: "narrowed",
    Step.DENY: "denied",
    Step.WITHDRAW: "withdrawn",
    Step.REVIEW: "reviewed",
}


def counting(request: Request, effect: Effect) -> tuple[Approval, ...]:
    """The approvals that count now: of this very effect, by people whom the rules still let approve."""
    return tuple(each for each in request.approvals if each.shown == effect.digest and effect.panel.stands_for(each.by))


def lacking(effect: Effect, approvals: Sequence[Approval]) -> tuple[str, ...]:
    """The parties that nobody of these stands for."""
    return missing(effect.panel.parties, [effect.panel.stands_for(each.by) for each in approvals])


def needless(request: Request, who: Principal, effect: Effect) -> Cannot | None:
    """Why an approval of `who` would add nothing to those that count; None where it would."""
    before = counting(request, effect)
    if who.name in {each.by.name for each in before}:
        said = "you have approved it already, and nobody stands for two of those who must"
        return Cannot(Reason.NOT_APPROVER, said, "somebody else has to approve")
    missing_now = lacking(effect, before)
    left = lacking(effect, (*before, Approval(who, "", effect.digest, "")))
    if len(left) < len(missing_now):
        return None
    said = f"another approval of yours is not missing: what is, is {', '.join(left)}"
    return Cannot(Reason.NOT_APPROVER, said, "somebody else has to approve")


def owners_of(effect: Effect) -> tuple[str, ...]:
    """The teams that own what would be seen."""
    return tuple(party.removeprefix(OWNER) for party in effect.panel.parties if party.startswith(OWNER))


def after(request: Request, step: Step) -> RequestState:
    """What a request is after `step`, by the table. Raises `ValueError` where the table has no such step."""
    found = moved(REQUESTS, request.state, step)
    if found is None:
        raise ValueError(f"a request that is {request.state.value} takes no step `{step.value}`")
    return RequestState(found)


def hindered(request: Request, step: Step, who: Principal, effect: Seen, at: datetime) -> Cannot | None:
    """Why `who` cannot take `step` now, by the table of `policy.lifecycle`; None where they can."""
    state, cannot = request.at(at), barred(request, who, effect)
    if moved(REQUESTS, state, step) is None:
        said = f"request `{request.id}` is {state.value}: it cannot be {PAST[step]}"
        if request.grant is not None and step in (Step.DENY, Step.WITHDRAW):
            return Cannot(Reason.NOT_OPEN, said, f"`remit grants revoke {request.grant}` ends what became of it")
        return Cannot(Reason.NOT_OPEN, said, f"`remit requests show {request.id}` says what became of it")
    roles = [Role.APPROVER] if cannot is None else []
    roles += [Role.REQUESTER] if who.name == request.requester else []
    if any(moved(REQUESTS, state, step, role) for role in roles):
        return None
    return cannot or Cannot(Reason.NOT_APPROVER, f"only {request.requester} can take it back", "deny it instead")


def barred(request: Request, who: Principal, effect: Seen) -> Cannot | None:
    """Why `who` has no say in what becomes of a request; None where they have one."""
    if who.name == request.requester:
        return Cannot(Reason.NOT_APPROVER, "nobody approves what they ask for themselves", "somebody else has to")
    if request.scope.is_for(who):
        return Cannot(Reason.NOT_APPROVER, "nobody approves what they would read themselves", "somebody else has to")
    if who.kind != "person":
        return Cannot(Reason.NOT_APPROVER, "a service approves nothing", "a person has to look at it")
    if isinstance(effect, Refuse):
        has_say = request.is_owned_by(who)
        parties = ", ".join(f"owner {team}" for team in request.owners)
    else:
        has_say = bool(effect.panel.stands_for(who))
        parties = ", ".join(effect.panel.parties)
    if has_say:
        return None
    return Cannot(Reason.NOT_APPROVER, f"you are none of those who decide on it: {parties}", "ask one of them")


def changed_since(id: str) -> Cannot:
    """It is not what somebody saw."""
    said = f"request `{id}` is not what you were shown any more"
    return Cannot(Reason.CHANGED, said, f"look at it again: `remit requests show {id}`")


def not_found(id: str) -> Cannot:
    """There is no such request."""
    return Cannot(Reason.NOT_FOUND, f"there is no request `{id}`", "`remit requests list` shows which there are")
