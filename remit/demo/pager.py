"""On-call's pager in the demo: a receiver of signed webhooks that believes what its secret proves, and keeps it.

Listens on this machine only, for as long as the stage runs. What it was told stands in `pages`, a JSON object a line.
"""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

from remit.errors import NotGenuine
from remit.webhooks import verify_webhook

from .written import write

PAGES, SECRET = "pages", "pager.secret"
LARGEST = 64 * 1024
PATIENCE = 90.0
"""Seconds in which a page has to come: a hold check is asked every minute."""


class NoPage(Exception):
    """Nobody was paged; the message says about what."""


@dataclass(frozen=True, slots=True)
class Page:
    """What on-call reads."""

    title: str
    text: str

    def line(self, name: str) -> str:
        """What stands behind `name:` in the text; empty where nothing does."""
        found = (line.partition(":") for line in self.text.splitlines())
        return next((said.strip() for label, _, said in found if label == name), "")


@contextmanager
def pager(place: Path) -> Iterator[str]:
    """A pager that listens until the end of the `with`, as a word of `REMIT_ALERT_URLS` for a service in `place`."""
    secret = secrets.token_hex(32).encode()
    write(place / SECRET, secret.decode(), 0o600)
    write(place / PAGES, "", 0o600)
    known, lock = set[str](), Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), LARGEST))
            try:
                notice = verify_webhook(body, dict(self.headers.items()), secret)
            except NotGenuine:
                self._answer(403)
                return
            with lock:
                # The same letter may come twice, under the same key.
                if notice.event in ("raised", "reopened") and notice.key not in known:
                    with (place / PAGES).open("a") as pages:
                        pages.write(json.dumps({"title": notice.title, "text": notice.text}) + "\n")
                known.add(notice.key)
            self._answer(204)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing in the service's log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        # Named as it is seen from `place`: a word has no blanks, and a path may have.
        yield f"pager=remit+http://127.0.0.1:{server.server_address[1]}/?secret={SECRET}"
        server.shutdown()


@dataclass(slots=True)
class Pages:
    """The pages of a running stage in `place`, each told once."""

    place: Path
    told: set[int] = field(default_factory=set)

    def next(self, about: str) -> Page:
        """The first page not told yet with `about` in its title, once it is there. Raises `NoPage`."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for number, line in enumerate((self.place / PAGES).read_text().splitlines()):
                page = Page(**json.loads(line))
                if number not in self.told and about in page.title:
                    self.told.add(number)
                    return page
            time.sleep(0.05)
        raise NoPage(f"nobody was paged about `{about}`")
