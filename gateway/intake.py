"""What is let in at all: bodies of at most 64 KB that are strict JSON, no NUL or lone surrogate anywhere.

An ASGI middleware in front of everything, so that no route has to think of it.
"""

import re
from urllib.parse import unquote_to_bytes

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from authz.strict_json import read_object

from .problems import Failed, answer
from .unread import Unread

LARGEST_BODY = 64 * 1024
TOO_LARGE = 413
BODY = "remit.body"
"""Where the body stands in the scope of a request, for whoever has to say what was not understood."""
_UNFIT = re.compile("[\x00\ud800-\udfff]")


class Intake:
    """Refuses what cannot be understood before any route sees it."""

    def __init__(self, app: ASGIApp, unread: Unread) -> None:
        self._app = app
        self._unread = unread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body: bytes | None = None
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            _check_target(scope)
            body = await _whole_body(receive)
            if body and read_object(body) is None:
                raise _bad("the body is not one JSON object without NUL, doubled keys or numbers from 2^53 on")
        except Failed as failed:
            if body is not None or failed.status == TOO_LARGE:
                failed = await run_in_threadpool(self._unread.told, Request(scope), failed, body)
            await answer(failed)(scope, receive, send)
            return
        scope[BODY] = body
        replay = _Replay(body, receive)
        await self._app(scope, replay, send)


class _Replay:
    """Hands the body that was read to the application, then what the client does next."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _bad(detail: str) -> Failed:
    return Failed("bad_request", detail, "send one JSON object as the API's description at /openapi.json says")


def _check_target(scope: Scope) -> None:
    for part in (scope.get("raw_path") or scope["path"].encode(), scope["query_string"]):
        decoded = unquote_to_bytes(part)
        try:
            text = decoded.decode("utf-8")
        except UnicodeDecodeError:
            raise _bad("the address is not UTF-8") from None
        if _UNFIT.search(text):
            raise _bad("the address holds a NUL")


async def _whole_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            detail = f"the body is larger than {LARGEST_BODY // 1024} KB"
            help = "ask for less at once; a filter of that size is not needed"
            raise Failed("bad_request", detail, help, status=TOO_LARGE)
        if not message.get("more_body"):
            return bytes(body)
