"""Errors as people get them: RFC 9457 problem documents."""

from collections.abc import Mapping

from fastapi import Response
from pydantic import BaseModel, Field

from policy.decision import Code, Refuse

STATUS: Mapping[str, int] = {
    **{code.value: 403 for code in Code},
    "bad_request": 400,
    "no_token": 401,
    "bad_token": 401,
    "unknown_dataset": 404,
    "not_found": 404,
    "not_approver": 403,
    "not_open": 409,
    "changed": 409,
    "too_many": 429,
    "unknown_column": 422,
    "bad_rows": 422,
    "paused": 423,
    "hold_check": 403,
    "second_person": 403,
    "fault": 500,
    "not_recorded": 503,
    "store_failed": 503,
}
"""Every code there is and its HTTP status; `bad_request` also comes with 405 and 413."""

HEADERS: Mapping[int, Mapping[str, str]] = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}
"""What a problem of this status always carries."""

TITLES = {
    400: "the request was not understood",
    401: "who asks is not known",
    403: "it is refused",
    404: "there is no such thing",
    405: "that cannot be done here",
    409: "it is not as it was",
    413: "the request is too large",
    422: "the request does not fit the dataset",
    429: "it is too much at once",
    423: "reading is paused",
    500: "something broke",
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
        self.status = status or STATUS[code]
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


def answer(failed: Failed, headers: Mapping[str, str] | None = None) -> Response:
    """The problem as a response."""
    return Response(
        failed.problem.model_dump_json(exclude_none=True),
        status_code=failed.status,
        media_type="application/problem+json",
        headers={**HEADERS.get(failed.status, {}), **(headers or {})},
    )
