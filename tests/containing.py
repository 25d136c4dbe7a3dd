"""Gateways that are killed at random points while they contain alerts, one after the other; the last one ends the work.

python tests/containing.py URL KILLS SEED ALERTS  (the gateway's database)
"""

import logging
import os
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import structlog
from bundles import bundle_of
from killing import PATIENCE, born

from audit.alerts import Alerts
from audit.engines import engine_for
from audit.entries import Entry, Kind
from audit.ledger import Ledger
from audit.signals import signal_of
from audit.trail import after
from authz.containment import Containment
from authz.control import Control
from authz.gate import Gate
from authz.grants import GrantStore
from authz.holds import Holds
from authz.in_force import InForceStore
from authz.measures import Measure
from authz.pauses import PauseStore
from authz.permit import Permitted
from policy.bundle import Bundle
from policy.values import Principal

LONGEST = 0.15
"""Seconds after its first containment in which one is killed."""
OLGA = Principal("olga", teams=("on_call",))


def now() -> datetime:
    return datetime.now(UTC)


def excesses(url: str, alerts: int) -> None:
    """So many alerts, each of somebody else."""
    engine = engine_for(url)
    ledger = Ledger(engine, gateway="first", clock=now)
    details = {"sensitivity": "high", "data_classes": ["user.a"], "columns": ["screen"]}
    fields = {"dataset": "events", "code": "beyond_columns", "excess": "beyond", "details": details}
    for number in range(alerts):
        ledger.append(Entry(Kind.READ_REFUSED, f"somebody-{number}", **fields))
    lines = after(engine, 0, alerts)
    signals = [signal for line in lines if (signal := signal_of(line.seq, line.doc))]
    Alerts(engine, ledger, clock=now).take(signals, after=0, upto=lines[-1].seq)
    ledger.close()


def contain(url: str, bundle: Bundle, name: str, begun: Callable[[], None]) -> None:
    """Suspend whom each alert that is not contained is about, the oldest first; `begun` is called after the first."""
    engine = engine_for(url)
    ledger = Ledger(engine, gateway=name, clock=now)
    alerts, grants, pauses = Alerts(engine, ledger, clock=now), GrantStore(engine, ledger), PauseStore(engine, ledger)
    holds = Holds(engine, grants)
    gate = Gate(engine, ledger, holds, pauses, now)
    control = Control(ledger, InForceStore(engine), lambda: bundle, bundle, gate)
    control.activate(bundle, actor=name)
    containment = Containment(engine, ledger, alerts=alerts, grants=grants, pauses=pauses, holds=holds, clock=now)
    for number, alert in enumerate(reversed(alerts.list(limit=1000, state="open"))):
        state = control.refresh()
        under = Permitted(state.bundle, (), state.epoch)
        measure = Measure("principal", alert.actor)
        assert containment.contain(alert, measure, by=OLGA, why="killed on the way", under=under)
        if number == 0:
            begun()
    ledger.close()
    engine.dispose()


def _until_killed(url: str, bundle: Bundle, name: str, begun: int) -> None:
    contain(url, bundle, name, partial(os.close, begun))
    time.sleep(PATIENCE)


def _until_raised(url: str, alerts: int, begun: int) -> None:
    excesses(url, alerts)
    os.close(begun)
    time.sleep(PATIENCE)


def main(url: str, kills: int, seed: int, alerts: int) -> None:
    """Kill so many, then let one end what is left."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    chance, bundle = random.Random(seed), bundle_of()
    first = born(partial(_until_raised, url, alerts))
    first.wait()
    first.kill()
    for number in range(kills):
        victim = born(partial(_until_killed, url, bundle, f"g{number}"))
        victim.wait()
        time.sleep(chance.uniform(0, LONGEST))
        victim.kill()
    contain(url, bundle, "last", lambda: None)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
