"""`remit witness serve`: one process, one key, until it is told to stop."""

import asyncio
import re
import signal
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import structlog
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from audit.errors import BadNote, KeyUnfit
from audit.keyfiles import read
from audit.notes import Signer, Verifier
from audit.submissions import LARGEST

from .cosigning import Answer, Witness
from .memory import Memory

log = structlog.get_logger()

KEY, MEMORY = "witness.key", "logs"
"""In a witness's folder: its key, and what it has seen."""
AT_ONCE = 64
BODY_SECONDS = 10.0
GRACE = 5
LARGEST_HEAD = 16 * 1024
LATEST = re.compile("/([0-9a-f]{64})/checkpoint")


def listening(host: str, port: int) -> socket.socket:
    """The socket of an address. Raises `OSError`."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def serve(home: Path, logs: Iterable[Verifier], listener: socket.socket) -> None:
    """Run the witness of `home` until SIGTERM or SIGINT. Raises `KeyUnfit` and `BadNote` where it must not start."""
    signer = signer_of(home)
    app = make_app(Witness(signer, logs, Memory(home / MEMORY), time.time))
    _set_up_logs()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    config = uvicorn.Config(
        app,
        # h11 bounds the size of a request's head, httptools does not.
        http=H11Protocol,
        h11_max_incomplete_event_size=LARGEST_HEAD,
        limit_concurrency=AT_ONCE,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE,
    )
    host, port = listener.getsockname()[:2]
    log.info("witnessing", key=str(signer.verifier), address=f"{host}:{port}")
    uvicorn.Server(config).run(sockets=[listener])


def _set_up_logs() -> None:
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper("iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _stop(_number: int, _frame: object) -> None:
    """Told to stop is no failure; uvicorn raises the signal again when it has stopped serving."""
    raise SystemExit(0)


def signer_of(home: Path) -> Signer:
    """The key in a witness's folder. Raises `KeyUnfit`."""
    try:
        return Signer.parse(read(home / KEY).decode("utf-8", "replace").removesuffix("\n"))
    except BadNote as wrong:
        raise KeyUnfit(f"`{home / KEY}` holds no key of a witness ({wrong}); restore it from a backup") from wrong


def make_app(witness: Witness) -> ASGIApp:
    """The two calls of c2sp.org/tlog-witness that a log and whoever checks on it need."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answer = await _answered(witness, Request(scope, receive))
        response = Response(answer.text, answer.status, {"content-type": answer.kind})
        await response(scope, receive, send)

    return app


async def _answered(witness: Witness, request: Request) -> Answer:
    path = request.url.path
    if path == "/add-checkpoint":
        if request.method != "POST":
            return Answer(405, "send it with POST\n")
        body = await _body(request)
        return body if isinstance(body, Answer) else await asyncio.to_thread(witness.add, body)
    if (found := LATEST.fullmatch(path)) and request.method == "GET":
        return await asyncio.to_thread(witness.latest, found[1])
    return Answer(404, "there is POST /add-checkpoint, and GET /{sha256 of a log's name}/checkpoint\n")


async def _body(request: Request) -> bytes | Answer:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST:
                    return Answer(413, f"a submission has at most {LARGEST} bytes\n")
    except TimeoutError:
        return Answer(408, f"a submission is here within {BODY_SECONDS:.0f} seconds\n")
    except ClientDisconnect:
        return Answer(400, "the submission is not whole\n")
    return bytes(body)
