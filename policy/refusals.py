"""Refusals as people get them: which are excess, what to do next, and what each is about."""

from collections.abc import Iterable

from .ask import Ask
from .decision import Code, Refuse, Side
from .engine import Answer
from .values import Excess, Grant

EXCESS = {
    Code.NO_GRANT: Excess.OUTSIDE,
    Code.NOT_STARTED: Excess.OUTSIDE,
    Code.EXPIRED: Excess.OUTSIDE,
    Code.REVOKED: Excess.OUTSIDE,
    Code.SUSPENDED: Excess.OUTSIDE,
    Code.WRONG_PURPOSE: Excess.BEYOND,
    Code.BEYOND_AUDIENCE: Excess.BEYOND,
    Code.BEYOND_COLUMNS: Excess.BEYOND,
    Code.NO_RULE: Excess.OUTSIDE,
    Code.DENIED_BY_RULE: Excess.BEYOND,
    Code.BEYOND_ROWS: Excess.BEYOND,
    Code.BEYOND_BUDGET: Excess.BEYOND,
}
"""Which refusals are excess, and of which kind; those not named are none."""

HELP = {
    Code.PAUSED: "wait until the pause is lifted; asking again does not help",
    Code.NO_GRANT: "declare a scope for this dataset and have it approved; `remit grants list` shows what you have",
    Code.NOT_STARTED: "wait until the grant starts; `remit grants list` says when",
    Code.EXPIRED: "declare a new scope; a grant that ended is not extended",
    Code.REVOKED: "ask the dataset's owner why; a revoked grant does not come back",
    Code.SUSPENDED: "ask on-call; what is suspended is under review",
    Code.WRONG_PURPOSE: "read for the purpose that was approved, or declare a scope for this one",
    Code.BEYOND_AUDIENCE: "ask the dataset's owner to declare your team and purpose as its audience",
    Code.BEYOND_COLUMNS: "leave these columns out, or declare a scope that names them",
    Code.UNCLASSIFIED: "ask the dataset's owner to give the column a data class in the catalog",
    Code.NO_RULE: "leave these columns out, or ask security for a rule",
    Code.DENIED_BY_RULE: "leave these columns out; a rule that denies stands above every grant",
    Code.BEYOND_ROWS: "ask for rows within the scope, or declare a scope that covers these",
    Code.BEYOND_BUDGET: "declare a new scope; the rows of this one are used up",
    Code.BAD_ROWS: "ask the dataset's owner; the scope has to be declared anew",
}
"""What to do next, for the refusals that a grant can meet."""

ORDER = {code: place for place, code in enumerate(Code)}
"""How far down the table a refusal stands."""


def refuse(
    ask: Ask,
    code: Code,
    detail: str,
    *,
    about: Iterable[str] = (),
    grant: Grant | None = None,
    declared: Side = None,
    asked: Side = None,
    answers: Iterable[Answer] = (),
) -> Refuse:
    """A refusal by `code`, `about` some columns; without any it is about all that was asked for."""
    columns = tuple(about)
    scope = grant and grant.scope.of(ask.dataset.name)
    concerned = columns or ask.request.columns or (scope.columns if scope else tuple(ask.dataset.columns))
    return Refuse(
        code,
        detail,
        HELP[code],
        excess=EXCESS.get(code),
        grant=grant,
        purpose=ask.request.purpose or (grant.scope.purpose if grant else None),
        columns=columns,
        data_classes=ask.classes(concerned),
        declared=declared,
        asked=asked,
        rules=names(answer.rules for answer in answers),
        lacked=names(answer.lacked for answer in answers),
        sensitivity=ask.sensitivity(concerned),
    )


def names(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Every name in `groups` once, sorted."""
    return tuple(sorted({name for group in groups for name in group}))
