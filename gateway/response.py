"""A governed stream as an HTTP answer. One that ends early is never well-formed HTTP, whatever its format."""

import asyncio
from collections.abc import Iterator, Mapping

import pyarrow as pa
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from authz.stream import GovernedStream, StreamEnded

from .encoder import Encoder
from .metrics import Metrics
from .pieces import Body, together

log = structlog.get_logger()

ABORT = "abort"
"""Where the server leaves, in the state of a request, what drops its connection with all that waits to be sent."""
AT_ONCE = 65_536
"""Bytes that are made before a change of threads is worth its time."""
TICK = 0.5
"""Seconds between two questions whether rows that the client does not take may still go out."""


class GovernedResponse(Response):
    """Sends what `stream` gives, ends it with an entry, and breaks the connection if it must.

    What leaves first is made here, in the thread that opened the stream: a small answer is whole before it is sent,
    and costs no other change of threads than that for its end. Raises what `stream` and `encoder` raise before that.
    """

    def __init__(
        self,
        stream: GovernedStream,
        encoder: Encoder,
        headers: Mapping[str, str],
        metrics: Metrics,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.body = b""
        self.init_headers({**headers, "Content-Type": encoder.content_type, "Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._stream = stream
        self._encoder = encoder
        self._metrics = metrics
        self._fault: Exception | None = None
        self._is_over = False
        first = stream.next_batch()
        self._pieces = self._made(first)
        self._first = self._some()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Of an answer that is sent at once nobody learns whether the client was still there.
        hung_up = None if self._is_over else asyncio.ensure_future(_disconnected(receive))
        ended_by = "stopping"
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            ended_by = await self._send_rows(send, hung_up)
        finally:
            if hung_up is not None:
                hung_up.cancel()
            # Also when the server cancels us: the end is written whatever ended the stream.
            await asyncio.shield(run_in_threadpool(self._write_end, ended_by))
        if ended_by == "":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif abort := scope.get("state", {}).get(ABORT):
            # Closing would still send what waits for a client that does not read.
            abort()

    async def _send_rows(self, send: Send, hung_up: "asyncio.Future[None] | None") -> str:
        """Send every row; returns what ended the stream early, or nothing."""
        try:
            if not self._stream.is_under_its_epoch:
                await run_in_threadpool(self._stream.confirm)
            await self._send(send, self._first)
            while not self._is_over:
                if hung_up is not None and hung_up.done():
                    return "client"
                await self._send(send, await run_in_threadpool(self._some))
        except StreamEnded as ended:
            return ended.ended_by
        except Exception as fault:  # noqa: BLE001  # whatever broke, the stream ends here and its end is written
            log.warning("stream_broke", read=self._stream.permit.read, fault=type(fault).__name__)
            return "fault"
        return ""

    def _some(self) -> Body:
        """What leaves next, in one: at least `AT_ONCE` bytes or all that is left; asked at last whether it may."""
        if self._fault is not None:
            raise self._fault
        pieces: list[Body] = []
        try:
            for piece in self._pieces:
                pieces.append(piece)
                if sum(map(len, pieces)) >= AT_ONCE:
                    break
            else:
                self._is_over = True
        except Exception as fault:
            if not pieces:
                raise
            # Rows that were let go before it happened still leave.
            self._fault = fault
        self._stream.confirm()
        return together(pieces)

    def _made(self, first: pa.RecordBatch | None) -> Iterator[Body]:
        """The beginning, every row, and the end, which may hold rows too."""
        yield self._encoder.begin()
        batch = first
        while batch is not None:
            yield from self._encoder.rows(batch)
            batch = self._stream.next_batch()
        yield self._encoder.end()

    async def _send(self, send: Send, data: Body) -> None:
        """Send what was encoded; while the client does not take it, ask again and again whether it may have it."""
        if len(data) == 0:
            return
        sending = asyncio.ensure_future(send({"type": "http.response.body", "body": data, "more_body": True}))
        try:
            while not (await asyncio.wait({sending}, timeout=TICK))[0]:
                await run_in_threadpool(self._stream.confirm)
            await sending
        finally:
            sending.cancel()
        self._metrics.bytes_out.inc(len(data))

    def _write_end(self, ended_by: str) -> None:
        stream = self._stream
        if ended_by == "":
            stream.complete()
        else:
            stream.interrupt(ended_by)
        self._metrics.ended(stream, ended_by)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
