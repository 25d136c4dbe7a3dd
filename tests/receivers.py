"""Where letters arrive in tests: a real HTTP server that answers as it is told, and a real mail server."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from socket import create_server
from threading import Event, Thread
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler

PATIENCE = 20


def wait_until(holds: Callable[[], object]) -> None:
    """Looks again and again; fails when it has waited in vain."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@dataclass(frozen=True)
class Post:
    """One request: where to, its headers in lower case, its body as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body or b"{}"))


@dataclass
class Receiver:
    """Answers each post with the next of `answers`, the last of them for good; only while `opened` is set.

    `posts` is everything that came; what was answered with 2xx is `taken`.
    """

    answers: list[int] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    posts: "Queue[Post]" = field(default_factory=Queue)
    taken: list[Post] = field(default_factory=list)
    opened: Event = field(default_factory=Event)
    address: str = ""

    def next(self) -> Post:
        return self.posts.get(timeout=PATIENCE)

    @property
    def keys(self) -> list[str]:
        """The idempotency keys of all that was taken."""
        return [post.headers["remit-idempotency-key"] for post in self.taken]

    def answer(self, post: Post) -> int:
        self.posts.put(post)
        self.opened.wait(PATIENCE)
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if status < 300:
            self.taken.append(post)
        return status


@contextmanager
def receiving(*answers: int, **headers: str) -> Iterator[Receiver]:
    """A receiver on loopback until the end of the `with`; `headers` go with each answer."""
    receiver = Receiver(list(answers) or [200], {name.replace("_", "-"): value for name, value in headers.items()})
    receiver.opened.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True  # whoever sent it died over it: nothing arrived
                return
            sent = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.answer(Post(self.path, sent, body)))
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - the name is http.server's

        def handle(self) -> None:
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                """Who asked did not wait for the answer."""

        def log_message(self, *_: object) -> None:
            """Nothing on the test's own output."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    receiver.address = f"127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.opened.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def mailbox() -> Iterator[tuple[str, "Queue[Message]"]]:
    """A mail server: its Apprise address, and the mails that it got."""
    mails: Queue[Message] = Queue()

    class Handler(MessageHandler):
        def handle_message(self, message: Message) -> None:
            mails.put(message)

    with create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield f"mailto://127.0.0.1:{port}?from=remit@example.com&to=oncall@example.com", mails
    finally:
        controller.stop()
