"""`remit serve`: one process, one gateway, until it is told to stop."""

import asyncio
import gc
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any, cast

import anyio.to_thread
import h11
import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from authz.errors import BundleHeld
from policy.errors import MisreadAll

from .app import make_app
from .logs import set_up_logs
from .parts import Parts
from .pieces import Body, Piece
from .response import ABORT
from .settings import BadSetting, Settings
from .stores import ACTOR
from .wiring import started

log = structlog.get_logger()

THREADS = 128
"""Requests and batches that are worked on at once; the rest waits its turn."""
STOPS = (signal.SIGTERM, signal.SIGINT)
LARGEST_HEAD = 32 * 1024
GRACE = 5
"""Seconds that answers get to end when the gateway is told to stop."""


def serve(settings: Settings) -> None:
    """Run a gateway until SIGTERM or SIGINT; SIGHUP loads the files again. Raises what `started` raises."""
    set_up_logs()
    stopped = Event()
    for number in STOPS:
        signal.signal(number, partial(_stop, stopped))
    with _listen(settings.listen) as listener, started(settings) as parts:
        config = uvicorn.Config(
            make_app(parts),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
            http=_Protocol,
            ws="none",
            h11_max_incomplete_event_size=LARGEST_HEAD,
        )
        # What is loaded stays: to look through all of it for garbage stops every thread for a fifth of a second.
        gc.freeze()
        try:
            _open(listener, settings.listen)
            host, port = listener.getsockname()[:2]
            log.info("serving", address=f"{host}:{port}")
            _Server(config, parts, stopped).run(sockets=[listener])
        finally:
            # else nothing is cleared away at the exit, and DuckDB tells standard error of all that it finds left
            gc.unfreeze()


def _stop(stopped: Event, number: int, _frame: object) -> None:
    """End what is under way and clean up behind it; uvicorn raises the signal again when it has stopped serving."""
    for each in STOPS:
        signal.signal(each, signal.SIG_IGN)
    stopped.set()
    log.info("stopping", signal=number)
    raise SystemExit(0)


class _Protocol(H11Protocol):
    """HTTP by h11, which bounds the size of a request's head; httptools does not.

    What h11 makes of an answer goes to the socket as the parts it consists of: rows are not copied on the way.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.conn = _Parts(h11.SERVER, LARGEST_HEAD)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its parent has it
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, _Writer(transport))
        self.app_state = {**self.app_state, ABORT: transport.abort}


class _Parts(h11.Connection):
    """An h11 connection whose `send` gives what is to be written in parts; h11 joins them otherwise."""

    def send(self, event: Any) -> Any:
        return self.send_with_data_passthrough(event)


class _Writer:
    """A transport that takes what `_Parts` gives."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def write(self, parts: list[Body]) -> None:
        self._transport.writelines([each for part in parts for each in (part if isinstance(part, Piece) else (part,))])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Server(uvicorn.Server):
    """A server that ends its streams, each with its entry, before it waits for answers to end."""

    def __init__(self, config: uvicorn.Config, parts: Parts, stopped: Event) -> None:
        super().__init__(config)
        self._parts, self._stopped = parts, stopped
        self._reloads = ThreadPoolExecutor(1, thread_name_prefix="reload")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: self._reloads.submit(_reload, self._parts))
        await super().startup(sockets=sockets)
        # Python drops what a signal raises while an object is cleared away; being told once is enough all the same.
        self.should_exit = self.should_exit or self._stopped.is_set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.to_thread(self._parts.streams.stop)
        await super().shutdown(sockets=sockets)
        self._reloads.shutdown()


def _reload(parts: Parts) -> None:
    try:
        log.info("reloaded", digest=parts.reload(ACTOR))
    except MisreadAll as wrong:
        log.error("reload_refused", problems=str(wrong).splitlines()[:20])
    except BundleHeld as held:
        log.error("reload_refused", problems=[str(held)], digest=held.digest)
    except Exception as fault:
        log.error("reload_failed", fault=type(fault).__name__)
        raise


def _listen(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as fault:
        listener.close()
        raise _taken(address, fault) from fault
    return listener


def _open(listener: socket.socket, address: tuple[str, int]) -> None:
    try:
        listener.listen(512)
    except OSError as fault:
        # another gateway that was starting too had bound this address as well, and was quicker
        raise _taken(address, fault) from fault


def _taken(address: tuple[str, int], fault: OSError) -> BadSetting:
    said = (fault.strerror or "it cannot be used").lower()
    return BadSetting(f"`REMIT_LISTEN` {address[0]}:{address[1]}: {said}; name another address")
