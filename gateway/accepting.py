"""`POST /v1/alerts/{id}:accept`: two people let a single access that should stay closed be open, by its name."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends

from authz.acceptances import Acceptances
from authz.gate import NEEDED
from policy.values import Action, Principal

from .alerts import ALERTS, Id
from .operations import AcceptBody, Accepted
from .parts import Parts
from .pauses import a_person
from .problems import Failed
from .reads import unwrap


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The call of one gateway."""
    router = APIRouter(prefix="/v1", tags=["alerts"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type
    acceptances = Acceptances(parts.ledger, parts.holds, parts.pauses, parts.clock)

    @router.post("/alerts/{id:int}:accept")
    def accept(id: Id, body: AcceptBody, who: Who) -> Accepted:
        """Accept by name what would be open of an alert's hold checks; two people have to, then it is asked no more."""
        under = unwrap(parts.oversight.may(who, ALERTS, Action.RESPOND))
        a_person(who)
        alert = parts.alerts.get(id)
        if alert is None:
            raise Failed("not_found", f"there is no alert {id}", "`remit alerts list` shows which there are")
        opened = acceptances.opened(alert, under.bundle)
        if not opened.found:
            raise Failed("bad_request", f"nothing that alert {id} closed would be open", "there is nothing to accept")
        if body.digest != opened.name:
            detail = f"`{body.digest}` is not what would be open of alert {id} now"
            raise Failed("changed", detail, f"`remit alerts resolve {id}` says what it is, and names it")
        accepted = acceptances.accept(opened, by=who, why=body.why, under=under)
        return Accepted(digest=accepted.digest, alerts=[id], by=list(accepted.by), needed=NEEDED)

    return router
