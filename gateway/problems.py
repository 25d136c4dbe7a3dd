"""Errors as people get them: RFC 9457 problem documents."""

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from policy.decision import Refuse

STATUS = {
    "bad_request": 400,
    "no_token": 401,
    "bad_token": 401,
    "unknown_dataset": 404,
    "not_found": 404,
    "unknown_column": 422,
    "bad_rows": 422,
    "paused": 423,
    "not_recorded": 503,
    "store_failed": 503,
}
"""The HTTP status of each code; every other refusal is 403."""

TITLES = {
    400: "the request was not understood",
    401: "who asks is not known",
    403: "it is refused",
    404: "there is no such thing",
    405: "that cannot be done here",
    413: "the request is too large",
    422: "the request does not fit the dataset",
    423: "reading is paused",
    503: "nothing can be read now",
}


class Sides(BaseModel):
    """What was declared and what was asked, side by side."""

    declared: str | None = None
    asked: str | None = None


class Problem(BaseModel):
    """An RFC 9457 problem document, with what Remit adds to it."""

    type: str = Field(examples=["urn:remit:beyond_columns"])
    title: str = Field(examples=["it is refused"])
    status: int = Field(examples=[403])
    detail: str = Field(examples=["columns outside the scope: x"])
    code: str = Field(examples=["beyond_columns"])
    read: str | None = None
    entry: int | None = None
    excess: Sides | None = None
    rules: list[str] = []
    help: str = Field(examples=["leave these columns out, or declare a scope that names them"])


class Failed(Exception):
    """Ends a request with a problem document."""

    def __init__(
        self,
        code: str,
        detail: str,
        help: str,
        *,
        status: int | None = None,
        entry: int | None = None,
        read: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status or STATUS.get(code, 403)
        self.problem = Problem(
            type=f"urn:remit:{code}",
            title=TITLES.get(self.status, "the request failed"),
            status=self.status,
            detail=detail,
            code=code,
            help=help,
            entry=entry,
            read=read,
        )


def refused(read: str, refusal: Refuse, sides: Sides | None, entry: int) -> Failed:
    """The problem that says why a read was refused."""
    failed = Failed(refusal.code.value, refusal.detail, refusal.help, entry=entry, read=read)
    failed.problem = failed.problem.model_copy(update={"excess": sides, "rules": list(refusal.rules)})
    return failed


def not_recorded(detail: str = "the audit ledger cannot be written, so nothing is read") -> Failed:
    """Nothing is done that cannot be written down."""
    return Failed(
        "not_recorded",
        detail,
        "try again in a moment; if it goes on, tell on-call: `/readyz` says what is missing",
    )


def answer(failed: Failed) -> JSONResponse:
    """The problem as a response."""
    more = {"WWW-Authenticate": "Bearer"} if failed.status == 401 else {}
    if failed.status == 503:
        more["Retry-After"] = "1"
    return JSONResponse(
        failed.problem.model_dump(exclude_none=True),
        status_code=failed.status,
        media_type="application/problem+json",
        headers=more,
    )
