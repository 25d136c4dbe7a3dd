"""What whoever runs Remit needs: reload, health, readiness, metrics. The last three need no token and name nobody."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from audit.errors import AuditError
from policy.errors import MisreadAll
from policy.values import Action, Principal

from .parts import Parts
from .problems import Failed
from .reads import unwrap

POLICY = "remit.policy"


class Reloaded(BaseModel):
    """What is in force now."""

    digest: str


class Health(BaseModel):
    """Whether this process answers."""

    status: str = "ok"


class Readiness(BaseModel):
    """What reading needs, each true or false."""

    database: bool
    ledger: bool
    policies: bool
    issuer: bool


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The calls of operations, for one gateway."""
    router = APIRouter(tags=["operations"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type

    @router.post("/v1/policy:reload")
    def reload(who: Who) -> Reloaded:
        """Load `policies.conf` and `catalog.toml` again; refused files leave what is in force as it is."""
        unwrap(parts.oversight.may(who, POLICY, Action.ADMINISTER))
        try:
            parts.reload(who.name)
        except MisreadAll as wrong:
            raise Failed("bad_request", str(wrong), "mend the files and reload; what was in force still is") from None
        return Reloaded(digest=parts.control.state.bundle.digest)

    @router.get("/healthz")
    def health() -> Health:
        """Answers as long as the process lives."""
        return Health()

    @router.get("/readyz", responses={503: {"model": Readiness}})
    def ready(response: Response) -> Readiness:
        """200 when everything that a read needs is there, else 503 and what is missing."""
        readiness = Readiness(
            database=_answers(parts),
            ledger=parts.control.is_confirmed and _takes_entries(parts),
            policies=bool(parts.control.state.bundle.digest),
            issuer=parts.identity.is_reachable(),
        )
        if not all(readiness.model_dump().values()):
            response.status_code = 503
        return readiness

    @router.get("/metrics", response_class=Response)
    def metrics() -> Response:
        """Numbers for Prometheus."""
        return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _answers(parts: Parts) -> bool:
    try:
        with parts.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


def _takes_entries(parts: Parts) -> bool:
    """Whether a transaction of the ledger can be begun and committed; it holds no entry, so the trail stays quiet."""
    try:
        parts.ledger.change(lambda _: (), raises_epoch=False)
    except AuditError:
        return False
    return True
