"""A request on a terminal: what would be seen, who decides, what happened."""

from policy.amounts import amount
from remit.requests import Reach, Request, Scope, SeenDataset

from . import terminal

TREATMENTS = ("clear", "coarse", "pseudonym", "hidden")


def line_of(request: Request) -> tuple[object, ...]:
    """A request as a line of a list."""
    scope = request.scope
    state = "under review" if request.break_glass and request.reviewed_by is None else request.state
    datasets, missing = list(scope.datasets), list(request.missing)
    return request.id, state, request.requester, holder(scope), scope.purpose, datasets, missing, list(request.can)


def holder(scope: Scope) -> str:
    """Whom it is for."""
    return scope.principal or f"team {scope.team}"


def show_request(request: Request) -> None:
    """Everything that somebody who decides has to see."""
    scope = request.scope
    terminal.say(f"{request.id}  {request.requester} asks for {holder(scope)}, for {scope.purpose}")
    named: list[tuple[str, object]] = [("state", request.state), ("why", scope.justification)]
    named += [("from", scope.starts), ("until", scope.ends), ("rows", _most(scope.max_rows))]
    named += [("people", _most(scope.max_subjects)), ("run", scope.training_run), ("assessed", scope.assessment)]
    named += [("renews", request.renews), ("grant", request.grant)]
    if request.break_glass:
        named.append(("review", f"closed by {request.reviewed_by}" if request.reviewed_by else "open"))
    terminal.fields(named, terminal.out())
    for name, declared in scope.datasets.items():
        seen = request.effect.datasets.get(name) if request.effect else None
        filter, reach = declared.rows or "every row", _reach(request.reach.get(name))
        terminal.say(f"  {name}: {filter}{reach}")
        terminal.fields(_columns(seen) if seen else [("columns", list(declared.columns))], terminal.out())
    if request.effect is not None:
        terminal.fields(
            [("must", f"{', '.join(request.effect.parties)} ({request.effect.sensitivity})")], terminal.out()
        )
    if request.refusal is not None:
        terminal.fields([("refused", f"{request.refusal.code}: {request.refusal.detail}")], terminal.out())
    terminal.fields([("missing", list(request.missing)), ("shown", request.shown)], terminal.out())
    for step in request.steps:
        said = f": {step.why}" if step.why else ""
        terminal.say(f"  {terminal.shown(step.at)} {step.what} by {step.by}{said}")


def _columns(seen: SeenDataset) -> list[tuple[str, object]]:
    return [(each, [one.name for one in seen.columns if one.treatment == each]) for each in TREATMENTS]


def _reach(reach: Reach | None) -> str:
    if reach is None:
        return ""
    if reach.withheld:
        return ", how many is told to those who approve"
    if reach.rows is None or reach.subjects is None:
        return ", of fewer than 10 people"
    return f", about {amount(reach.rows, 'row')} of {amount(reach.subjects, 'person', 'people')}"


def _most(number: int | None) -> str | None:
    return None if number is None else f"at most {number:,}"
