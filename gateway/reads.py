"""`POST /v1/reads` and `/v1/reads:check`."""

import time
from collections.abc import Callable
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from audit.canonical import LARGEST_INTEGER
from audit.entries import Kind
from authz.errors import StoreFailed
from authz.guard import Checked, Refused
from authz.permit import Permit, Permitted
from authz.stream import GovernedStream, StreamEnded
from policy.decision import Allow, Refuse, Side
from policy.rows import render
from policy.values import Principal, ReadRequest

from .accept import chosen
from .encoder import Encoder, Unencodable
from .encodings import ENCODERS
from .parts import Parts
from .problems import Failed, Sides, not_recorded, refused
from .response import GovernedResponse

log = structlog.get_logger()

Caller = Callable[..., Principal]
TRIES = 3
"""How often a read that ended before its first row is decided again."""
LONGEST_HEADER = 2000
"""Characters of a filter that a header carries."""


class ReadBody(BaseModel):
    """One ask for rows; only `dataset` is required."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dataset: str = Field(examples=["pointer_events"])
    columns: list[str] | None = Field(None, description="all of the scope's where left out", examples=[["x", "y"]])
    rows: str | None = Field(None, description="a filter in the row language", examples=["x < 500"])
    limit: int | None = Field(None, le=LARGEST_INTEGER, description="at most so many rows")
    purpose: str | None = Field(None, description="the grant's where left out")
    grant: str | None = Field(None, description="the first of yours that permits it, where left out")

    def request(self) -> ReadRequest:
        """The same as a value."""
        columns = None if self.columns is None else tuple(self.columns)
        return ReadRequest(self.dataset, columns, self.rows or "", self.limit, self.purpose, self.grant)


class CheckedColumn(BaseModel):
    """A column of the answer and how much of it would be seen."""

    name: str
    data_class: str = Field(serialization_alias="class")
    treatment: str


class CheckAnswer(BaseModel):
    """What would happen and why."""

    decision: str = Field(examples=["allow", "refuse"])
    code: str | None = None
    detail: str
    read: str
    entry: int
    grant: str | None = None
    purpose: str | None = None
    columns: list[CheckedColumn] = []
    rows: str = Field(default="", description="the filter that would be applied, scope and ask together")
    limit: int | None = None
    limited_by: str | None = None
    subjects_left: int | None = None
    rules: list[str] = []
    lacked: list[str] = []
    excess: Sides | None = None
    help: str = ""


def routes(parts: Parts, caller: Caller) -> APIRouter:
    """The two calls, for one gateway."""
    router = APIRouter(prefix="/v1", tags=["reads"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type

    @router.post(
        "/reads",
        response_class=Response,
        responses={200: {"content": {name: {} for name in ENCODERS}, "description": "the rows, as `Accept` asks"}},
    )
    def read(body: ReadBody, who: Who, accept: Annotated[list[str] | None, Header()] = None) -> Response:
        """Read rows of one dataset under one grant."""
        encoder = _encoder(",".join(accept or ()))
        started = time.perf_counter()
        response = _read(parts, body.request(), who, encoder)
        parts.metrics.seconds.labels("reads").observe(time.perf_counter() - started)
        return response

    @router.post("/reads:check", response_model=CheckAnswer, response_model_exclude_none=True)
    def check(body: ReadBody, who: Who) -> CheckAnswer:
        """Say what would happen and why; reads nothing, records that it was asked."""
        return _answer(parts.guard.check(body.request(), who))

    return router


def unwrap(verdict: Permitted | Refused) -> Permitted:
    """The permission; a refusal is raised as its problem."""
    if isinstance(verdict, Refused):
        raise problem_of(verdict)
    return verdict


def problem_of(refusal: Refused) -> Failed:
    """The problem document of a refusal."""
    return refused(refusal.read, refusal.refusal, _sides(refusal.refusal), refusal.recorded.seq)


def _encoder(accept: str) -> type[Encoder]:
    content_type = chosen(accept, tuple(ENCODERS))
    if content_type is None:
        offered = ", ".join(name.partition(";")[0] for name in ENCODERS)
        raise Failed("bad_request", "none of the formats in `Accept` is offered", f"accept one of {offered}")
    return ENCODERS[content_type]


def _read(parts: Parts, request: ReadRequest, who: Principal, encoder: type[Encoder]) -> Response:
    """Decide, record and open; a read that ends before its first row is decided again, to say why."""
    for _ in range(TRIES):
        permit = parts.guard.authorize(request, who)
        if isinstance(permit, Refused):
            parts.metrics.reads.labels(permit.refusal.code.value).inc()
            raise problem_of(permit)
        parts.metrics.reads.labels("ok").inc()
        try:
            return _opened(parts, permit, encoder)
        except StreamEnded as ended:
            last = ended
    log.warning("read_never_began", ended_by=last.ended_by)
    raise not_recorded()


def _opened(parts: Parts, permit: Permit, encoder: type[Encoder]) -> Response:
    """Open the stream and make what leaves first, so that a store that fails is still told as a problem."""
    try:
        stream = parts.stream(permit)
    except BaseException as fault:
        parts.endings.end(permit, Kind.READ_INTERRUPTED, rows=0, ended_by=_ended_by(fault))
        raise _told(fault, permit) from fault
    try:
        encoding = encoder(stream.schema)
        return GovernedResponse(stream, encoding, _headers(parts, stream), parts.metrics)
    except BaseException as fault:
        stream.interrupt(_ended_by(fault))
        raise _told(fault, permit) from fault


def _ended_by(fault: BaseException) -> str:
    match fault:
        case StreamEnded():
            return fault.ended_by
        case StoreFailed():
            return "store_failed"
        case _:
            return "fault"


def _told(fault: BaseException, permit: Permit) -> BaseException:
    """What of a fault the caller is told: of a store's or a format's, which read and entry it was."""
    read, entry = permit.read, permit.recorded.seq
    match fault:
        case StoreFailed():
            help = "try again; if it goes on, tell the dataset's owner"
            return Failed("store_failed", fault.reason, help, read=read, entry=entry)
        case Unencodable():
            help = "leave the column out, or accept an Arrow stream"
            return Failed("bad_request", str(fault), help, read=read, entry=entry)
        case _:
            return fault


def _headers(parts: Parts, stream: GovernedStream) -> dict[str, str]:
    permit, plan = stream.permit, stream.permit.plan
    headers = {
        "Remit-Read": permit.read,
        "Remit-Grant": plan.grant.id,
        "Remit-Entry": str(permit.recorded.seq),
        "Remit-Rows": _header_text(parts.records.applied(plan, parts.control.state.bundle, redacted=False)),
    }
    if plan.limit is not None:
        headers["Remit-Limit"] = str(plan.limit)
    if plan.subjects_left is not None:
        headers["Remit-Limit-Subjects"] = str(plan.subjects_left)
    return headers


def _header_text(text: str) -> str:
    """A filter as a header can carry it: anything but printable ASCII is percent-encoded, and so is `%`.

    One that is longer than clients take is left to `reads:check`, which shows all of it.
    """
    if len(text) > LONGEST_HEADER:
        return f"({len(text)} characters; /v1/reads:check shows them)"
    return "".join(c if " " <= c <= "~" and c != "%" else "".join(f"%{b:02X}" for b in c.encode()) for c in text)


def _sides(refusal: Refuse) -> Sides | None:
    if refusal.declared is None and refusal.asked is None:
        return None
    return Sides(declared=_shown(refusal.declared), asked=_shown(refusal.asked))


def _shown(side: Side) -> str | None:
    return side if side is None or isinstance(side, str) else render(side)


def _answer(checked: Checked) -> CheckAnswer:
    match checked.decision:
        case Allow() as plan:
            columns = [
                CheckedColumn(name=each.column.name, data_class=each.column.data_class, treatment=str(each.treatment))
                for each in plan.columns
            ]
            return CheckAnswer(
                decision="allow",
                detail=f"grant {plan.grant.id} permits it",
                read=checked.read,
                entry=checked.recorded.seq,
                grant=plan.grant.id,
                purpose=plan.purpose,
                columns=columns,
                rows=checked.rows,
                limit=plan.limit,
                limited_by=plan.limited_by,
                subjects_left=plan.subjects_left,
                rules=list(plan.rules),
                lacked=list(plan.lacked),
            )
        case Refuse() as refusal:
            return CheckAnswer(
                decision="refuse",
                code=refusal.code.value,
                detail=refusal.detail,
                read=checked.read,
                entry=checked.recorded.seq,
                grant=refusal.grant.id if refusal.grant else None,
                purpose=refusal.purpose,
                rules=list(refusal.rules),
                lacked=list(refusal.lacked),
                excess=_sides(refusal),
                help=refusal.help,
            )
