"""Requests as they are kept: rows of PostgreSQL that are never deleted; `asking` and `judging` change them."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ARRAY, Connection, Engine, Row, Text, func, insert, or_, select, text, update
from sqlalchemy import cast as sql_cast

from audit.drafts import stamp
from policy.lifecycle import RequestState, request_state
from policy.names import ancestry
from policy.scopes import scope_from_json, scope_to_json
from policy.values import Principal, Scope

from .tables import REQUESTS

Json = dict[str, Any]
ONE_DAY = text("interval '1 day'")


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved, with the teams and attributes of their token then, and the digest of what they were shown."""

    by: Principal
    at: str
    shown: str
    comment: str


@dataclass(frozen=True, slots=True)
class Request:
    """A scope that somebody asked for: as it was `asked`, and as it stands after those who may have narrowed it.

    `reader` is whom the rules were asked about. `reach` are rounded numbers of rows and subjects for each dataset, as
    of when the scope became what it is. `approvals` count for the digest that they were shown and for no other.
    `steps` are what happened to it, for people; the ledger has the same.
    """

    id: str
    requester: str
    asked: Scope
    scope: Scope
    reader: Principal
    made_at: datetime
    owners: tuple[str, ...]
    reach: Mapping[str, Json]
    state: RequestState = RequestState.OPEN
    approvals: tuple[Approval, ...] = ()
    steps: tuple[Mapping[str, str], ...] = ()
    grant: str | None = None
    renews: str | None = None
    break_glass: bool = False
    reviewed_by: str | None = None

    @property
    def is_under_review(self) -> bool:
        """Whether somebody read without approval, and nobody else has looked at it yet."""
        return self.break_glass and self.reviewed_by is None

    def at(self, moment: datetime) -> RequestState:
        """What it is at a moment: an open one lapses with its end."""
        return request_state(self.state, self.scope.ends, moment)

    def stepped(self, what: str, by: str, at: datetime, why: str = "") -> "Request":
        """The same with one step more."""
        step = {"what": what, "by": by, "at": stamp(at)} | ({"why": why} if why else {})
        return replace(self, steps=(*self.steps, step))

    def concerns(self, who: Principal) -> bool:
        """Whether `who` asked for it, would read under it, or has taken a step, also one that counts no more."""
        return who.name in (self.requester, *(step["by"] for step in self.steps)) or self.scope.is_for(who)

    def is_owned_by(self, who: Principal) -> bool:
        """Whether `who` is in the team that owned one of its datasets when it was made."""
        return any(who.is_member(team) for team in self.owners)


class RequestStore:
    """Reads requests; writes them in the transactions of others. Faults are SQLAlchemy's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def get(self, id: str) -> Request | None:
        """The request with this id, or None."""
        return self._one(REQUESTS.c.id == id)

    def of_grant(self, grant: str) -> Request | None:
        """The request that became this grant; None for one that an administrator added."""
        return self._one(REQUESTS.c.grant_id == grant)

    def page(self, who: Principal | None, before: str | None, limit: int) -> list[Request]:
        """Up to `limit` requests, newest first: those that may concern `who`, who has to be asked yet; or all."""
        query = select(REQUESTS).order_by(REQUESTS.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(REQUESTS.c.id < before)
        if who is not None:
            teams = sorted({outer for team in who.teams for outer in ancestry(team)})
            teams_asked = sql_cast(teams, ARRAY(Text))
            own = or_(
                REQUESTS.c.requester == who.name,
                REQUESTS.c.principal == who.name,
                REQUESTS.c.team.in_(teams),
                REQUESTS.c.owners.op("&&")(teams_asked),
                REQUESTS.c.steps.contains([{"by": who.name}]),
                REQUESTS.c.state == RequestState.OPEN.value,
                REQUESTS.c.break_glass & REQUESTS.c.reviewed_by.is_(None),
            )
            query = query.where(own)
        with self._engine.connect() as connection:
            return [_request(row) for row in connection.execute(query)]

    def counts(self, requester: str, connection: Connection | None = None) -> tuple[int, int, int]:
        """How many requests of theirs are open, were made within a day, and wait for a review."""
        is_open = (REQUESTS.c.state == RequestState.OPEN.value) & (REQUESTS.c.ends > func.now())
        is_new = REQUESTS.c.made_at > func.now() - ONE_DAY
        waits = REQUESTS.c.break_glass & REQUESTS.c.reviewed_by.is_(None)
        counted = select(*(func.count().filter(each) for each in (is_open, is_new, waits)))
        query = counted.where(REQUESTS.c.requester == requester)
        if connection is not None:
            return cast(tuple[int, int, int], tuple(connection.execute(query).one()))
        with self._engine.connect() as own:
            return cast(tuple[int, int, int], tuple(own.execute(query).one()))

    def _one(self, condition: Any) -> Request | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(REQUESTS).where(condition)).one_or_none()
        return _request(row) if row else None


def new_request_id(at: datetime) -> str:
    """`q-` with the time in front, so that ids sort by age, and 40 random bits."""
    return f"q-{at:%Y%m%d%H%M%S}-{secrets.token_hex(5)}"


def locked(connection: Connection, id: str) -> Request | None:
    """The request with this id, which nobody else changes until the transaction ends."""
    row = connection.execute(select(REQUESTS).where(REQUESTS.c.id == id).with_for_update()).one_or_none()
    return _request(row) if row else None


def add(connection: Connection, request: Request) -> None:
    """Write a request that is new."""
    fixed = {
        "id": request.id,
        "requester": request.requester,
        "principal": request.asked.principal,
        "team": request.asked.team,
        "asked": scope_to_json(request.asked),
        "reader": _person(request.reader),
        "renews": request.renews,
        "break_glass": request.break_glass,
        "made_at": request.made_at,
    }
    connection.execute(insert(REQUESTS).values(fixed | _changing(request)))


def save(connection: Connection, request: Request) -> None:
    """Write what became of a request."""
    connection.execute(update(REQUESTS).where(REQUESTS.c.id == request.id).values(_changing(request)))


def _changing(request: Request) -> Json:
    return {
        "state": request.state.value,
        "scope": scope_to_json(request.scope),
        "reach": dict(request.reach),
        "owners": list(request.owners),
        "approvals": [
            {"by": _person(one.by), "at": one.at, "shown": one.shown, "comment": one.comment}
            for one in request.approvals
        ],
        "steps": [dict(step) for step in request.steps],
        "grant_id": request.grant,
        "ends": request.scope.ends,
        "reviewed_by": request.reviewed_by,
    }


def _person(who: Principal) -> Json:
    attributes = [list(pair) for pair in who.attributes]
    return {"name": who.name, "kind": who.kind, "teams": list(who.teams), "attributes": attributes}


def _principal(kept: Json) -> Principal:
    attributes: Sequence[Any] = kept["attributes"]
    return Principal(kept["name"], kept["kind"], tuple(kept["teams"]), tuple((key, value) for key, value in attributes))


def _request(row: Row[Any]) -> Request:
    return Request(
        id=row.id,
        requester=row.requester,
        asked=scope_from_json(row.asked),
        scope=scope_from_json(row.scope),
        reader=_principal(row.reader),
        made_at=row.made_at,
        owners=tuple(row.owners),
        reach=row.reach,
        state=RequestState(row.state),
        approvals=tuple(
            Approval(_principal(one["by"]), one["at"], one["shown"], one["comment"]) for one in row.approvals
        ),
        steps=tuple(row.steps),
        grant=row.grant_id,
        renews=row.renews,
        break_glass=row.break_glass,
        reviewed_by=row.reviewed_by,
    )
