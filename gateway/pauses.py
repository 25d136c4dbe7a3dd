"""`/v1/pauses`: on-call stops reading, everywhere or for one dataset, team, purpose or person."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from authz.containment import Lifting, StillOpen
from authz.pauses import PauseInForce
from policy.names import is_name
from policy.values import Action, Pause, Principal

from .alert_views import still_open
from .alerts import ALERTS
from .grants import Why
from .parts import Parts
from .problems import Failed
from .reads import unwrap
from .reasons import Because


class PauseBody(BaseModel):
    """What is to be paused, and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["everything", "dataset", "team", "purpose", "principal"]
    target: str = Field("", max_length=500, description="which one; empty for everything")
    reason: Because


class PauseList(BaseModel):
    """The pauses in force."""

    items: list[dict[str, Any]]
    next: str | None = None


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The calls about pauses, for one gateway."""
    router = APIRouter(prefix="/v1", tags=["pauses"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type

    @router.get("/pauses")
    def pauses(who: Who) -> PauseList:
        """Every pause in force."""
        unwrap(parts.oversight.look(who, ALERTS, {"pauses": "all"}))
        return PauseList(items=[pause_json(one) for one in parts.pauses.in_force()])

    @router.post("/pauses", status_code=201)
    def pause(body: PauseBody, who: Who) -> dict[str, Any]:
        """Pause reading: nothing is authorised from now on, and running streams end."""
        under = unwrap(parts.oversight.may(who, ALERTS, Action.RESPOND))
        bundle = under.bundle
        exists = {
            "everything": body.target == "",
            "dataset": body.target in bundle.catalog.datasets,
            "team": is_name(body.target),
            "purpose": bundle.policies.knows_purpose(body.target),
            "principal": body.target != "",
        }
        if not exists[body.kind]:
            raise Failed("bad_request", f"there is no {body.kind} `{body.target}`", "name one, or pause `everything`")
        wanted = Pause(body.kind, body.target, body.reason)
        return pause_json(parts.pauses.set(wanted, by=who, at=parts.clock(), under=under))

    @router.post("/pauses/{id}:lift")
    def lift(id: str, body: Why, who: Who) -> dict[str, Any]:
        """Let reading go on: one person proposes it, another one does it, and what was closed has to stay closed."""
        under = unwrap(parts.oversight.may(who, ALERTS, Action.RESPOND))
        a_person(who)
        one = parts.pauses.get(id)
        if one is None:
            raise Failed("not_found", f"there is no pause `{id}`", "`GET /v1/pauses` lists those in force")
        match parts.containment.lift(one, by=who, why=body.why, under=under):
            case StillOpen() as still:
                # `resolve` names what they would accept.
                raise still_open(f"pause `{id}` stays", still, f"remit alerts resolve {still.checks[0].alert}")
            case None:
                detail = f"you proposed to lift pause `{id}`: it takes somebody else to do it"
                raise Failed("second_person", detail, "ask another person who may respond to alerts")
            case Lifting() as lifting:
                return pause_json(lifting.pause, is_lifted=lifting.is_lifted)

    return router


def a_person(who: Principal) -> None:
    """Raises the problem of a service that wants to be one of two people."""
    if who.kind != "person":
        raise Failed("second_person", "a service is not one of two people", "ask a person who may respond to alerts")


def pause_json(one: PauseInForce, *, is_lifted: bool = False) -> dict[str, Any]:
    """A pause as JSON."""
    pause, proposed = one.pause, one.proposed
    return {
        "id": one.id,
        "kind": pause.kind,
        "target": pause.target,
        "reason": pause.reason,
        "set_by": one.set_by,
        "set_at": one.set_at.isoformat(),
        "alert": one.alert,
        "proposed": proposed and {"by": proposed.by, "at": proposed.at.isoformat(), "why": proposed.why},
        "lifted": is_lifted,
    }
