"""`GET /v1/audit/checkpoint`, `/proof/{seq}`, `/consistency`, `/keys`: what proves the trail, for checks elsewhere."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from audit import proving
from audit.canonical import LARGEST_INTEGER
from audit.entries import Json
from audit.notes import base64
from audit.proving import NotCovered
from policy.values import Principal

from .parts import Parts
from .problems import Failed
from .reads import unwrap
from .trail import AUDIT

T = TypeVar("T")
Size = Annotated[int, Query(ge=0, le=LARGEST_INTEGER)]
From = Annotated[int, Query(alias="from", ge=0, le=LARGEST_INTEGER)]


class Consistency(BaseModel):
    """That the first `to` entries begin with the first `from`: the proof of RFC 9162 §2.1.4.1, in base64."""

    from_: int = Field(alias="from")
    to: int
    hashes: list[str]


class Key(BaseModel):
    """A key that signs or signed checkpoints, as a C2SP vkey; `status` is `activated` or `retired`."""

    vkey: str
    status: str


class Keys(BaseModel):
    """The ledger's name, and its keys. Compare them over another channel before trusting them."""

    origin: str
    items: list[Key]


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The proofs of one gateway's ledger."""
    router = APIRouter(prefix="/v1/audit", tags=["audit"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type
    quorum = parts.settings.witnesses

    def told(who: Principal, asked: dict[str, Json], make: Callable[[], T]) -> T:
        """What `make` makes, recorded first."""
        unwrap(parts.oversight.look(who, AUDIT, asked))
        try:
            return make()
        except NotCovered as missing:
            raise Failed("not_found", str(missing), "ask again in a second, or for what is covered") from None

    @router.get("/checkpoint", response_class=PlainTextResponse)
    def checkpoint(who: Who) -> PlainTextResponse:
        """The newest checkpoint that counts: a C2SP signed note, with its cosignatures. It is recorded first."""
        return PlainTextResponse(told(who, {"checkpoint": True}, lambda: proving.checkpoint(parts.engine, quorum)))

    @router.get("/proof/{seq}", response_class=PlainTextResponse)
    def proof(who: Who, seq: Annotated[int, Path(ge=1, le=LARGEST_INTEGER)]) -> PlainTextResponse:
        """That entry `seq` is in the ledger: a C2SP tlog-proof with the checkpoint and the entry's canonical text."""
        made = told(who, {"proof_of": str(seq)}, lambda: proving.proof(parts.engine, quorum, seq))
        return PlainTextResponse(made.decode())

    @router.get("/consistency")
    def consistency(who: Who, from_: From, to: Size) -> Consistency:
        """That the ledger of `to` entries grew out of that of `from`. It is recorded first."""
        asked: dict[str, Json] = {"consistency": f"{from_} to {to}"}
        hashes = told(who, asked, lambda: proving.consistency(parts.engine, from_, to))
        return Consistency(**{"from": from_}, to=to, hashes=[base64(hash) for hash in hashes])

    @router.get("/keys")
    def keys(who: Who) -> Keys:
        """The ledger's name and public keys."""
        origin, known = told(who, {"keys": True}, lambda: proving.keys(parts.engine))
        return Keys(origin=origin, items=[Key(vkey=vkey, status=became) for vkey, became in known])

    return router
