"""How long it takes from an excess to the page, while others read."""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from receivers import Receiver, receiving
from service import Service, serving

from audit.engines import engine_for
from audit.ledger import Ledger
from gateway.wiring import utc_now

from .contest import Contest, Goal, Measure
from .entries import a_read
from .place import Place
from .scale import Scale

READS = 200
"""Each second, by so many callers."""
CALLERS = 8
WITHIN = 1.0


def contests(place: Place, scale: Scale) -> Iterator[Contest]:
    """One: the slowest of a hundred pages, against a second."""
    secret = place.folder / "secret"
    secret.write_bytes(secrets.token_hex(32).encode())
    secret.chmod(0o600)
    database = place.database("pages")
    with receiving() as receiver:
        urls = f"hook=remit+http://{receiver.address}/?secret={secret}"
        with serving(place.subfolder("pages"), database.url(), REMIT_ALERT_URLS=urls) as service:
            engine = engine_for(database.url())
            ledger = Ledger(engine, gateway="bench-others", clock=utc_now)
            yield Contest(
                what="an excess delivered, p99",
                against=f"{WITHIN:.0f} second",
                goal=Goal("time", 1),
                unit="pages",
                how="from the request that asks too much to the signed webhook at a local receiver, one after the "
                f"other, while another gateway of the same ledger records {READS} reads a second; {scale.pages} a "
                "round. A gateway serves fewer reads itself: see small audited reads",
                cause="The follower takes what was written together, the sender waits for nothing but the receiver; "
                "what is left is the commits on the way, and whoever else wants the processor",
                ours=_paging(service, receiver, ledger, scale),
                theirs=lambda: WITHIN,
            )
            ledger.close()
            engine.dispose()


def _paging(service: Service, receiver: Receiver, ledger: Ledger, scale: Scale) -> Measure:
    def page(grant: str) -> float:
        asked = {"dataset": "events", "columns": ["x", "screen"], "grant": grant}
        started = time.perf_counter()
        answer = service.call("POST", "/v1/reads", content=json.dumps(asked), headers=JSON)
        assert answer.status_code == 403, answer.text
        while receiver.next().json["about"]["grant"] != grant:
            pass
        return time.perf_counter() - started

    def measure() -> float:
        # Each of another grant: else they would be one alert.
        grants = [service.grant(columns=["x"]) for _ in range(scale.pages)]
        with _others_read(ledger):
            taken = sorted(page(grant) for grant in grants)
        return taken[min(len(taken) - 1, int(len(taken) * 0.99))]

    return measure


JSON = {"Content-Type": "application/json"}


@contextmanager
def _others_read(ledger: Ledger) -> Iterator[None]:
    """Somebody records `READS` reads a second, both entries of each, until the end of the `with`."""
    ending = threading.Event()

    def read() -> None:
        due = time.perf_counter()
        while not ending.wait(max(0.0, due - time.perf_counter())):
            for entry in a_read():
                ledger.append(entry)
            due += CALLERS / READS

    callers = [threading.Thread(target=read) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        yield
    finally:
        ending.set()
        for caller in callers:
            caller.join()
