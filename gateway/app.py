"""The HTTP application of one gateway: its routes, and how faults become problem documents."""

import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from audit.errors import AuditError, ClockBehind
from authz.errors import AuthzError
from policy.tables import closest, shown

from . import (
    accepting,
    alerts,
    catalogue,
    granted,
    grants,
    operations,
    pauses,
    proofs,
    reads,
    reports,
    requests,
    subjects,
    trail,
    verdicts,
    whoami,
)
from .callers import Callers
from .intake import BODY, Intake
from .openapi import describe, methods_at
from .parts import Parts
from .problems import Failed, answer, not_recorded
from .unread import Unread

log = structlog.get_logger()


def make_app(parts: Parts) -> FastAPI:
    """The application; everything it needs is in `parts`."""
    app = FastAPI(
        title="Remit",
        version="1",
        summary="Keeps every read of collected employee data inside the scope that was declared and approved.",
        redirect_slashes=False,
        dependencies=[Depends(only_known_parameters)],
        # These pages would bring somebody else's scripts along; `/openapi.json` has all that they show.
        docs_url=None,
        redoc_url=None,
        # Else the framework tells whomever an environment variable names of each request, with its query and faults.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    caller = Callers(parts.identity, parts.refused_tokens, parts.metrics)
    for module in (
        reads,
        catalogue,
        grants,
        granted,
        requests,
        trail,
        verdicts,
        proofs,
        reports,
        alerts,
        accepting,
        pauses,
        subjects,
        operations,
        whoami,
    ):
        app.include_router(module.routes(parts, caller))
    unread = Unread(parts, caller)
    _translate_faults(app, parts, unread)
    describe(app)
    app.add_middleware(Intake, unread=unread)
    return app


async def only_known_parameters(request: Request) -> None:
    """Refuse a parameter that the call does not know, or twice: a misspelt filter must not show the whole trail."""
    route = request.scope["route"]
    known = {field.alias for field in route.dependant.query_params}
    for name in request.query_params:
        if name not in known:
            near = closest(name, known)
            hint = f"did you mean `{near}`?" if near else "see /openapi.json for those that there are"
            raise Failed("bad_request", f"there is no parameter `{shown(name)}`", hint)
        if len(request.query_params.getlist(name)) > 1:
            raise Failed("bad_request", f"parameter `{name}` is there twice", "name it once")


def _translate_faults(app: FastAPI, parts: Parts, unread: Unread) -> None:
    """Only here does a fault become an answer: at once, without a change of threads, unless it has to be recorded."""

    @app.exception_handler(Failed)
    async def failed(_: Request, fault: Failed) -> Response:
        return answer(fault)

    @app.exception_handler(AuditError)
    @app.exception_handler(SQLAlchemyError)
    async def unrecorded(_: Request, fault: Exception) -> Response:
        # The first line of what the database said: which fault, never what was to be written.
        log.error("not_recorded", fault=type(fault).__name__, reason=str(fault).partition("\n")[0][:300])
        parts.metrics.not_recorded.inc()
        return answer(not_recorded(str(fault)) if isinstance(fault, ClockBehind) else not_recorded())

    @app.exception_handler(AuthzError)
    async def store_failed(_: Request, fault: AuthzError) -> Response:
        return answer(Failed("store_failed", str(fault), "try again; if it goes on, tell the dataset's owner"))

    @app.exception_handler(RequestValidationError)
    def not_understood(request: Request, wrong: RequestValidationError) -> Response:
        places = {each["loc"]: ".".join(map(str, each["loc"][1:])) or "the body" for each in wrong.errors()}
        reasons = {each["loc"]: _worded(each["msg"]) for each in wrong.errors()}
        said = "; ".join(f"`{places[loc]}`: {reason}" for loc, reason in reasons.items())
        asked = any(each["loc"][0] == "body" for each in wrong.errors())
        sent = "send JSON with `Content-Type: application/json`" if asked else "write it"
        help = f"{sent}, as /openapi.json describes it"
        return answer(unread.told(request, Failed("bad_request", said[:2000], help), request.scope[BODY]))

    @app.exception_handler(HTTPException)
    def no_such_call(request: Request, wrong: HTTPException) -> Response:
        code = "not_found" if wrong.status_code == 404 else "bad_request"
        detail = f"`{request.method} {request.url.path[:200]}`: {str(wrong.detail).lower()}"
        failed = Failed(code, detail, "see the API's description at /openapi.json", status=wrong.status_code)
        # The framework names the methods of one route; there may be another with the same path.
        allow = {"Allow": ", ".join(methods_at(app.openapi(), request.url.path))} if failed.status == 405 else {}
        return answer(failed, allow)

    @app.exception_handler(Exception)
    async def fault(_: Request, fault: Exception) -> Response:
        log.error("fault", fault=type(fault).__name__, exc_info=fault)
        help = "tell whoever runs this gateway"
        return answer(Failed("fault", "something broke; nothing was read", help, status=500))


def _worded(message: str) -> str:
    """A message of Pydantic's, or ours without what Pydantic puts before it, as messages begin here."""
    own = message.removeprefix("Value error, ")
    return own if own[:2].isupper() else own[:1].lower() + own[1:]
