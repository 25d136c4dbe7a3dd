"""`/v1/requests`: scopes that somebody asks for, and what others make of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from authz.asking import Declared
from authz.requests import Request
from authz.standing import Cannot, Reason
from policy.decision import Refuse
from policy.declared import BREAK_GLASS, check_declared
from policy.errors import MisreadAll
from policy.scopes import check_scope, scope_from_json
from policy.values import Action, Principal, Scope

from .grants import GRANTS, Why
from .parts import Parts
from .problems import Failed
from .reads import unwrap
from .reasons import Because
from .sight import Sight, request_json

LIST = "`remit requests list` shows which there are"


class Approving(BaseModel):
    """Yes to what was shown; `shown` is the digest that stood beside it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    shown: str = Field(max_length=200, description="`shown` of the request, as it was looked at")
    comment: str = Field("", max_length=2000)


class Narrowing(BaseModel):
    """What is to become less, of what was shown, and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    shown: str = Field(max_length=200, description="`shown` of the request, as it was looked at")
    why: Because
    narrowing: dict[str, Any] = Field(
        description="`max_rows`, `max_subjects`, `starts`, `ends`; `datasets` with the `columns` that stay, and one "
        "more filter `rows`, or null for one that is left out"
    )


class RequestList(BaseModel):
    """A page of requests, newest first."""

    items: list[dict[str, Any]]
    next: str | None = None


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The calls about requests, for one gateway."""
    router = APIRouter(prefix="/v1", tags=["requests"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type

    @router.get("/requests")
    def requests(
        who: Who,
        everybody: Annotated[bool, Query(description="everybody's, for security and administrators")] = False,
        limit: Annotated[int, Query(ge=1, le=200)] = 100,
        before: Annotated[str | None, Query(max_length=200, description="`next` of the page before")] = None,
    ) -> RequestList:
        """Requests that the caller made, would read under, or has a say in; newest first."""
        if everybody:
            unwrap(parts.oversight.look(who, GRANTS, {"requests": "everybody's"}, action=looking(parts, who)))
        page = parts.requests.page(None if everybody else who, before, limit + 1)
        sights = [Sight.of(parts, each, who) for each in page[:limit]]
        items = [request_json(sight) for sight in sights if everybody or sight.is_open_to_caller]
        return RequestList(items=items, next=page[limit - 1].id if len(page) > limit else None)

    @router.post("/requests", status_code=201)
    def create(body: dict[str, Any], who: Who) -> dict[str, Any]:
        """Ask for a scope: the body has the shape of a scope file, `principal` is the caller where nobody is named."""
        declared = _declared(body, who, parts)
        return _answered(parts, parts.asking.create(declared, who, parts.clock()), who)

    @router.get("/requests/{id}")
    def request(id: str, who: Who) -> dict[str, Any]:
        """One request: what the rules make of it, who has approved and who is missing, and what happened to it."""
        found = parts.requests.get(id)
        if found is None:
            raise Failed("not_found", f"there is no request `{id}`", LIST)
        sight = Sight.of(parts, found, who)
        if not sight.is_open_to_caller:
            unwrap(parts.oversight.look(who, GRANTS, {"request": id}, action=looking(parts, who)))
        return request_json(sight)

    @router.post("/requests/{id}:approve")
    def approve(id: str, body: Approving, who: Who) -> dict[str, Any]:
        """Approve what was shown; with the last approval that was missing, the grant is there."""
        at = parts.clock()
        return _answered(parts, parts.judging.approve(id, who, shown=body.shown, comment=body.comment, at=at), who)

    @router.post("/requests/{id}:narrow")
    def narrow(id: str, body: Narrowing, who: Who) -> dict[str, Any]:
        """Make less of it before it is approved; whoever approved before has to look again."""
        try:
            made = parts.judging.narrow(id, body.narrowing, who, shown=body.shown, why=body.why, at=parts.clock())
        except MisreadAll as wrong:
            raise Failed("bad_request", str(wrong), "name only what is to become less") from None
        return _answered(parts, made, who)

    @router.post("/requests/{id}:deny")
    def deny(id: str, body: Why, who: Who) -> dict[str, Any]:
        """Refuse it for good."""
        return _answered(parts, parts.judging.deny(id, who, why=body.why, at=parts.clock()), who)

    @router.post("/requests/{id}:withdraw")
    def withdraw(id: str, body: Why, who: Who) -> dict[str, Any]:
        """Take one's own request back."""
        return _answered(parts, parts.judging.withdraw(id, who, why=body.why, at=parts.clock()), who)

    @router.post("/requests/{id}:review")
    def review(id: str, body: Why, who: Who) -> dict[str, Any]:
        """Close the review of a grant that was taken without approval."""
        return _answered(parts, parts.judging.review(id, who, why=body.why, at=parts.clock()), who)

    return router


def _declared(body: dict[str, Any], who: Principal, parts: Parts) -> Declared:
    at, scope = parts.clock(), dict(body)
    break_glass, renews = scope.pop("break_glass", False), scope.pop("renews", None)
    if not isinstance(break_glass, bool) or not (renews is None or isinstance(renews, str)):
        raise Failed("bad_request", "`break_glass` is true or false, and `renews` a grant's id", "mend the request")
    if scope.get("team") is None and scope.get("principal") is None:
        scope["principal"] = who.name
    if break_glass:
        scope = {"starts": at.isoformat(), "ends": (at + BREAK_GLASS).isoformat()} | scope
    try:
        understood = scope_from_json(scope, file="request")
    except MisreadAll as wrong:
        raise _unfit(wrong) from None
    if break_glass:
        understood = replace(understood, starts=max(understood.starts, at))
    bundle = parts.control.state.bundle
    for unfit in (
        check_scope(understood, bundle.catalog, bundle.policies, file="request"),
        check_declared(understood, at=at, break_glass=break_glass, by=who),
    ):
        if unfit is not None:
            raise _unfit(unfit)
    _check_holder(understood, who)
    if renews is not None and not _is_own(renews, who, parts):
        raise Failed("not_found", f"there is no grant `{renews}` of yours", "`remit grants list` shows which there are")
    return Declared(understood, break_glass, renews)


def _is_own(id: str, who: Principal, parts: Parts) -> bool:
    """Whether `who` reads under the grant, or asked for it: nobody's request looks like more of somebody else's."""
    grant, request = parts.grants.get(id), parts.requests.of_grant(id)
    asked = request is not None and request.requester == who.name
    return grant is not None and (asked or grant.scope.is_for(who))


def _check_holder(scope: Scope, who: Principal) -> None:
    if scope.team is not None and not who.is_member(scope.team):
        raise Failed("bad_request", f"you are no member of team `{scope.team}`", "ask for yourself, or a team of yours")


def _unfit(wrong: MisreadAll) -> Failed:
    return Failed("bad_request", str(wrong), "mend the request and ask again")


def looking(parts: Parts, who: Principal) -> Action:
    """As what somebody looks at the requests of others: an administrator, or whoever may read `remit.grants`."""
    is_administrator = parts.oversight.allows(who, GRANTS, Action.ADMINISTER)
    return Action.ADMINISTER if is_administrator else Action.READ


def _answered(parts: Parts, outcome: Request | Refuse | Cannot, who: Principal) -> dict[str, Any]:
    match outcome:
        case Request():
            return request_json(Sight.of(parts, outcome, who))
        case Refuse():
            failed = Failed(outcome.code.value, outcome.detail, outcome.help)
            failed.problem = failed.problem.model_copy(update={"rules": list(outcome.rules)})
            raise failed
        case Cannot():
            raise _told(outcome)


def _told(cannot: Cannot) -> Failed:
    detail, help = cannot.detail, cannot.help
    match cannot.reason:
        case Reason.TOO_MANY:
            return Failed("too_many", detail, help)
        case Reason.NOT_FOUND:
            return Failed("not_found", detail, help)
        case Reason.NOT_OPEN:
            return Failed("not_open", detail, help)
        case Reason.NOT_APPROVER:
            return Failed("not_approver", detail, help)
        case Reason.CHANGED:
            return Failed("changed", detail, help)
