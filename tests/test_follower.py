"""The way from an entry of the ledger to on-call's own channel."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Event, Thread
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import text

from audit.alerts import Alerts
from audit.delivery import BadAlertUrl, Delivery
from audit.entries import Entry, Kind
from audit.follower import Follower
from audit.ledger import Ledger
from audit.severities import Severity
from audit.signals import Alert, signal_of
from audit.trail import after

if TYPE_CHECKING:
    from tests.conftest import Database

PATIENCE = 10


def refused(**fields: object) -> Entry:
    """A read beyond scope on high data, as the guard writes it."""
    details = {"sensitivity": "high", "data_classes": ["user.behavior.keystrokes"], "declared": "x", "asked": "text"}
    known = {"actor": "ana", "dataset": "keystrokes", "code": "beyond_columns", "excess": "beyond", "details": details}
    return Entry(Kind.READ_REFUSED, **{**known, **fields})


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


class Gateway:
    """What a gateway has of alerting, over a database of the test's own."""

    def __init__(self, database: "Database", name: str = "gateway-1", deliver: Callable[[Alert], None] | None = None):
        self.delivered: Queue[Alert] = Queue()
        self.engine = database.engine()
        self.ledger = Ledger(self.engine, gateway=name, clock=lambda: datetime.now(UTC))
        self.alerts = Alerts(self.engine, self.ledger, clock=lambda: datetime.now(UTC))
        self.follower = Follower(self.engine, self.alerts, deliver or self.delivered.put)

    def next(self) -> Alert:
        return self.delivered.get(timeout=PATIENCE)

    def has_caught_up(self) -> bool:
        following = self.follower.following
        return following.lag == 0 and following.last_error is None


@pytest.fixture
def gateway(database: "Database") -> Iterator[Gateway]:
    made = Gateway(database)
    yield made
    made.ledger.close()


def test_an_excess_is_an_alert_and_delivered_while_the_gateway_runs(gateway: Gateway) -> None:
    with gateway.follower:
        seq = gateway.ledger.append(refused()).seq
        alert = gateway.next()
        assert (alert.severity, alert.actor, alert.evidence.entries) == (Severity.SEV3, "ana", (seq,))
        assert gateway.alerts.get(alert.id) == alert


def test_what_was_written_while_nobody_followed_is_raised_at_the_next_start(gateway: Gateway) -> None:
    for actor in ("ana", "sam"):
        gateway.ledger.append(refused(actor=actor))
    with gateway.follower:
        assert {gateway.next().actor, gateway.next().actor} == {"ana", "sam"}


def test_alerting_survives_a_database_that_goes_away_and_says_so(gateway: Gateway, database: "Database") -> None:
    with gateway.follower:
        wait_until(gateway.has_caught_up)
        with psycopg.connect(database.server.url("owner"), autocommit=True) as owner:
            name = psycopg.sql.Identifier(database.name)
            owner.execute(psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
            owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database.name])
            wait_until(lambda: gateway.follower.following.last_error is not None)
            assert gateway.follower.following.is_running
            owner.execute(psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
        wait_until(gateway.has_caught_up)
        gateway.ledger.append(refused())
        assert gateway.next().actor == "ana"


def test_two_gateways_that_follow_one_ledger_raise_each_alert_once(database: "Database") -> None:
    gateways = [Gateway(database, f"gateway-{n}") for n in range(2)]
    with ExitStack() as running:
        for each in gateways:
            running.enter_context(each.follower)
        for n in range(60):
            gateways[n % 2].ledger.append(refused(actor=f"p{n % 30}"))
        wait_until(lambda: all(each.has_caught_up() for each in gateways))
    kept = gateways[0].alerts.list()
    delivered = [alert.id for each in gateways for alert in each.delivered.queue]
    assert sorted(delivered) == sorted(alert.id for alert in kept)
    assert sorted((alert.actor, alert.count) for alert in kept) == sorted((f"p{n}", 2) for n in range(30))
    for each in gateways:
        each.ledger.close()


def test_a_follower_that_is_behind_says_by_how_much(gateway: Gateway, database: "Database") -> None:
    with gateway.engine.begin() as other, gateway.follower:
        other.execute(text("SELECT seq FROM alert_cursor FOR UPDATE"))
        for _ in range(3):
            gateway.ledger.append(Entry(Kind.READ_COMPLETED, "ana"))
        wait_until(lambda: (gateway.follower.following.lag or 0) > 0)
        other.commit()
        wait_until(gateway.has_caught_up)
    assert not gateway.follower.following.is_running
    assert gateway.follower.following.last_error == "not running"


def test_raising_an_alert_settles_and_is_no_reason_to_raise_another(gateway: Gateway, database: "Database") -> None:
    with gateway.follower:
        gateway.ledger.append(refused())
        gateway.next()
        wait_until(gateway.has_caught_up)
    assert [line.doc["kind"] for line in after(database.engine(), 0, 99)] == ["read.refused", "alert.raised"]


def test_the_same_excess_again_counts_and_is_not_delivered_again(gateway: Gateway) -> None:
    with gateway.follower:
        for _ in range(25):
            gateway.ledger.append(refused())
        wait_until(lambda: [alert.count for alert in gateway.alerts.list()] == [25])
    assert gateway.delivered.qsize() == 1


class Receiver:
    """On-call's own HTTP endpoint; answers `status`, and only when `opened`."""

    def __init__(self, status: int = 200) -> None:
        self.received: Queue[tuple[str, dict[str, object]]] = Queue()
        self.opened = Event()
        self.opened.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.received.put((self.path, json.loads(body or "{}")))
                receiver.opened.wait(PATIENCE)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - the name is http.server's

            def log_message(self, *_: object) -> None:
                """Nothing on the test's own output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"json://{self.address}/page"

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.opened.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_a_page_reaches_the_channel_with_declared_against_asked_and_what_to_do(database: "Database") -> None:
    with Receiver() as receiver:
        delivery = Delivery([receiver.url])
        gateway = Gateway(database, deliver=delivery.send)
        with gateway.follower:
            seq = gateway.ledger.append(refused(grant="g-7")).seq
            _, page = receiver.received.get(timeout=PATIENCE)
        delivery.close()
        gateway.ledger.close()
    assert page["title"] == "SEV3 `ana` asked beyond scope for high data of `keystrokes`: `beyond_columns`"
    lines = str(page["message"]).splitlines()
    assert [line for line in lines if line.startswith(("declared", "asked", "entries"))] == [
        "declared: x",
        "asked:    text",
        f"entries:  {seq}",
    ]
    assert "see:      `remit alerts show 1`" in lines
    assert "contain:  `remit grants revoke g-7`" in lines


def alert(id: int, severity: Severity = Severity.SEV3) -> Alert:
    document = {"kind": "store.exposed", "at": "2026-11-21T08:00:00Z", "actor": "remit", "dataset": f"d{id}"}
    made = signal_of(id, document)
    assert made is not None
    return replace(made, id=id, severity=severity)


def test_a_channel_that_hangs_or_fails_holds_up_neither_the_others_nor_the_caller() -> None:
    with Receiver() as hanging, Receiver(status=500) as failing, Receiver() as good:
        hanging.opened.clear()
        delivery = Delivery([hanging.url, failing.url, "json://127.0.0.1:1/nobody", good.url])
        for n in range(3):
            delivery.send(alert(n))
        titles = [good.received.get(timeout=PATIENCE)[1]["title"] for _ in range(3)]
        assert titles == [f"SEV3 files of `d{n}` can be read around remit" for n in range(3)]
        assert good.received.empty()
        hanging.opened.set()
        delivery.close()
        assert hanging.received.qsize() == 3


def test_sev4_is_not_paged() -> None:
    with Receiver() as receiver:
        delivery = Delivery([receiver.url])
        delivery.send(alert(1, Severity.SEV4))
        delivery.send(alert(2, Severity.SEV1))
        delivery.close()
        assert [body["title"] for _, body in receiver.received.queue] == ["SEV1 files of `d2` can be read around remit"]


def test_a_page_goes_nowhere_but_to_the_address_that_was_set() -> None:
    with Receiver(status=302) as receiver:
        delivery = Delivery([receiver.url])
        delivery.send(alert(1))
        delivery.close()
        assert {path for path, _ in receiver.received.queue} == {"/page"}


def test_a_page_holds_no_link_and_no_picture_for_a_chat_to_fetch() -> None:
    with Receiver() as mattermost:
        delivery = Delivery([f"mmost://{mattermost.address}/3ccdd113474722377935511fc85d3dd4"])
        delivery.send(alert(1))
        delivery.close()
        _, page = mattermost.received.get(timeout=PATIENCE)
        assert "SEV3 files of `d1`" in str(page["text"])
        assert "http" not in json.dumps(page)


@pytest.mark.parametrize("bad", ["nonsense", "nobody-knows://hunter2@x", "slack://hunter2", ""])
def test_an_address_that_is_not_understood_stops_the_start_and_is_not_told(bad: str) -> None:
    with pytest.raises(BadAlertUrl, match="REMIT_ALERT_URLS: address 2 is not one that apprise understands") as raised:
        Delivery(["json://127.0.0.1:9/", bad])
    assert "hunter2" not in str(raised.value)


def test_without_addresses_nothing_is_sent_and_nothing_fails() -> None:
    delivery = Delivery([])
    delivery.send(alert(1))
    delivery.close()
