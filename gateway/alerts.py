"""`/v1/alerts`: what on-call sees and answers."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel

from audit.signals import Alert
from policy.values import Action, Principal

from .grants import Why
from .parts import Parts
from .problems import Failed
from .reads import unwrap

ALERTS = "remit.alerts"

Id = Annotated[int, Path(ge=1, le=2**62)]


class AlertList(BaseModel):
    """A page of alerts, newest first."""

    items: list[dict[str, Any]]
    next: str | None = None


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The calls about alerts, for one gateway."""
    router = APIRouter(prefix="/v1", tags=["alerts"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type

    @router.get("/alerts")
    def alerts(
        who: Who,
        state: Annotated[str | None, Query(pattern="^(open|acknowledged|resolved)$")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: Annotated[int | None, Query(ge=0, description="`next` of the page before")] = None,
    ) -> AlertList:
        """Alerts, newest first."""
        unwrap(parts.oversight.look(who, ALERTS, {"alerts": state or "all"}))
        page = parts.alerts.list(before=before, limit=limit + 1, state=state)
        items = [alert_json(alert) for alert in page[:limit]]
        return AlertList(items=items, next=str(page[limit - 1].id) if len(page) > limit else None)

    @router.get("/alerts/{id:int}")
    def alert(id: Id, who: Who) -> dict[str, Any]:
        """One alert with its evidence."""
        unwrap(parts.oversight.look(who, ALERTS, {"alert": str(id)}))
        return _found(parts.alerts.get(id), id)

    @router.post("/alerts/{id:int}:acknowledge")
    def acknowledge(id: Id, body: Why, who: Who) -> dict[str, Any]:
        """Say that somebody is on it."""
        unwrap(parts.oversight.may(who, ALERTS, Action.RESPOND))
        return _found(parts.alerts.acknowledge(id, by=who.name, why=body.why, teams=who.teams), id)

    return router


def _found(alert: Alert | None, id: int) -> dict[str, Any]:
    if alert is None:
        raise Failed("not_found", f"there is no alert {id}", "`remit alerts list` shows which there are")
    return alert_json(alert)


def alert_json(alert: Alert) -> dict[str, Any]:
    """An alert as JSON, its evidence side by side."""
    evidence = alert.evidence
    acknowledged = {
        "by": alert.acknowledged_by,
        "at": alert.acknowledged_at and alert.acknowledged_at.isoformat(),
        "why": alert.acknowledged_why,
    }
    return {
        "id": alert.id,
        "severity": int(alert.severity),
        "state": alert.state,
        "title": alert.title,
        "actor": alert.actor,
        "dataset": alert.dataset,
        "grant": alert.grant,
        "code": alert.code,
        "purpose": evidence.purpose or None,
        "data_classes": sorted(alert.data_classes),
        "count": alert.count,
        "first_at": alert.first_at.isoformat(),
        "last_at": alert.last_at.isoformat(),
        "entries": list(evidence.entries),
        "evidence": {
            "declared": evidence.declared,
            "asked": evidence.asked,
            "given": evidence.given,
            "columns": list(evidence.columns),
            "rules": list(evidence.rules),
        },
        "next": evidence.next,
        "acknowledged": acknowledged if alert.acknowledged_by else None,
    }
