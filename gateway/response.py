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
from .pieces import Body

log = structlog.get_logger()

ABORT = "abort"
"""Where the server leaves, in the state of a request, what drops its connection with all that waits to be sent."""
TICK = 0.5
"""Seconds between two questions whether rows that the client does not take may still go out."""


class GovernedResponse(Response):
    """Sends `first` and then what `stream` still gives, ends it with an entry, and breaks the connection if it must."""

    def __init__(
        self,
        stream: GovernedStream,
        first: pa.RecordBatch | None,
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
        self._first = first
        self._encoder = encoder
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hung_up = asyncio.ensure_future(_disconnected(receive))
        ended_by = "stopping"
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            ended_by = await self._send_rows(send, hung_up)
        finally:
            hung_up.cancel()
            # Also when the server cancels us: the end is written whatever ended the stream.
            await asyncio.shield(run_in_threadpool(self._write_end, ended_by))
        if ended_by == "":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif abort := scope.get("state", {}).get(ABORT):
            # Closing would still send what waits for a client that does not read.
            abort()

    async def _send_rows(self, send: Send, hung_up: "asyncio.Future[None]") -> str:
        """Send every row; returns what ended the stream early, or nothing."""
        pieces = self._pieces()
        try:
            while (piece := await run_in_threadpool(next, pieces, None)) is not None:
                await self._send(send, piece)
                if hung_up.done():
                    return "client"
            await self._send(send, await run_in_threadpool(self._last))
        except StreamEnded as ended:
            return ended.ended_by
        except Exception as fault:  # noqa: BLE001  # whatever broke, the stream ends here and its end is written
            log.warning("stream_broke", read=self._stream.permit.read, fault=type(fault).__name__)
            return "fault"
        return ""

    def _pieces(self) -> Iterator[Body]:
        """The beginning and every row, encoded; before each piece it is asked whether it may still leave."""
        yield self._encoder.begin()
        batch = self._first
        while batch is not None:
            for piece in self._encoder.rows(batch):
                self._stream.confirm()
                yield piece
            batch = self._stream.next_batch()

    def _last(self) -> Body:
        """The end, which may hold rows too."""
        last = self._encoder.end()
        self._stream.confirm()
        return last

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
