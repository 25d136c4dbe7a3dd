"""Asks for rows whose body was not understood: refused and recorded like any other, but for what they say."""

from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError

from audit.entries import Kind
from audit.errors import AuditError
from authz.guard import new_read_id

from .callers import Callers
from .parts import Parts
from .problems import Failed, not_recorded

KINDS = {"/v1/reads": Kind.READ_REFUSED, "/v1/reads:check": Kind.READ_CHECKED}


class Unread:
    """Records who sent what could not be read, once for each request; of the body its SHA-256 and length."""

    def __init__(self, parts: Parts, caller: Callers) -> None:
        self._parts = parts
        self._caller = caller

    def told(self, request: Request, failed: Failed, body: bytes | None) -> Failed:
        """What to answer: `failed` with its entry, or why there is none. `body` None is one that is too large.

        Whoever sends no token is told what is wrong with the body all the same, and leaves no entry.
        """
        kind = KINDS.get(request.scope["path"]) if request.method == "POST" else None
        if kind is None or "authorization" not in request.headers:
            return failed
        try:
            return self._recorded(request, failed, body, kind)
        except Failed as unknown:
            return unknown
        except (AuditError, SQLAlchemyError):
            self._parts.metrics.not_recorded.inc()
            return not_recorded()

    def _recorded(self, request: Request, failed: Failed, body: bytes | None, kind: Kind) -> Failed:
        principal = self._caller.waited_for(request)
        read, digest = new_read_id(), self._parts.control.state.bundle.digest
        recorded = self._parts.ledger.append(self._parts.records.unread(read, principal, body, kind, digest))
        if kind is Kind.READ_REFUSED:
            self._parts.metrics.reads.labels(failed.problem.code).inc()
        failed.problem = failed.problem.model_copy(update={"read": read, "entry": recorded.seq})
        return failed
