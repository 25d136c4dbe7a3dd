"""Gateways that are killed at random points, two at a time, while they record, raise and send; the last one ends well.

python tests/killing.py URL KILLS SEED WORD…  (the gateway's database, then channels as in `REMIT_ALERT_URLS`)
"""

import logging
import os
import random
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import psycopg
import structlog

from audit import sending
from audit.alerts import Alerts
from audit.channels import channels_of
from audit.delivery import Delivery
from audit.engines import engine_for
from audit.entries import Entry, Kind
from audit.errors import NotRecorded
from audit.escalation import Escalation
from audit.follower import Follower
from audit.ledger import Ledger
from audit.listening import CONTROL, listening

LONGEST = 0.2
"""Seconds after which a gateway is killed, at most, from its first entry on."""
AT_WORK = 0.8
"""How many of them get so far; the others are killed as they start."""
PATIENCE = 120
OPEN = """
    SELECT (SELECT size FROM audit_head) - (SELECT seq FROM alert_cursor)
        + (SELECT count(*) FROM outbox WHERE state = 'waiting')
"""


def gateway(url: str, words: Sequence[str], name: str, work: Callable[[Ledger], None]) -> None:
    """One gateway, as much of it as an alert goes through, until `work` is done."""
    engine, clock = engine_for(url), lambda: datetime.now(UTC)
    channels = channels_of(words, seen_at="https://remit.example.com")
    ledger = Ledger(engine, gateway=name, clock=clock)
    alerts = Alerts(engine, ledger, clock=clock)
    delivery = Delivery(
        engine, ledger, channels, Escalation.to_all(channels), gateway=name, owner_of=lambda _: "", clock=clock
    )
    with listening(engine, CONTROL, name), delivery, Follower(engine, alerts, delivery.wake):
        work(ledger)
    ledger.close()
    engine.dispose()


def record(ledger: Ledger, name: str, begun: int) -> None:
    """One excess after the other, each of somebody else, so that each is an alert of its own; until it is killed.

    Closes the pipe `begun` after the first.
    """
    details = {"sensitivity": "high", "data_classes": ["user.a"], "declared": "x", "asked": "y"}
    number = 0
    while True:
        number += 1
        actor = f"{name}-{number}"
        excess = Entry(Kind.READ_REFUSED, actor, dataset="d", code="beyond_rows", excess="beyond", details=details)
        with suppress(NotRecorded):  # a database that is slow: whether it stands there, the ledger says in the end
            ledger.append(excess)
        if number == 1:
            os.close(begun)
        time.sleep(0.01)


def settle(url: str) -> None:
    """Until everything is raised and told; what dead gateways had taken is let go of at the start."""
    end = time.monotonic() + PATIENCE
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(OPEN).fetchone() != (0,):
            assert time.monotonic() < end, "not everything is told"
            time.sleep(0.05)


@dataclass(frozen=True)
class Child:
    """A process, and the end of a pipe that says when it has begun."""

    pid: int
    begun: int

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.begun)
        assert os.WTERMSIG(status) == signal.SIGKILL, "a gateway ended by itself"

    def wait(self) -> None:
        """Until it has begun."""
        assert select.select([self.begun], [], [], PATIENCE)[0], "a gateway did not begin"


def born(work: Callable[[int], None]) -> Child:
    """A new process that does `work`; this one has no threads, so that it can be copied."""
    reads, writes = os.pipe()
    child = os.fork()
    if child:
        os.close(writes)
        return Child(child, reads)
    try:
        work(writes)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(1)


def _recording(url: str, words: Sequence[str], name: str, begun: int) -> None:
    gateway(url, words, name, lambda ledger: record(ledger, name, begun))


def main(url: str, kills: int, seed: int, words: Sequence[str]) -> None:
    """Kill so many, then let one end what is left."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sending.FIRST_WAIT, sending.LONGEST_WAIT, sending.POLL = 0.05, 0.5, 0.05
    chance = random.Random(seed)  # the same points again for the same seed
    living: list[Child] = []
    for number in range(kills):
        name = f"g{number}"
        living.append(born(partial(_recording, url, words, name)))
        if len(living) == 2:
            victim = living.pop(chance.randrange(2))
            if chance.random() < AT_WORK:
                victim.wait()
            time.sleep(chance.uniform(0, LONGEST))
            victim.kill()
    for rest in living:
        rest.kill()
    gateway(url, words, "last", lambda _: settle(url))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
