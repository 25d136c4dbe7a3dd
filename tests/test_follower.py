"""The way from an entry of the ledger to an alert."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from queue import Queue
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import text

from audit.alerts import Alerts
from audit.entries import Entry, Kind
from audit.follower import Follower
from audit.ledger import Ledger
from audit.severities import Severity
from audit.signals import Alert
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
        with self.engine.connect() as connection:
            left = connection.execute(text("SELECT size - seq FROM audit_head, alert_cursor")).scalar_one()
        following = self.follower.following
        return left == 0 == following.lag and following.last_error is None


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


def test_a_gateway_that_looks_after_another_goes_on_where_that_one_stops(database: "Database") -> None:
    gateways = [Gateway(database, f"gateway-{n}") for n in range(2)]
    with gateways[0].follower:
        with gateways[1].follower:
            for n in range(20):
                gateways[0].ledger.append(refused(actor=f"p{n}"))
            wait_until(gateways[0].has_caught_up)
        gateways[1].ledger.append(refused(actor="the last"))
        wait_until(lambda: any(alert.actor == "the last" for alert in gateways[0].delivered.queue))
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
