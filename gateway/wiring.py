"""Everything is put together here, and nowhere else."""

import math
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial

import structlog
from sqlalchemy import Engine

from audit.alerts import Alerts
from audit.blocks import index as index_blocks
from audit.checkpointer import Checkpointer
from audit.delivery import Delivery
from audit.engines import engine_for
from audit.figures import Counted
from audit.follower import Follower
from audit.ledger import Ledger
from audit.left_behind import APART as LEFT_BEHIND
from audit.left_behind import LeftBehind
from audit.postgres import GATEWAY, Embedded
from audit.schema import check_fit, migrate
from audit.signals import Alert
from audit.watchman import Watchman
from audit.witnessing import Witnessing
from authz.alone import Alone
from authz.asking import Asking
from authz.containment import Containment
from authz.control import Control, Watch
from authz.dictionary import Dictionary
from authz.endings import Endings
from authz.gate import Gate
from authz.grants import GrantStore
from authz.guard import Guard
from authz.hold_runs import HoldRuns
from authz.holds import Holds
from authz.identity import Identity
from authz.in_force import InForceStore
from authz.issuer import BadIssuer
from authz.judging import Judging
from authz.keys import Keys
from authz.looks import look
from authz.oversight import Oversight
from authz.pauses import PauseStore
from authz.reach import Reach
from authz.reader import Reader
from authz.records import Records
from authz.refused_tokens import RefusedTokens
from authz.requests import RequestStore
from authz.reviews import Reviews
from authz.subjects import Subjects
from authz.usage import Usage
from policy.bundle import Bundle, load_bundle

from .audiences import report_audiences
from .calling import Calling, calling_of, owner_of, watch_alerts
from .clock import SteadyClock
from .metrics import Metrics
from .parts import Parts
from .settings import BadSetting, Settings
from .stores import ACTOR, report_stores
from .upkeep import EVERY, every_few_seconds

log = structlog.get_logger()


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


@contextmanager
def started(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Iterator[Parts]:
    """A gateway that runs until the end of the `with`; everything it started is stopped, last first.

    Raises `BadSetting`, `MisreadAll` (files), `BundleHeld`, `DatabaseUnfit` or `KeysUnfit` where it must not start.
    """
    steady = SteadyClock(clock)
    identity = _identity(settings, steady.seconds)
    bundle = _load(settings)
    calling = calling_of(settings)
    with ExitStack() as stack:
        engine = stack.enter_context(_database(settings))
        instance = f"{socket.gethostname()}-{secrets.token_hex(6)}"
        # The machine's own clock: where it is behind, nothing is recorded.
        ledger = Ledger(engine, gateway=instance, clock=clock)
        stack.callback(ledger.close)
        parts = _parts(settings, steady, engine, ledger, instance, identity, bundle, calling)
        stack.callback(parts.reader.close)
        parts.control.activate(bundle, actor=ACTOR)
        report_stores(ledger, bundle, settings.catalog.parent)
        report_audiences(ledger, bundle)
        _watch_numbers(parts)
        # First of all what holds this instance's lock. What signs ends after all that records, before what shows it.
        for each in (parts.watch, parts.checkpointer, parts.witnessing):
            stack.enter_context(each)
        stack.callback(parts.checkpointer.stop)
        stack.callback(parts.refused_tokens.sweep, all=True)
        # Before what raises alerts, whoever tells of them.
        for part in (parts.delivery, parts.endings, parts.follower):
            stack.enter_context(part)
        stack.callback(parts.streams.stop)
        stack.enter_context(every_few_seconds(parts.refused_tokens.sweep))
        stack.enter_context(every_few_seconds(LeftBehind(ledger).look, LEFT_BEHIND))
        stack.enter_context(every_few_seconds(partial(index_blocks, engine)))
        stack.enter_context(every_few_seconds(Reviews(engine, ledger, steady).remind))
        stack.enter_context(every_few_seconds(partial(parts.hold_runs.run, parts.control.refresh)))
        stack.enter_context(every_few_seconds(parts.alone.look, hurry=parts.alone.hurry))
        for upkeep, every in ((parts.delivery.look, EVERY), (parts.watchman.look, 10), (parts.counted.look, 5)):
            stack.enter_context(every_few_seconds(upkeep, every))
        yield parts


def _parts(
    settings: Settings,
    clock: Callable[[], datetime],
    engine: Engine,
    ledger: Ledger,
    instance: str,
    identity: Identity,
    bundle: Bundle,
    calling: Calling,
) -> Parts:
    keys = Keys.open(settings.home)
    pauses = PauseStore(engine, ledger)
    grants = GrantStore(engine, ledger)
    holds = Holds(engine, grants)
    gate = Gate(engine, ledger, holds, pauses, clock)
    control = Control(ledger, InForceStore(engine), partial(_load, settings), bundle, gate)
    records = Records(keys.of_literals())
    dictionary = Dictionary(engine, ledger)
    alerts = Alerts(engine, ledger, clock=clock)
    reader = Reader(catalog_folder=settings.catalog.parent, keys=keys)
    requests, reach = RequestStore(engine), Reach(reader, ledger, records)
    delivery = calling.delivery(engine, ledger, instance, partial(owner_of, control), clock)
    containment = Containment(engine, ledger, alerts=alerts, grants=grants, pauses=pauses, holds=holds, clock=clock)
    alone = Alone(alerts, containment, control, worst=settings.contain, clock=clock)
    return Parts(
        settings=settings,
        engine=engine,
        ledger=ledger,
        control=control,
        watch=Watch(control, engine, instance),
        grants=grants,
        requests=requests,
        asking=Asking(control=control, ledger=ledger, requests=requests, reach=reach, records=records),
        judging=Judging(control=control, ledger=ledger, requests=requests, reach=reach, records=records),
        usage=Usage(engine),
        pauses=pauses,
        guard=Guard(control=control, grants=grants, ledger=ledger, records=records, clock=clock),
        records=records,
        oversight=Oversight(control, ledger),
        reader=reader,
        dictionary=dictionary,
        subjects=Subjects(engine, dictionary),
        endings=Endings(ledger, grants),
        identity=identity,
        refused_tokens=RefusedTokens(ledger),
        alerts=alerts,
        holds=holds,
        hold_runs=HoldRuns(engine, ledger, holds, clock),
        containment=containment,
        alone=alone,
        delivery=delivery,
        follower=Follower(engine, alerts, partial(_tell, delivery, alone)),
        watchman=Watchman(engine, ledger, alerts, delivery.wake),
        counted=Counted(engine),
        checkpointer=Checkpointer(
            engine, ledger, key=settings.ledger_key, home=settings.home, name=settings.ledger_name
        ),
        witnessing=Witnessing(engine, ledger, settings.witnesses),
        metrics=Metrics(),
        clock=clock,
    )


def _tell(delivery: Delivery, alone: Alone, alert: Alert) -> None:
    delivery.wake(alert)
    alone.tell(alert)


def _identity(settings: Settings, clock: Callable[[], float]) -> Identity:
    try:
        return Identity(
            issuer=settings.oidc_issuer,
            audience=settings.oidc_audience,
            teams_claim=settings.teams_claim,
            attribute_claims=settings.attribute_claims,
            clock=clock,
        )
    except BadIssuer as wrong:
        raise BadSetting(f"`REMIT_OIDC_ISSUER`: {wrong}") from wrong
    except ValueError as wrong:
        raise BadSetting(f"`REMIT_ATTRIBUTE_CLAIMS`: {wrong}") from wrong


@contextmanager
def _database(settings: Settings) -> Iterator[Engine]:
    """An engine of the gateway's role, on the database that was given or the embedded one, kept running."""
    with ExitStack() as stack:
        url = settings.database_url
        if not url:
            embedded = stack.enter_context(Embedded.open(settings.home))
            migrate(embedded.url("owner"), GATEWAY)
            url = embedded.url("gateway")
            stack.enter_context(every_few_seconds(embedded.ensure_running))
        engine = engine_for(url)
        stack.callback(engine.dispose)
        check_fit(engine, embedded=not settings.database_url)
        yield engine


def _load(settings: Settings) -> Bundle:
    return load_bundle(settings.policies, settings.catalog, partial(look, folder=settings.catalog.parent))


def _watch_numbers(parts: Parts) -> None:
    gauge = parts.metrics.gauge
    gauge("remit_streams", "Streams that are running", lambda: len(parts.streams))
    gauge("remit_ends_waiting", "Ends of reads that could not be written yet", lambda: parts.endings.waiting)
    gauge("remit_follower_lag", "Entries that alerting has not seen", lambda: _count(parts.follower.following.lag))
    gauge("remit_alerting", "1 while alerting follows the ledger", lambda: parts.follower.following.last_error is None)
    gauge(
        "remit_checkpoint_lag", "Entries under no checkpoint yet", lambda: _count(parts.checkpointer.checkpointing.lag)
    )
    gauge("remit_signing", "1 while the ledger is signed", lambda: parts.checkpointer.checkpointing.is_well)
    gauge("remit_witness_wait", "Seconds that a checkpoint waits to count", lambda: parts.witnessing.standing.waiting)
    gauge("remit_witnesses_failing", "Witnesses that did not sign", lambda: len(parts.witnessing.standing.failing))
    watch_alerts(parts.metrics, parts.counted)
    gauge("remit_control_confirmed", "1 while the control epoch is known", lambda: parts.control.is_confirmed)


def _count(known: int | None) -> float:
    """NaN while nobody knows."""
    return math.nan if known is None else known
