"""Whether reading is paused for an ask: a deny above all rules."""

from collections.abc import Iterable

from .ask import Ask
from .decision import Code, Refuse
from .names import is_within
from .refusals import refuse
from .values import Grant, Pause, Principal


def pause_of(ask: Ask, purpose: str | None, pauses: Iterable[Pause]) -> Pause | None:
    """The first pause that holds; like a deny, one of a purpose also stops an ask for a wider purpose."""
    return next((pause for pause in pauses if touches(pause, ask.principal, ask.dataset.name, purpose)), None)


def touches(pause: Pause, principal: Principal, dataset: str, purpose: str | None) -> bool:
    """Whether `pause` stops `principal` from reading `dataset` for `purpose`; None where it is not known yet."""
    match pause.kind:
        case "everything":
            return True
        case "dataset":
            return pause.target == dataset
        case "principal":
            return pause.target == principal.name
        case "team":
            return principal.is_member(pause.target)
        case "purpose":
            asked = purpose or ""
            return purpose is not None and (is_within(asked, pause.target) or is_within(pause.target, asked))


def suspension_of(principal: Principal, pauses: Iterable[Pause]) -> Pause | None:
    """The suspension of `principal`; None where there is none."""
    return next((each for each in pauses if each.kind == "principal" and each.target == principal.name), None)


def stopped(ask: Ask, pause: Pause, grant: Grant | None = None) -> Refuse:
    """The refusal of an ask that `pause` stops: a principal is suspended, which is an excess; all else is paused."""
    if pause.kind != "principal":
        return refuse(ask, Code.PAUSED, told(pause), grant=grant)
    asked = f"dataset {ask.dataset.name}"
    return refuse(ask, Code.SUSPENDED, told(pause), grant=grant, declared="nothing for now", asked=asked)


def told(pause: Pause) -> str:
    """What the reader is told of a pause: what is paused, and why."""
    if pause.kind == "principal":
        return f"`{pause.target}` is suspended: {pause.reason}"
    what = pause.kind if pause.kind == "everything" else f"{pause.kind} `{pause.target}`"
    return f"reading is paused for {what}: {pause.reason}"
