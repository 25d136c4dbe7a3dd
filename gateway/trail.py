"""`GET /v1/audit/entries`: the trail, newest first, or on from an entry."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator

from audit import trail
from audit.canonical import LARGEST_INTEGER
from audit.entries import Json, Kind
from audit.trail import Line
from audit.trail import Query as Sought
from policy.values import Action, Principal

from .parts import Parts
from .problems import Failed
from .reads import unwrap

AUDIT = "remit.audit"


def _written_out(text: object) -> object:
    """Pydantic would take `0.5` for a moment of 1970."""
    if isinstance(text, str) and not re.match(r"[0-9]{4}-", text):
        raise ValueError("a time is written out, like 2026-11-01T00:00:00Z")
    return text


Time = Annotated[AwareDatetime, BeforeValidator(_written_out)]
Text = Annotated[str | None, Query(max_length=1000)]
Page = Annotated[int, Query(ge=1, le=1000)]
Before = Annotated[int | None, Query(ge=1, le=LARGEST_INTEGER, description="`next` of the page before")]
After = Annotated[int | None, Query(ge=0, le=LARGEST_INTEGER, description="oldest first, on from this one")]


class Trail(BaseModel):
    """A page of entries: each is its `seq` and its document, as it was hashed.

    Whoever searches goes on while there is a `next`: a page that found little or nothing so far has one too.
    """

    items: list[dict[str, Any]]
    next: str | None = None


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The trail of one gateway."""
    router = APIRouter(prefix="/v1", tags=["audit"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type

    @router.get("/audit/entries")
    def entries(
        who: Who,
        actor: Text = None,
        team: Text = None,
        dataset: Text = None,
        purpose: Text = None,
        code: Text = None,
        kind: Text = None,
        grant: Text = None,
        read: Text = None,
        from_: Annotated[Time | None, Query(alias="from")] = None,
        to: Time | None = None,
        limit: Page = 100,
        before: Before = None,
        after: After = None,
    ) -> Trail:
        """Entries that fit, newest first; with `after`, what was written since, oldest first. It is recorded first."""
        since, until = utc(from_), utc(to)
        sought = Sought(actor, team, dataset, purpose, code, kind, grant, read, since, until, before, limit)
        if after is None:
            return _page(parts, who, sought)
        if before is not None or any(_asked(sought)):
            raise Failed("bad_request", "`after` goes with `limit` alone", "leave the other parameters out")
        return _since(parts, who, after, limit)

    return router


def utc(time: datetime | None) -> datetime | None:
    """The same moment in UTC; raises `Failed` where UTC has no such year."""
    try:
        return time and time.astimezone(UTC)
    except OverflowError:
        raise Failed("bad_request", "a time is beyond what there is", "name a year from 1 to 9999, in UTC") from None


def _page(parts: Parts, who: Principal, sought: Sought) -> Trail:
    unwrap(parts.oversight.look(who, AUDIT, {"searched": _asked(sought)}))
    page = trail.search(parts.engine, sought)
    following = None if page.next is None else str(page.next)
    return Trail(items=[_item(line) for line in page.lines], next=following)


def _since(parts: Parts, who: Principal, seq: int, limit: int) -> Trail:
    """What was written after `seq`; a look that finds nothing but the traces of such looks leaves no trace itself.

    Else whoever follows the trail would for ever read that they read it.
    """
    unwrap(parts.oversight.may(who, AUDIT, Action.READ))
    lines = trail.after(parts.engine, seq, limit)
    last = lines[-1].seq if lines else seq
    news = [line for line in lines if not _is_following(line)]
    if news:
        unwrap(parts.oversight.look(who, AUDIT, {"followed_after": seq}))
    return Trail(items=[_item(line) for line in news], next=str(last))


def _is_following(line: Line) -> bool:
    return line.doc["kind"] == Kind.AUDIT_READ and "followed_after" in line.doc["details"]["asked"]


def _asked(sought: Sought) -> dict[str, Json]:
    names = ("actor", "team", "dataset", "purpose", "code", "kind", "grant", "read")
    asked: dict[str, Json] = {name: value for name in names if (value := getattr(sought, name)) is not None}
    times: dict[str, datetime | None] = {"from": sought.from_, "to": sought.to}
    return asked | {name: time.isoformat() for name, time in times.items() if time is not None}


def _item(line: Line) -> dict[str, Any]:
    return {"seq": line.seq, **line.doc}
