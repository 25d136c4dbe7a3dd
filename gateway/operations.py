"""What whoever runs Remit needs: reload, health, readiness, metrics. The last three need no token and name nobody."""

import threading
import time
from collections.abc import Callable
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from audit.errors import AuditError
from authz.errors import BundleHeld
from authz.gate import NEEDED
from policy.errors import MisreadAll
from policy.values import Action, Principal

from .alerts import ALERTS
from .parts import Parts
from .pauses import a_person
from .problems import Failed
from .reads import unwrap
from .reasons import Because

log = structlog.get_logger()

POLICY = "remit.policy"
FRESH = 1.0
"""Seconds that an answer of `/readyz` is good for."""


class Reloaded(BaseModel):
    """What is in force now."""

    digest: str


class AcceptBody(BaseModel):
    """Which bundle is accepted, by its digest, and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    digest: str = Field(max_length=100)
    why: Because


class Accepted(BaseModel):
    """A bundle, the alerts whose hold checks it opens, who accepted just that, and how many have to."""

    digest: str
    alerts: list[int]
    by: list[str]
    needed: int


class Health(BaseModel):
    """Whether this process answers."""

    status: str = "ok"


class Readiness(BaseModel):
    """What reading needs, each true or false."""

    database: bool
    ledger: bool
    policies: bool
    issuer: bool
    checkpoints: bool


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The calls of operations, for one gateway."""
    router = APIRouter(tags=["operations"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type
    remembered = _Remembered()

    @router.post("/v1/policy:reload")
    def reload(who: Who) -> Reloaded:
        """Load `policies.conf` and `catalog.toml` again; refused files leave what is in force as it is."""
        unwrap(parts.oversight.may(who, POLICY, Action.ADMINISTER))
        try:
            return Reloaded(digest=parts.reload(who.name))
        except MisreadAll as wrong:
            raise Failed("bad_request", str(wrong), "mend the files and reload; what was in force still is") from None

        except BundleHeld as held:
            help = f"mend the files, or have two people accept it: `remit policy reload --accept {held.digest}`"
            raise Failed("hold_check", str(held), help) from None

    @router.post("/v1/policy:accept")
    def accept(body: AcceptBody, who: Who) -> Accepted:
        """Accept by name a bundle that would open what was closed; two people have to before it can be loaded."""
        unwrap(parts.oversight.may(who, ALERTS, Action.RESPOND))
        a_person(who)
        try:
            acceptance = parts.control.accept(body.digest, by=who, why=body.why)
        except MisreadAll as wrong:
            raise Failed("bad_request", str(wrong), "mend the files first") from None
        if acceptance is None:
            raise Failed("bad_request", f"`{body.digest}` is not what the files are", "reload names their digest")
        return Accepted(digest=acceptance.digest, alerts=list(acceptance.alerts), by=list(acceptance.by), needed=NEEDED)

    @router.get("/healthz")
    async def health() -> Health:
        """Answers as long as the process lives."""
        return Health()

    @router.get("/readyz", responses={503: {"model": Readiness}})
    def ready(response: Response) -> Readiness:
        """200 when everything that a read needs is there, else 503 and what is missing; at most a second old."""
        readiness = remembered.get(lambda: _readiness(parts))
        if not all(readiness.model_dump().values()):
            response.status_code = 503
        return readiness

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Numbers for Prometheus."""
        return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


class _Remembered:
    """What was found within the last second: whoever asks without a token must not keep the ledger busy."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: tuple[float, Readiness] | None = None

    def get(self, find: Callable[[], Readiness]) -> Readiness:
        with self._lock:
            if self._found is None or time.monotonic() - self._found[0] > FRESH:
                self._found = time.monotonic(), find()
            return self._found[1]


def _readiness(parts: Parts) -> Readiness:
    threads = parts.watch.is_running and parts.endings.is_running and parts.follower.following.is_running
    signing = parts.checkpointer.checkpointing
    return Readiness(
        database=_answers(parts),
        ledger=threads and _takes_entries(parts),
        policies=parts.control.is_confirmed,
        issuer=parts.identity.is_reachable(),
        checkpoints=signing.is_well,
    )


def _answers(parts: Parts) -> bool:
    try:
        with parts.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


def _takes_entries(parts: Parts) -> bool:
    """Whether an entry could be written now, and none that should have been is still waiting."""
    try:
        parts.ledger.probe()
    except AuditError as fault:
        log.warning("ledger_not_ready", reason=str(fault))
        return False
    return parts.endings.waiting == 0
