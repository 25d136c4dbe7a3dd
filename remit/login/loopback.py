"""Wait on this machine for the one answer of a browser (RFC 8252 §7.3): 127.0.0.1, a port of its own, then closed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

from remit.errors import LoginFailed

PATH = "/callback"
PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>remit</title>
<p>That is all that was needed here. Close this page and go back to your terminal.</p></html>
"""
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Length": str(len(PAGE)),
    # the address holds the code: it goes into no cache, to no other page, and nothing runs here that could read it
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'",
    "Connection": "close",
}
Answers = SimpleQueue[Mapping[str, str] | None]


class Listener:
    """Listens for a browser that comes back to `redirect`."""

    def __init__(self, redirect: str, answers: Answers) -> None:
        self.redirect = redirect
        self._answers = answers

    def wait(self, seconds: float) -> Mapping[str, str]:
        """The parameters of the first answer; raises `LoginFailed` where none comes or it cannot be read."""
        try:
            found = self._answers.get(timeout=seconds)
        except Empty:
            raise LoginFailed(
                f"nobody logged in within {seconds:g} seconds; run `remit login` again, with --no-browser where no "
                "page opened"
            ) from None
        if found is None:
            raise LoginFailed("the browser came back with something that is not understood; run `remit login` again")
        return found


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener on a free port of 127.0.0.1, closed at the end of the `with`."""
    answers: Answers = SimpleQueue()
    # in threads: a browser opens connections ahead of time and says nothing on them
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answers))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Listener(f"http://127.0.0.1:{server.server_port}{PATH}", answers)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(answers: Answers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            if asked.path != PATH:
                return self.send_error(404)
            self.send_response(200)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(PAGE)
            self.wfile.flush()
            # after the page, so that it is there before the listener closes; only the first answer is looked at
            return answers.put(_once_each(asked.query))

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: what is asked holds the code."""

    return Handler


def _once_each(query: str) -> Mapping[str, str] | None:
    pairs = parse_qsl(query, keep_blank_values=True)
    found = dict(pairs)
    return found if len(found) == len(pairs) else None
