"""How cost grows: with rules, callers, datasets, grants and entries. A read's must not with the last three."""

import itertools
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

import psycopg
from conftest import Database
from service import make_data, scope_of

from audit.ledger import Ledger
from authz.control import Control
from authz.gate import Gate
from authz.grants import GrantStore
from authz.guard import Guard
from authz.holds import Holds
from authz.in_force import InForceStore
from authz.looks import look
from authz.pauses import PauseStore
from authz.permit import Permit
from authz.records import Records
from policy.bundle import Bundle, load_bundle
from policy.engine import Engine
from policy.values import ReadRequest

from .appends import ledger_on
from .contest import crowd
from .decisions import asking, policies_of, questions_of
from .entries import a_read
from .gateways import ANA, gateway
from .generated import grow, time_of
from .place import Place
from .proofs import proving, sign_all
from .questions import Asked, ask_all
from .reports import reporting_seconds
from .scale import Scale
from .small_reads import client

ROUNDS = 3
REPORT = "an exposure report"
ENDED, STARTED, ENDS = "2025-06-01T00:00:00Z", "2024-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
DATASET = """
[datasets.more{n}]
owner = "collection.mci"
store = "files"
location = "data/events/*.parquet"
subject = "who"
audience = [{{ team = "research.ml", purpose = "train_ai_system" }}]
[datasets.more{n}.columns]
who = "user.unique_id"
x = "user.behavior.pointer"
"""
# One in ten is the reader's team's and has ended; the others are other people's, on the same dataset.
MANY_GRANTS = """
    WITH one AS (
        SELECT 'g-2' || lpad(n::text, 12, '0') AS id, n %% 10 = 0 AS is_ours, CAST(%(scope)s AS jsonb) AS scope,
            CASE WHEN n %% 10 = 0 THEN CAST(%(ended)s AS timestamptz) ELSE %(ends)s END AS ends
        FROM generate_series(%(first)s::bigint, %(last)s) AS numbers (n)
    ), added AS (
        INSERT INTO grants (id, scope, status, principal, team, added_by, added_at, ends)
        SELECT id, scope || jsonb_build_object('ends', ends), 'active', CASE WHEN NOT is_ours THEN 'p' || id END,
            CASE WHEN is_ours THEN 'research.ml' END, 'eve', now(), ends FROM one
        RETURNING id, principal, team, ends
    )
    INSERT INTO grant_datasets SELECT id, 'events', principal, team, ends FROM added
"""


@dataclass(frozen=True, slots=True)
class Extent:
    """How far each line goes."""

    rules: tuple[int, ...]
    callers: tuple[int, ...]
    datasets: tuple[int, ...]
    grants: tuple[int, ...]
    entries: tuple[int, ...]
    times: int


FULL = Extent(
    rules=(10, 1_000, 100_000),
    callers=(1, 8, 64, 256),
    datasets=(1, 10, 100),
    grants=(1, 10_000, 1_000_000),
    entries=(10_000, 100_000, 1_000_000, 10_000_000),
    times=300,
)
TINY = Extent(rules=(10, 100), callers=(1, 4), datasets=(1, 3), grants=(1, 100), entries=(5_000, 9_000), times=10)


@dataclass(frozen=True, slots=True)
class Curve:
    """What was measured at each x; `panel` is the picture it belongs to, `unit` that of the y."""

    panel: str
    label: str
    over: str
    unit: str
    points: tuple[tuple[int, float], ...]


def steps(
    place: Place, extent: Extent, scale: Scale, asked: list[Asked]
) -> Mapping[str, Callable[[], Iterable[Curve]]]:
    """What is to be measured, by its name. Databases stay until the end of the run; `asked` is of the most entries."""
    return {
        "rules": partial(_decisions, extent, scale),
        "callers": partial(_callers, place, extent, scale),
        "datasets": partial(_datasets, place, extent),
        "grants": partial(_grants, place, extent),
        "entries": partial(_entries, place, extent, asked),
    }


def _decisions(extent: Extent, scale: Scale) -> Iterator[Curve]:
    for label, remembered, share in (("warm", None, 4), ("memo off", 0, 160)):
        points = []
        for rules in extent.rules:
            policies, asked = policies_of(rules), questions_of(rules)
            engine = Engine(policies) if remembered is None else Engine(policies, remembered=remembered)
            ask = asking(engine, asked, scale.decisions // share)
            points.append((rules, _median(ask) * 1e6))
        yield Curve("a decision", label, "rules", "µs", tuple(points))


def _callers(place: Place, extent: Extent, scale: Scale) -> Iterator[Curve]:
    ledger = ledger_on(place, place.database("growing_callers"))

    def append() -> int:
        for entry in a_read():
            ledger.append(entry)
        return 2

    points = [(n, 1 / _median(partial(crowd, [append] * n, scale.seconds))) for n in extent.callers]
    yield Curve("durable appends", "entries", "callers", "/s", tuple(points))
    with gateway(place, "growing_reads", scale) as service:
        points = []
        for n in extent.callers:
            works = [client(service) for _ in range(n)]
            points.append((n, 1 / _median(partial(crowd, works, scale.seconds))))
        yield Curve("small audited reads", "reads", "callers", "/s", tuple(points))


def _datasets(place: Place, extent: Extent) -> Iterator[Curve]:
    points = []
    for n in extent.datasets:
        with _guarded(place.database(f"growing_datasets_{n}"), bundle_of(place, n)) as guard:
            points.append((n, _authorising(guard, extent.times)))
    yield Curve("authorising a read", "datasets", "datasets", "ms", tuple(points))


def _grants(place: Place, extent: Extent) -> Iterator[Curve]:
    database, bundle, points = place.database("growing_grants"), bundle_of(place, 1), []
    for before, n in itertools.pairwise((1, *extent.grants)):
        with psycopg.connect(database.url("owner")) as session:
            scope = {name: value for name, value in _scope().items() if name != "principal"}
            times = {"ended": ENDED, "ends": ENDS, "first": before + 1, "last": n}
            session.execute(MANY_GRANTS, {"scope": json.dumps(scope | {"team": "research.ml"}), **times})
            session.execute("ANALYZE grants, grant_datasets")
        with _guarded(database, bundle) as guard:
            points.append((n, _authorising(guard, extent.times)))
    yield Curve("authorising a read", "grants", "grants", "ms", tuple(points))


def _entries(place: Place, extent: Extent, asked: list[Asked]) -> Iterator[Curve]:
    """Where it does not get to the most entries, what was measured before is told all the same."""
    database, bundle = place.database("growing_entries"), bundle_of(place, 1)
    points = defaultdict[tuple[str, str], list[tuple[int, float]]](list)
    try:
        for n in extent.entries:
            started = time.monotonic()
            grow(database, n)
            sign_all(database)
            print(f"    {n:,} entries made in {time.monotonic() - started:.0f} s", flush=True)
            answered = ask_all(database, n)
            times = sorted(each.milliseconds for each in answered)
            appended, authorised = writing(database, bundle, n, extent.times)
            points["writing to the ledger", "append alone"].append((n, appended))
            points["authorising a read", "entries"].append((n, authorised))
            points["searching the trail", "the slowest question"].append((n, times[-1]))
            points["searching the trail", "the median question"].append((n, median(times)))
            points["proving an entry", "a proof, checked"].append((n, proving(database, n, extent.times)))
            points[REPORT, "of all the time"].append((n, reporting_seconds(database, n)))
            asked[:] = answered
    finally:
        for (panel, label), along in points.items():
            yield Curve(panel, label, "entries", "s" if panel == REPORT else "ms", tuple(along))


def writing(database: Database, bundle: Bundle, entries: int, times: int) -> tuple[float, float]:
    """Milliseconds that an append and an authorisation take, each on its own; as of the time of the last entry."""
    now = time_of(entries)
    with _guarded(database, bundle, lambda: now) as guard:
        authorised = _authorising(guard, times)
        ledger = Ledger(database.engine(), gateway=f"bench-appends-{entries}", clock=lambda: now)
        endless = itertools.cycle(a_read())
        appended = _each(lambda: ledger.append(next(endless)), times) * 1e3
        ledger.close()
    return appended, authorised


def bundle_of(place: Place, datasets: int) -> Bundle:
    """The tests' bundle with more datasets, which lie in the same file."""
    folder = place.folder / f"bundle-{datasets}"
    if not folder.exists():
        folder.mkdir(mode=0o700)
        make_data(folder)
        with (folder / "catalog.toml").open("a") as catalog:
            catalog.writelines(DATASET.format(n=n) for n in range(1, datasets))
    return load_bundle(folder / "policies.conf", folder / "catalog.toml", partial(look, folder=folder))


def _scope() -> dict[str, object]:
    return scope_of(columns=["at", "x"], starts=STARTED, ends=ENDS)


@contextmanager
def _guarded(database: Database, bundle: Bundle, clock: Callable[[], datetime] | None = None) -> Iterator[Guard]:
    """A guard on `database` with one grant to ana; what it left open is closed in the end."""
    now = clock or (lambda: datetime.now(UTC))
    engine, gateway_name = database.engine(), f"bench-{database.name}-{time.monotonic_ns()}"
    ledger = Ledger(engine, gateway=gateway_name, clock=now)
    pauses, grants = PauseStore(engine, ledger), GrantStore(engine, ledger)
    gate = Gate(engine, ledger, Holds(engine, grants), pauses, now)
    control = Control(ledger, InForceStore(engine), lambda: bundle, bundle, gate)
    control.activate(bundle, actor="bench")
    with psycopg.connect(database.url("owner")) as session:
        one = {"id": "g-1", "scope": json.dumps(_scope()), "ends": ENDS}
        session.execute(
            "INSERT INTO grants (id, scope, status, principal, added_by, added_at, ends)"
            " VALUES (%(id)s, %(scope)s, 'active', 'ana', 'eve', now(), %(ends)s) ON CONFLICT DO NOTHING",
            one,
        )
        session.execute(
            "INSERT INTO grant_datasets VALUES (%(id)s, 'events', 'ana', NULL, %(ends)s) ON CONFLICT DO NOTHING", one
        )
    yield Guard(control=control, grants=grants, ledger=ledger, records=Records(bytes(32)), clock=now)
    ledger.close()
    closer = Ledger(engine, gateway=f"{gateway_name}-closer", clock=now)
    closer.close_orphans(closer.missing())
    closer.close()


def _authorising(guard: Guard, times: int) -> float:
    """Milliseconds that it takes to authorise a read, one after the other."""
    request = ReadRequest("events", columns=("at", "x"), rows="x < 10")

    def authorise() -> None:
        assert isinstance(guard.authorize(request, ANA), Permit)

    return _each(authorise, times) * 1e3


def _each(work: Callable[[], object], times: int) -> float:
    """The median of the seconds that `work` takes, once it has warmed up."""
    taken = []
    for _ in range(times + times // 10):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return median(taken[times // 10 :])


def _median(measure: Callable[[], float]) -> float:
    measure()
    return median(measure() for _ in range(ROUNDS))


def write(
    folder: Path, curves: Sequence[Curve], asked: Sequence[Asked], facts: Mapping[str, str], failed: Mapping[str, str]
) -> None:
    """Writes `growth.json`."""
    document = {
        "machine": dict(facts),
        "curves": [asdict(curve) for curve in curves],
        "questions": [asdict(each) for each in asked],
        "failed": dict(failed),
    }
    (folder / "growth.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
