"""`/v1/grants`: one's own, and for administrators everybody's."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from policy.errors import MisreadAll
from policy.lifecycle import grant_state
from policy.scopes import check_scope, scope_from_json, scope_to_json
from policy.values import Action, Grant, GrantStatus, Principal

from .ending import revoked
from .parts import Parts
from .problems import Failed
from .reads import unwrap
from .reasons import Because

GRANTS = "remit.grants"


class Why(BaseModel):
    """Why something is done; it stands in the ledger."""

    model_config = ConfigDict(extra="forbid", strict=True)

    why: Because = Field(examples=["the training run has ended"])


class GrantList(BaseModel):
    """A page of grants, newest first."""

    items: list[dict[str, Any]]
    next: str | None = None


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The calls about grants, for one gateway."""
    router = APIRouter(prefix="/v1", tags=["grants"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type

    @router.get("/grants")
    def grants(
        who: Who,
        everybody: Annotated[bool, Query(description="everybody's, for administrators")] = False,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: Annotated[str | None, Query(description="`next` of the page before")] = None,
    ) -> GrantList:
        """The caller's grants; everybody's with `everybody=true` for whoever may administer grants."""
        if everybody:
            unwrap(parts.oversight.look(who, GRANTS, {"grants": "everybody's"}, action=Action.ADMINISTER))
        page = parts.grants.page(None if everybody else who, before, limit + 1)
        items = [grant_json(grant, parts.clock()) for grant in page[:limit]]
        return GrantList(items=items, next=page[limit - 1].id if len(page) > limit else None)

    @router.post("/grants", status_code=201)
    def add(body: dict[str, Any], who: Who) -> dict[str, Any]:
        """Put an approved scope in; the body has the shape of a scope file."""
        under = unwrap(parts.oversight.may(who, GRANTS, Action.ADMINISTER))
        try:
            scope = scope_from_json(body)
        except MisreadAll as wrong:
            raise _unfit(wrong) from None
        if (unfit := check_scope(scope, under.bundle.catalog, under.bundle.policies)) is not None:
            raise _unfit(unfit)
        grant = parts.grants.add(scope, by=who, at=parts.clock(), under=under, records=parts.records)
        return grant_json(grant, parts.clock())

    def change(id: str, body: Why, who: Principal, status: GrantStatus) -> dict[str, Any]:
        under = unwrap(parts.oversight.may(who, GRANTS, Action.ADMINISTER))
        grant = parts.grants.change(id, status, by=who, why=body.why, under=under)
        if grant is None:
            raise Failed("not_found", f"there is no grant `{id}`", "`remit grants list` shows which there are")
        if grant.status is not status:
            raise Failed("bad_request", f"grant `{id}` is {grant.status} for good", "add a new grant")
        return grant_json(grant, parts.clock())

    @router.post("/grants/{id}:revoke")
    def revoke(id: str, body: Why, who: Who) -> dict[str, Any]:
        """End a grant for good; no read is authorised under it any more, and running streams end.

        Whoever asked for it, owns its data or watches over it may, beside administrators.
        """
        grant = revoked(parts, id, who, body.why)
        return change(id, body, who, GrantStatus.REVOKED) if grant is None else grant_json(grant, parts.clock())

    @router.post("/grants/{id}:suspend")
    def suspend(id: str, body: Why, who: Who) -> dict[str, Any]:
        """End reading under a grant until it is resumed."""
        return change(id, body, who, GrantStatus.SUSPENDED)

    @router.post("/grants/{id}:resume")
    def resume(id: str, body: Why, who: Who) -> dict[str, Any]:
        """Let a suspended grant be used again."""
        return change(id, body, who, GrantStatus.ACTIVE)

    return router


def _unfit(wrong: MisreadAll) -> Failed:
    return Failed("bad_request", str(wrong), "mend the scope and add it again")


def grant_json(grant: Grant, at: datetime) -> dict[str, Any]:
    """A grant as JSON: its id, what became of it, what it has used, and the scope as it was approved.

    `status` is what was done to it, `state` what it is at `at`.
    """
    return {
        "id": grant.id,
        "status": grant.status.value,
        "state": grant_state(grant, at).value,
        "rows_used": grant.rows_used,
        **({} if grant.scope.max_subjects is None else {"subjects_used": grant.subjects_used}),
        **scope_to_json(grant.scope),
    }
