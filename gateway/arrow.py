"""A governed stream as an HTTP answer. One that ends early is never well-formed Arrow, nor well-formed HTTP."""

import asyncio
from collections.abc import Mapping

import pyarrow as pa
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from authz.stream import GovernedStream, StreamEnded

from .metrics import Metrics

log = structlog.get_logger()

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
ABORT = "abort"
"""Where the server leaves, in the state of a request, what drops its connection with all that waits to be sent."""
TICK = 0.5
"""Seconds between two questions whether rows that the client does not take may still go out."""


class Encoder:
    """Arrow IPC, a piece at a time: what was written since the last `take`."""

    def __init__(self, schema: pa.Schema) -> None:
        self._pieces: list[bytes] = []
        self._writer = pa.ipc.new_stream(pa.PythonFile(self, mode="w"), schema)

    def write(self, data: bytes) -> int:
        """Called by Arrow with each piece it made."""
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Called by Arrow; there is nothing behind this to flush."""

    closed = False

    def batch(self, batch: pa.RecordBatch) -> None:
        """Encode one batch."""
        self._writer.write_batch(batch)

    def end(self) -> None:
        """Write the end of the stream; without it no reader takes the stream for whole."""
        self._writer.close()

    def take(self) -> bytes:
        """What was encoded since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class ArrowResponse(Response):
    """Sends `first` and then what `stream` still gives, ends it with an entry, and breaks the connection if it must."""

    media_type = MEDIA_TYPE

    def __init__(
        self, stream: GovernedStream, first: pa.RecordBatch | None, headers: Mapping[str, str], metrics: Metrics
    ) -> None:
        self.status_code = 200
        self.background = None
        self.body = b""
        self.init_headers({**headers, "Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._stream = stream
        self._first = first
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
        encoder = Encoder(self._stream.schema)
        batch = self._first
        try:
            while batch is not None:
                await run_in_threadpool(encoder.batch, batch)
                await self._send(send, encoder)
                if hung_up.done():
                    return "client"
                batch = await run_in_threadpool(self._stream.next_batch)
            encoder.end()
            await self._send(send, encoder)
        except StreamEnded as ended:
            return ended.ended_by
        except Exception as fault:  # noqa: BLE001  # whatever broke, the stream ends here and its end is written
            log.warning("stream_broke", read=self._stream.permit.read, fault=type(fault).__name__)
            return "fault"
        return ""

    async def _send(self, send: Send, encoder: Encoder) -> None:
        """Send what was encoded; while the client does not take it, ask again and again whether it may have it."""
        data = encoder.take()
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
