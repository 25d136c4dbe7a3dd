"""What one caller gets to see of a request: what the rules make of it now, and what the caller can do."""

from dataclasses import dataclass
from typing import Any

from authz.requests import Request
from authz.standing import barred, counting, hindered, lacking, needless
from policy.decision import Refuse
from policy.effect import Effect, effect_of
from policy.lifecycle import RequestState, Step
from policy.scopes import scope_to_json
from policy.values import Principal

from .parts import Parts

STEPS = (Step.APPROVE, Step.NARROW, Step.DENY, Step.WITHDRAW, Step.REVIEW)


@dataclass(frozen=True, slots=True)
class Sight:
    """A request, under what is in force now, in the eyes of `who`."""

    request: Request
    who: Principal
    effect: Effect | Refuse
    state: RequestState
    can: tuple[str, ...]

    @classmethod
    def of(cls, parts: Parts, request: Request, who: Principal) -> "Sight":
        """The request as it is now."""
        effect = effect_of(request.scope, request.reader, parts.control.state.bundle)
        at = parts.clock()
        steps = (step for step in STEPS if _has_effect(step, request, who, effect))
        can = tuple(step.value for step in steps if hindered(request, step, who, effect, at) is None)
        return cls(request, who, effect, request.at(at), can)

    @property
    def is_open_to_caller(self) -> bool:
        """Whether `who` asked for it, would read under it, or has or had a say in it."""
        return self.request.concerns(self.who) or self.request.is_owned_by(self.who) or self.has_say

    @property
    def has_say(self) -> bool:
        """Whether `who` is one of those who decide on it."""
        return barred(self.request, self.who, self.effect) is None


def _has_effect(step: Step, request: Request, who: Principal, effect: Effect | Refuse) -> bool:
    """Whether it would change something, by whoever may take it."""
    match step:
        case Step.REVIEW:
            return request.is_under_review
        case Step.APPROVE:
            return isinstance(effect, Effect) and needless(request, who, effect) is None
        case Step.NARROW:
            return isinstance(effect, Effect)
        case _:
            return True


def request_json(sight: Sight) -> dict[str, Any]:
    """A request as JSON."""
    request, effect = sight.request, sight.effect
    counts = counting(request, effect) if isinstance(effect, Effect) else ()
    return {
        "id": request.id,
        "state": sight.state.value,
        "requester": request.requester,
        "made_at": request.made_at.isoformat(),
        "asked": scope_to_json(request.asked),
        "scope": scope_to_json(request.scope),
        "effect": effect.to_json() if isinstance(effect, Effect) else None,
        "refusal": _refusal(effect) if isinstance(effect, Refuse) else None,
        "reach": _reach(sight),
        "shown": effect.digest if isinstance(effect, Effect) else None,
        "missing": _missing(sight),
        "approvals": [
            {"by": each.by.name, "at": each.at, "comment": each.comment, "counts": each in counts}
            for each in request.approvals
        ],
        "steps": [dict(step) for step in request.steps],
        "grant": request.grant,
        "renews": request.renews,
        "break_glass": request.break_glass,
        "reviewed_by": request.reviewed_by,
        "can": list(sight.can),
    }


def _missing(sight: Sight) -> list[str]:
    if sight.state is not RequestState.OPEN or not isinstance(sight.effect, Effect):
        return []
    return list(lacking(sight.effect, counting(sight.request, sight.effect)))


def _reach(sight: Sight) -> dict[str, Any]:
    """A filter on what is hidden from the reader would tell it by numbers: then only who decides sees them."""
    return {
        name: {
            "rows": None if each["telling"] and not sight.has_say else each["rows"],
            "subjects": None if each["telling"] and not sight.has_say else each["subjects"],
            "withheld": bool(each["telling"]) and not sight.has_say,
        }
        for name, each in sight.request.reach.items()
    }


def _refusal(refusal: Refuse) -> dict[str, Any]:
    """Why the rules do not allow it any more."""
    return {"code": refusal.code.value, "detail": refusal.detail, "rules": list(refusal.rules), "help": refusal.help}
