"""Everything is put together here, and nowhere else."""

import math
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial

import structlog
from sqlalchemy import Engine

from audit.alerts import Alerts
from audit.blocks import index as index_blocks
from audit.checkpointer import Checkpointer
from audit.delivery import BadAlertUrl, Delivery
from audit.engines import engine_for
from audit.follower import Follower
from audit.ledger import Ledger
from audit.postgres import GATEWAY, Embedded
from audit.schema import check_fit, migrate
from audit.witnessing import Witnessing
from authz.bundles import BundleStore
from authz.control import Control, Watch
from authz.dictionary import Dictionary
from authz.endings import Endings
from authz.grants import GrantStore
from authz.guard import Guard
from authz.identity import Identity
from authz.issuer import BadIssuer
from authz.keys import Keys
from authz.oversight import Oversight
from authz.pauses import PauseStore
from authz.reader import Reader
from authz.records import Records
from authz.refused_tokens import RefusedTokens
from authz.stores import look
from authz.subjects import Subjects
from policy.bundle import Bundle, load_bundle

from .metrics import Metrics
from .parts import Parts
from .settings import BadSetting, Settings
from .stores import ACTOR, report_stores

log = structlog.get_logger()

EVERY = 2.0
"""Seconds between two rounds of upkeep."""


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


@contextmanager
def started(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Iterator[Parts]:
    """A gateway that runs until the end of the `with`; everything it started is stopped, last first.

    Raises `BadSetting`, `MisreadAll` (files), `DatabaseUnfit` or `KeysUnfit` where it must not start.
    """
    identity = _identity(settings)
    bundle = _load(settings)
    with ExitStack() as stack:
        delivery = _delivery(settings)
        stack.callback(delivery.close)
        engine = stack.enter_context(_database(settings))
        instance = f"{socket.gethostname()}-{secrets.token_hex(6)}"
        ledger = Ledger(engine, gateway=instance, clock=clock)
        stack.callback(ledger.close)
        log.info("orphan_reads_closed", reads=len(ledger.close_orphans()))
        parts = _parts(settings, clock, engine, ledger, instance, identity, bundle, delivery)
        stack.callback(parts.reader.close)
        parts.control.activate(bundle, actor=ACTOR)
        report_stores(ledger, bundle, settings.catalog.parent)
        _watch_numbers(parts)
        stack.callback(parts.refused_tokens.sweep, all=True)
        for part in (parts.endings, parts.follower, parts.checkpointer, parts.witnessing, parts.watch):
            stack.enter_context(part)
        stack.callback(parts.streams.stop)
        stack.enter_context(_every_few_seconds(parts.refused_tokens.sweep))
        stack.enter_context(_every_few_seconds(partial(index_blocks, engine)))
        yield parts


def _parts(
    settings: Settings,
    clock: Callable[[], datetime],
    engine: Engine,
    ledger: Ledger,
    instance: str,
    identity: Identity,
    bundle: Bundle,
    delivery: Delivery,
) -> Parts:
    keys = Keys.open(settings.home)
    pauses = PauseStore(engine, ledger)
    grants = GrantStore(engine, ledger)
    control = Control(ledger, pauses, BundleStore(engine), partial(_load, settings), bundle)
    records = Records(keys.of_literals())
    dictionary = Dictionary(engine, ledger)
    alerts = Alerts(engine, ledger, clock=clock)
    return Parts(
        settings=settings,
        engine=engine,
        ledger=ledger,
        control=control,
        watch=Watch(control, engine, instance),
        grants=grants,
        pauses=pauses,
        guard=Guard(control=control, grants=grants, ledger=ledger, records=records, clock=clock),
        records=records,
        oversight=Oversight(control, ledger),
        reader=Reader(catalog_folder=settings.catalog.parent, keys=keys),
        dictionary=dictionary,
        subjects=Subjects(engine, dictionary),
        endings=Endings(ledger, grants),
        identity=identity,
        refused_tokens=RefusedTokens(ledger),
        alerts=alerts,
        follower=Follower(engine, alerts, delivery.send),
        checkpointer=Checkpointer(
            engine, ledger, key=settings.ledger_key, home=settings.home, name=settings.ledger_name
        ),
        witnessing=Witnessing(engine, ledger, settings.witnesses),
        metrics=Metrics(),
        clock=clock,
    )


def _delivery(settings: Settings) -> Delivery:
    try:
        return Delivery(settings.alert_urls)
    except BadAlertUrl as wrong:
        raise BadSetting(f"`REMIT_ALERT_URLS`: {wrong}") from wrong


def _identity(settings: Settings) -> Identity:
    try:
        return Identity(
            issuer=settings.oidc_issuer,
            audience=settings.oidc_audience,
            teams_claim=settings.teams_claim,
            attribute_claims=settings.attribute_claims,
            clock=time.time,
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
            stack.enter_context(_every_few_seconds(embedded.ensure_running))
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
    gauge("remit_control_confirmed", "1 while the control epoch is known", lambda: parts.control.is_confirmed)


def _count(known: int | None) -> float:
    """NaN while nobody knows."""
    return math.nan if known is None else known


@contextmanager
def _every_few_seconds(work: Callable[[], object]) -> Iterator[None]:
    """Does `work` in a thread until the end of the `with`; whatever goes wrong is logged and tried again."""
    stopping = threading.Event()

    def run() -> None:
        while not stopping.wait(EVERY):
            try:
                work()
            except Exception as fault:  # noqa: BLE001  # upkeep that dies of one fault would not be there for the next
                log.warning("upkeep_failed", fault=type(fault).__name__)

    thread = threading.Thread(target=run, name="upkeep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
