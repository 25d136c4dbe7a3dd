"""A server that speaks as a gateway does, over real HTTP, and can break off where it is told to."""

import json
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
from pyarrow import ipc

ARROW = "application/vnd.apache.arrow.stream"
Ending = Literal["well", "reset", "silent"]


@dataclass(frozen=True)
class Answer:
    """What is sent: the pieces as HTTP chunks, after `holds` was set for all but the first, and how it ends."""

    pieces: Sequence[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    ending: Ending = "well"
    holds: Event | None = None


@dataclass(frozen=True)
class Asked:
    """What arrived."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Any


def says(value: object, status: int = 200) -> Answer:
    """A JSON answer; a problem document where the status says so."""
    kind = "application/json" if status < 400 else "application/problem+json"
    return Answer([json.dumps(value).encode()], status, {"Content-Type": kind})


def rows(data: bytes | Sequence[bytes], *, ending: Ending = "well", holds: Event | None = None, **said: str) -> Answer:
    """An answer with rows: an Arrow stream, or a part of one, and headers like `Remit_Read`."""
    headers = {"Content-Type": ARROW} | {name.replace("_", "-"): value for name, value in said.items()}
    return Answer([data] if isinstance(data, bytes) else data, 200, headers, ending, holds)


def arrow_stream(*batches: pa.RecordBatch) -> bytes:
    """The batches as the bytes of one whole Arrow stream."""
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


class Wire:
    """Answers each call from the list given for its method and path, the last one again and again."""

    def __init__(self, port: int = 0) -> None:
        self.asked: list[Asked] = []
        self.hung_up = Event()
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.wire = self
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answers(self, method: str, path: str, *answers: Answer) -> None:
        self._answers[method, path] = list(answers)

    def next_answer(self, method: str, path: str) -> Answer:
        left = self._answers.get((method, path), [])
        if not left:
            return says({"detail": "Not Found"}, 404)
        return left.pop(0) if len(left) > 1 else left[0]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    wire: Wire

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no fault; what is told of one may come after its test."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing on standard error."""

    def _answer(self) -> None:
        wire, target = self.server.wire, urlsplit(self.path)
        sent = self.rfile.read(int(self.headers.get("content-length", 0)))
        is_form = "form" in self.headers.get("Content-Type", "")
        body = (sent.decode() if is_form else json.loads(sent)) if sent else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        wire.asked.append(Asked(self.command, target.path, parse_qs(target.query), headers, body))
        try:
            self._send(wire.next_answer(self.command, target.path))
        except OSError:
            wire.hung_up.set()
            self.close_connection = True

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, piece in enumerate(answer.pieces):
            if number and answer.holds is not None:
                answer.holds.wait(20)
            if piece:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        match answer.ending:
            case "well":
                self.wfile.write(b"0\r\n\r\n")
            case "reset":
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # give what was written a way out: a reset throws away what the other side has not read yet
                self.connection.shutdown(socket.SHUT_WR)
            case "silent":
                self.connection.settimeout(20)
                self.connection.recv(1)
                self.close_connection = True
