"""`/v1/grants/{id}`: what became of a grant, what it was used for, and what its owners should think of it."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from audit import trail
from audit.entries import Entry, Json, Kind
from authz.usage import Used
from policy.approving import may_end
from policy.renewing import UNUSED, proposed, unused_for
from policy.scopes import scope_to_json
from policy.values import Grant, Principal

from .grants import GRANTS, grant_json
from .parts import Parts
from .problems import Failed
from .reads import unwrap
from .requests import looking
from .trail import Before

PURPOSE = "oversight"


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The calls about one grant and its use, for one gateway."""
    router = APIRouter(prefix="/v1", tags=["grants"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type

    @router.get("/grants:review")
    def review(
        who: Who,
        limit: Annotated[int, Query(ge=1, le=1000)] = 500,
        after: Annotated[str, Query(max_length=200, description="`next` of the page before")] = "",
    ) -> dict[str, Any]:
        """The grants on datasets that the caller's teams own, with what they were used for.

        Older ones are on earlier pages; on each page the longest unused are first.
        """
        catalog = parts.control.state.bundle.catalog
        own = [name for name, dataset in catalog.datasets.items() if who.is_member(dataset.owner)]
        found = parts.grants.of_datasets(own, after, limit + 1) if own else []
        grants, more = found[:limit], found[limit:]
        _looked(parts, who, {"grants on": own})
        used = parts.usage.of(*(grant.id for grant in grants)) if grants else {}
        items = [_detail(parts, grant, used[grant.id]) for grant in grants]
        items.sort(key=lambda each: -each["unused_days"])
        return {"items": items, "next": grants[-1].id if more else None}

    @router.get("/grants/{id}")
    def grant(id: str, who: Who) -> dict[str, Any]:
        """One grant, whatever became of it: what it was used for, and what to ask for next."""
        found = _found(parts, id, who)
        return _detail(parts, found, parts.usage.of(id)[id])

    @router.get("/grants/{id}/reads")
    def reads(
        id: str,
        who: Who,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: Before = None,
    ) -> dict[str, Any]:
        """Every read under a grant, newest first, from the ledger."""
        found = _found(parts, id, who)
        _looked(parts, who, {"reads under": found.id})
        page = trail.search(parts.engine, trail.Query(grant=id, kind="read", before_seq=before, limit=limit))
        items = [_read(line) for line in page.lines if line.doc.get("read")]
        return {"items": items, "next": None if page.next is None else str(page.next)}

    return router


def _found(parts: Parts, id: str, who: Principal) -> Grant:
    """The grant, where it concerns `who` or a rule lets them look. Raises `Failed`."""
    found = parts.grants.get(id)
    if found is None:
        raise Failed("not_found", f"there is no grant `{id}`", "`remit grants list` shows which there are")
    request = parts.requests.of_grant(id)
    concerns = found.scope.is_for(who) or may_end(found.scope, who, parts.control.state.bundle)
    if not concerns and not (request is not None and (request.concerns(who) or request.is_owned_by(who))):
        unwrap(parts.oversight.look(who, GRANTS, {"grant": id}, action=looking(parts, who)))
    return found


def _looked(parts: Parts, who: Principal, asked: dict[str, Any]) -> None:
    """Whoever looks at what others read is written down, as with the trail; here by what they own, not by a rule."""
    digest = parts.control.state.bundle.digest
    details: dict[str, Json] = {"asked": asked, "rules": []}
    parts.ledger.append(
        Entry(Kind.AUDIT_READ, who.name, who.teams, dataset=GRANTS, purpose=PURPOSE, digest=digest, details=details)
    )


def _detail(parts: Parts, grant: Grant, used: dict[str, Used]) -> dict[str, Any]:
    at = parts.clock()
    request = parts.requests.of_grant(grant.id)
    last = max((each.last_at for each in used.values()), default=None)
    unused = unused_for(grant, last, at)
    renewal = proposed(grant, {name: frozenset(each.columns) for name, each in used.items()}, at)
    return {
        **grant_json(grant, at),
        "requester": request.requester if request else None,
        "request": request.id if request else None,
        "used": {
            name: {
                "columns": list(each.columns),
                "reads": each.reads,
                "rows": each.rows,
                "last_at": each.last_at.isoformat(),
            }
            for name, each in used.items()
        },
        "unused_days": unused.days,
        "proposal": "remove" if unused >= UNUSED else "keep",
        "renewal": scope_to_json(renewal) if renewal is not None else None,
    }


def _read(line: trail.Line) -> dict[str, Any]:
    """What of an entry whoever the grant concerns may know: never a filter."""
    doc = line.doc
    details = doc["details"]
    columns = details.get("columns")
    item = {
        "seq": line.seq,
        **{name: doc[name] for name in ("at", "kind", "actor", "read", "dataset", "code") if name in doc},
        "rows": details["rows"] if isinstance(details.get("rows"), int) else None,
        "ended_by": details.get("ended_by"),
        "columns": [each["name"] if isinstance(each, dict) else each for each in columns] if columns else None,
    }
    return {name: value for name, value in item.items() if value is not None}
