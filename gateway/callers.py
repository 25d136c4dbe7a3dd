"""Who calls: the bearer token of a request, turned into a principal or into 401."""

from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from audit.errors import AuditError
from authz.identity import Admitted, Identity
from authz.refused_tokens import RefusedTokens
from authz.tokens import TokenRefused
from policy.values import Principal

from .metrics import Metrics
from .problems import Failed, not_recorded

BEARER = HTTPBearer(auto_error=False, bearerFormat="JWT", description="an OpenID Connect access token (RFC 9068)")
HELP = (
    "run `remit login`, or send an access token for this service as `Authorization: Bearer …`; REMIT_TOKEN goes before"
)


class Callers:
    """A FastAPI dependency that gives the principal of a request."""

    def __init__(self, identity: Identity, refused: RefusedTokens, metrics: Metrics) -> None:
        self._identity = identity
        self._refused = refused
        self._metrics = metrics

    async def __call__(
        self, request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
    ) -> Principal:
        """The principal; raises `Failed` with `no_token` or `bad_token`."""
        token = _token(request)
        # A token that is known costs no change of threads; all else may wait for the issuer or the ledger.
        admitted = self._identity.recall(token) if token is not None else None
        if admitted is None:
            admitted = await run_in_threadpool(self._admitted, request, token)
        request.state.token_ends = admitted.ends
        return admitted.principal

    def waited_for(self, request: Request) -> Principal:
        """As above, for whoever may wait."""
        return self._admitted(request, _token(request)).principal

    def _admitted(self, request: Request, token: str | None) -> Admitted:
        if token is None:
            raise self._refuse(request, "the request does not carry exactly one bearer token")
        verdict = self._identity.admit(token)
        if isinstance(verdict, TokenRefused):
            raise self._refuse(request, verdict.reason)
        return verdict

    def _refuse(self, request: Request, reason: str) -> Failed:
        self._metrics.tokens_refused.inc()
        try:
            self._refused.record(request.client.host if request.client else "unknown", reason)
        except AuditError:
            return not_recorded()
        return Failed("bad_token", reason, HELP)


def _token(request: Request) -> str | None:
    """The one bearer token; None where it is not one. Raises `Failed` with `no_token`."""
    headers = request.headers.getlist("authorization")
    if not headers:
        raise Failed("no_token", "no token came with the request", HELP)
    scheme, _space, token = headers[0].partition(" ")
    return token if len(headers) == 1 and scheme.lower() == "bearer" else None
