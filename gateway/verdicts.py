"""`POST /v1/audit/verdicts`: whoever verified the ledger and found that it does not hold tells on-call here.

Verifying asks no gateway, so a gateway has to be told. What it is told is believed as far as it goes: it is an entry
under the name of whoever says so, and a SEV1.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from audit.canonical import LARGEST_INTEGER
from audit.entries import Entry, Json, Kind
from policy.values import Action, Principal

from .parts import Parts
from .problems import Failed
from .reads import unwrap
from .trail import AUDIT

MOST = 20
"""Problems that are told; how many there were is told as well."""


class Found(BaseModel):
    """One thing that does not hold: the entry where it was found, and what it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    seq: int = Field(ge=0, le=LARGEST_INTEGER)
    what: str = Field(min_length=1, max_length=500)


class VerdictBody(BaseModel):
    """What `remit audit verify` found: of which ledger, how far it looked, and what does not hold."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ledger: str = Field(max_length=200, description="the ledger's name, as its checkpoints say it")
    size: int = Field(ge=0, le=LARGEST_INTEGER, description="entries that were looked at")
    root: str = Field(pattern="^([0-9a-f]{64})?$", description="what was recomputed, in hex; empty where it cannot be")
    integrity: bool
    completeness: bool
    problems: int = Field(ge=1, le=LARGEST_INTEGER, description="how many there are")
    first: list[Found] = Field(min_length=1, max_length=MOST, description="the first of them")


class Told(BaseModel):
    """The entry that says it; on-call is called because of it."""

    entry: int


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The call of one gateway."""
    router = APIRouter(prefix="/v1/audit", tags=["audit"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type

    @router.post("/verdicts", status_code=201)
    def tell(body: VerdictBody, who: Who) -> Told:
        """Say that the ledger does not hold, which calls on-call. One that holds has nothing to tell."""
        unwrap(parts.oversight.may(who, AUDIT, Action.READ))
        if body.integrity and body.completeness:
            raise Failed("bad_request", "a ledger that holds is no news", "tell of one that does not")
        recorded = parts.ledger.append(_entry(body, who, parts.checkpointer.origin))
        return Told(entry=recorded.seq)

    return router


def _entry(body: VerdictBody, who: Principal, origin: str) -> Entry:
    """What is written. A name that is not this ledger's is told, not refused: it may be what was changed."""
    one, more = body.first[0], body.problems - 1
    why = f"entry {one.seq}: {one.what}{f'; and {more:,} more' if more else ''}"
    named = "" if body.ledger == origin else f"; it is named `{body.ledger}` there, and `{origin}` here"
    details: dict[str, Json] = {
        "why": f"{why}{named}",
        "ledger": body.ledger,
        "size": body.size,
        "root": body.root,
        "integrity": body.integrity,
        "completeness": body.completeness,
        "problems": body.problems,
        "first": [{"seq": each.seq, "what": each.what} for each in body.first],
    }
    return Entry(Kind.VERIFY_FAILED, who.name, teams=who.teams, code="verify_failed", details=details)
