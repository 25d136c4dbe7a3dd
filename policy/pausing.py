"""Whether reading is paused for an ask: a deny above all rules."""

from collections.abc import Iterable

from .ask import Ask
from .names import is_within
from .values import Pause


def pause_of(ask: Ask, purpose: str | None, pauses: Iterable[Pause]) -> Pause | None:
    """The first pause that holds; like a deny, one of a purpose also stops an ask for a wider purpose."""

    def holds(pause: Pause) -> bool:
        match pause.kind:
            case "everything":
                return True
            case "dataset":
                return pause.target == ask.dataset.name
            case "team":
                return ask.principal.is_member(pause.target)
            case "purpose":
                asked = purpose or ""
                return purpose is not None and (is_within(asked, pause.target) or is_within(pause.target, asked))

    return next((pause for pause in pauses if holds(pause)), None)


def told(pause: Pause) -> str:
    """What the reader is told of a pause: what is paused, and why."""
    what = pause.kind if pause.kind == "everything" else f"{pause.kind} `{pause.target}`"
    return f"reading is paused for {what}: {pause.reason}"
