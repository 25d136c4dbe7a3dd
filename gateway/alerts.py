"""`/v1/alerts`: what on-call sees, answers and contains. Nothing here is changed by a GET."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from audit.canonical import LARGEST_INTEGER
from audit.severities import AROUND_REMIT, BEYOND_AUDIENCE
from audit.signals import Alert
from audit.steps import steps_of
from authz.acceptances import Acceptances
from authz.containment import StillOpen
from authz.exposure import exposed_files
from authz.measures import Measure, is_known, measures, proposed
from policy.bundle import Bundle
from policy.effective import beyond_audience
from policy.values import Action, Principal

from .alert_views import alert_json, detail_json, still_open
from .grants import Why
from .parts import Parts
from .problems import Failed
from .reads import unwrap
from .reasons import Because

ALERTS = "remit.alerts"

Id = Annotated[int, Path(ge=1, le=LARGEST_INTEGER)]


class AlertList(BaseModel):
    """A page of alerts, newest first."""

    items: list[dict[str, Any]]
    next: str | None = None


class ContainBody(BaseModel):
    """What is to be suspended or paused, and why; what is left out is what the alert proposes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    what: Literal["grant", "principal", "dataset", "team", "purpose", "everything"] | None = None
    target: str = Field("", max_length=500, description="which one; the alert's own where left out")
    why: Because


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The calls about alerts, for one gateway."""
    router = APIRouter(prefix="/v1", tags=["alerts"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type
    acceptances = Acceptances(parts.ledger, parts.holds, parts.pauses, parts.clock)

    @router.get("/alerts")
    def alerts(
        who: Who,
        state: Annotated[str | None, Query(pattern="^(open|acknowledged|contained|resolved|reopened)$")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: Annotated[int | None, Query(ge=0, le=LARGEST_INTEGER, description="`next` of the page before")] = None,
    ) -> AlertList:
        """Alerts, newest first."""
        unwrap(parts.oversight.look(who, ALERTS, {"alerts": state or "all"}))
        page = parts.alerts.list(before=before, limit=limit + 1, state=state)
        items = [alert_json(alert) for alert in page[:limit]]
        return AlertList(items=items, next=str(page[limit - 1].id) if len(page) > limit else None)

    @router.get("/alerts/{id:int}")
    def alert(id: Id, who: Who) -> dict[str, Any]:
        """One alert with its evidence, what happened to it, and what can be done."""
        under = unwrap(parts.oversight.look(who, ALERTS, {"alert": str(id)}))
        return _detail(parts, _found(parts, id), under.bundle)

    @router.post("/alerts/{id:int}:acknowledge")
    def acknowledge(id: Id, body: Why, who: Who) -> dict[str, Any]:
        """Say that somebody is on it."""
        under = unwrap(parts.oversight.may(who, ALERTS, Action.RESPOND))
        parts.alerts.acknowledge(id, by=who.name, why=body.why, teams=who.teams)
        return _detail(parts, _found(parts, id), under.bundle)

    @router.post("/alerts/{id:int}:contain")
    def contain(id: Id, body: ContainBody, who: Who) -> dict[str, Any]:
        """Suspend or pause what the alert is about: no read of it is authorised from now on, running streams end."""
        under = unwrap(parts.oversight.may(who, ALERTS, Action.RESPOND))
        alert = _found(parts, id)
        measure = _measure(parts, alert, body, under.bundle)
        if not parts.containment.contain(alert, measure, by=who, why=body.why, under=under):
            raise _over(alert)
        return _detail(parts, _found(parts, id), under.bundle)

    @router.post("/alerts/{id:int}:resolve")
    def resolve(id: Id, body: Why, who: Who) -> dict[str, Any]:
        """Say that it is over, which is tested: what it was about has to be refused, and stays tested from then on."""
        under = unwrap(parts.oversight.may(who, ALERTS, Action.RESPOND))
        alert = _found(parts, id)
        if wide := _still_wide(parts, alert, under.bundle):
            help = f"{alert.evidence.next}; `remit policy reload` looks again"
            raise Failed("hold_check", f"alert {id} is not over: {wide}", help)
        match parts.containment.resolve(alert, by=who, why=body.why, under=under):
            case StillOpen() as still:
                name = acceptances.opened(alert, under.bundle).name
                raise still_open(f"alert {id} is not over", still, f"remit alerts accept {id} --open {name}")
            case False:
                raise _over(alert)
        return _detail(parts, _found(parts, id), under.bundle)

    return router


def _found(parts: Parts, id: int) -> Alert:
    alert = parts.alerts.get(id)
    if alert is None:
        raise Failed("not_found", f"there is no alert {id}", "`remit alerts list` shows which there are")
    return alert


def _over(alert: Alert) -> Failed:
    return Failed("bad_request", f"alert {alert.id} is {alert.state}", "it opens again by itself if it has to")


def _still_wide(parts: Parts, alert: Alert, bundle: Bundle) -> str:
    """What a look finds as it was, of what no access tells: rules wider than an audience, files that lie open."""
    if alert.evidence.line == BEYOND_AUDIENCE:
        beyond = (found for dataset, found in beyond_audience(bundle) if dataset.name == alert.dataset)
        told = "; ".join(f"{each.team} for {each.purpose}" for each in next(beyond, ()))
        return f"rules still let in {told}" if told else ""
    if alert.evidence.line == AROUND_REMIT:
        exposed = exposed_files(bundle.catalog, parts.settings.catalog.parent)
        name = next((each.path.name for each in exposed if each.dataset == alert.dataset), "")
        return f"`{name}` can still be read around remit" if name else ""
    return ""


def _measure(parts: Parts, alert: Alert, body: ContainBody, bundle: Bundle) -> Measure:
    """What is to be done: as it was asked, or the alert's own proposal."""
    if body.target:
        if body.what is None:
            raise Failed("bad_request", f"`{body.target}` is a target without `what`", "say what it is, `dataset` say")
        measure: Measure | None = Measure(body.what, body.target)
    else:
        own = measures(alert, parts.containment.entries_of(alert), bundle)
        measure = Measure("everything") if body.what == "everything" else proposed(alert, own, body.what)
    if measure is None and body.what is None:
        help = "`what` says what is to be paused; `everything` stops all reading"
        raise Failed("bad_request", f"alert {alert.id} names no data and nobody", help)
    if measure is None:
        raise Failed("bad_request", f"alert {alert.id} names no {body.what}", "name one as `target`")
    is_there = is_known(measure, bundle) and (measure.kind != "grant" or parts.grants.get(measure.target) is not None)
    if not is_there:
        raise Failed("bad_request", f"there is no {measure.kind} `{measure.target}`", "`remit alerts show` names some")
    return measure


def _detail(parts: Parts, alert: Alert, bundle: Bundle) -> dict[str, Any]:
    steps = steps_of(parts.engine, [alert.id]).get(alert.id, ())
    own = measures(alert, parts.containment.entries_of(alert), bundle)
    url = f"{parts.settings.public_url}/v1/alerts/{alert.id}"
    return detail_json(alert, steps, own, parts.holds.all(alert.id), bundle, url)
