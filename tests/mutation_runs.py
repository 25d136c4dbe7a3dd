"""Ten thousand changed ledgers, each of which somebody has to find, and a thousand that nobody touched.

Each change is written to a real database, looked at by verification as anybody runs it, and taken back.
"""

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from ledgers import WITNESS, Grown, Shape, grown
from mutations import KINDS, By, Insider, Kind
from tampering import COLUMNS, Hand, Tables

from audit.errors import NotReadable
from audit.notes import Note, Verifier
from audit.postgres import GATEWAY, Embedded
from audit.restored import Outcome, Seen, compare
from audit.schema import migrate
from audit.spans import Problem
from audit.verify import verify, verify_on

TEMPLATE = "remit_template"
SHAPES = (
    Shape(300, tail=4),
    Shape(24, looks=4, tail=2),
    Shape(530, gateways=2, tail=1),
    Shape(280, rotations=2, tail=3),
)
EDGES = (0, 1, 2, 3, 254, 255, 256, 257, 258, 511, 512, 513, 600)
"""Sizes around which something in the tree begins or ends."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the databases are made: as owner, as the gateway, and a folder for keys and witnesses."""

    owner: str
    gateway: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Job:
    """Mutations of one ledger: of each kind its share of `count`, the `part`-th of `parts`; or, without, none."""

    place: Place
    name: str
    shape: Shape
    count: int = 0


@dataclass(frozen=True, slots=True)
class Looker:
    """Looks at the ledger at `url` with what others know of it, over a session that is kept: a new one costs more."""

    url: str
    keys: Sequence[Verifier]
    noted: Sequence[Verifier]
    seen: Note
    session: psycopg.Connection[Any]

    @classmethod
    @contextmanager
    def at(cls, url: str, ledger: Grown) -> "Iterator[Looker]":
        with psycopg.connect(url) as session:
            yield cls(url, ledger.keys, ledger.noted, ledger.seen(), session)

    def found_by(self) -> By:
        """Who finds what is wrong: whoever only verifies, who noted the first keys, who asks the witness."""
        if self._problems():
            return By.VERIFY
        if self._problems(self.noted):
            return By.KEY
        outcome = compare(self.url, Seen.of(self.seen, [WITNESS.verifier])).outcome
        has_other = outcome in (Outcome.LOST, Outcome.FORKED)
        wrong = self._problems(self.keys, str(self.seen))
        assert has_other is bool(wrong), f"two ways to ask the witness, two answers: {outcome}, {wrong}"
        return By.WITNESS if has_other else By.NOBODY

    def _problems(self, keys: Sequence[Verifier] = (), since: str = "") -> tuple[Problem, ...]:
        try:
            verdict = verify_on(self.session, self.url, keys=keys, since=since)
        except NotReadable as fault:
            return (Problem(0, str(fault)),)  # nobody takes that for whole
        assert (verdict.integrity and verdict.completeness) is not bool(verdict.problems)
        return verdict.problems


def mutated(job: Job) -> Counter[tuple[str, By]]:
    """How many mutations of each kind were found, by whom. Raises where one was found by others than it says."""
    counted = Counter[tuple[str, By]]()
    url = job.place.owner
    with _made(job) as ledger, psycopg.connect(url) as session, Looker.at(url, ledger) as looker:
        hand = Hand(session)
        state = hand.before
        assert looker.found_by() is By.NOBODY, "an untouched ledger"
        insider = Insider(random.Random(job.shape.seed), tuple(ledger.signers))
        for kind in KINDS:
            for changed in islice(kind.made(state, insider), -(-kind.share * job.count // 10_000)):
                if changed == state:
                    continue
                hand.change(state, changed)
                found = looker.found_by()
                assert found is kind.found_by, _told(kind, found, job, state, changed)
                hand.change(changed, state)
                counted[kind.name, found] += 1
            print(f"{job.name}: {counted.total()} changes, up to `{kind.name}`", file=sys.stderr, flush=True)
        assert hand.read() == state
        assert looker.found_by() is By.NOBODY, "a ledger that was put back"
    return counted


def untouched(job: Job) -> int:
    """1 where nobody finds anything; raises where somebody does."""
    with _made(job) as ledger:
        if job.shape.size == 0:
            assert verify(job.place.owner).problems == ()
            return 1
        with Looker.at(job.place.owner, ledger) as looker:
            found = looker.found_by()
        assert found is By.NOBODY, (job.shape, found, verify(job.place.owner).problems)
    return 1


def _followed(left: Iterator[int]) -> Iterator[int]:
    for number, quiet in enumerate(left, 1):
        yield quiet
        if number % 50 == 0:
            print(f"{number} untouched ledgers", file=sys.stderr, flush=True)


def _told(kind: Kind, found: By, job: Job, state: Tables, changed: Tables) -> str:
    """What was done, so that it can be done again."""
    lines = [f"`{kind.name}` is to be found by {kind.found_by}, and was by {found}: {job.shape}"]
    for table in COLUMNS:
        gone, come = (
            set(state.rows(table)) - set(changed.rows(table)),
            set(changed.rows(table)) - set(state.rows(table)),
        )
        lines += [f"  - {table} {row}"[:400] for row in sorted(gone)[:5]]
        lines += [f"  + {table} {row}"[:400] for row in sorted(come)[:5]]
    return "\n".join(lines)


@contextmanager
def _made(job: Job) -> Iterator[Grown]:
    """A ledger in a database of its own, which goes with it."""
    with psycopg.connect(_named(job.place.owner, "postgres"), autocommit=True) as session:
        session.execute(f"CREATE DATABASE {job.name} TEMPLATE {TEMPLATE}")
    folder = job.place.folder / job.name
    with grown(job.place.gateway, folder, job.shape) as ledger:
        yield ledger
    with psycopg.connect(_named(job.place.owner, "postgres"), autocommit=True) as session:
        session.execute(f"DROP DATABASE {job.name} WITH (FORCE)")


def shapes(count: int, seed: int) -> list[Shape]:
    """That many different ledgers, many of them around a size where something begins."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        size = chance.choice(EDGES) if number % 3 else chance.randrange(700)
        is_long = size > 60
        made.append(
            Shape(
                size,
                gateways=chance.choice((1, 1, 2, 3)) if is_long else 1,
                rotations=chance.choice((0, 0, 1, 2)) if is_long else 0,
                restarts=chance.choice((0, 0, 1, 2)) if is_long else 0,
                looks=chance.randrange(5, 12) if is_long else 3,
                tail=chance.choice((0, 0, 1, 3)) if is_long else 0,
                seed=seed + number,
            )
        )
    return made


def jobs(place: Place, count: int, seed: int) -> list[Job]:
    """`count` mutations, of ledgers of every shape."""
    each = -(-count // len(SHAPES))
    return [
        _job(place, f"mutated_{number}", Shape(**_fields(shape) | {"seed": seed + number}), each)
        for number, shape in enumerate(SHAPES)
    ]


def _fields(shape: Shape) -> dict[str, int]:
    return {name: getattr(shape, name) for name in shape.__slots__}


def _job(place: Place, name: str, shape: Shape, count: int = 0) -> Job:
    return Job(Place(_named(place.owner, name), _named(place.gateway, name), place.folder), name, shape, count)


def _named(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def run(mutations: int, ledgers: int, seed: int, processes: int = 2) -> str:
    """All of it on a PostgreSQL of its own; what was found, in one line."""
    with (
        tempfile.TemporaryDirectory(prefix="remit-mutations-") as made,
        _server(Path(made)) as place,
        ProcessPoolExecutor(processes, get_context("spawn")) as pool,
    ):
        wanted = [_job(place, f"untouched_{number}", shape) for number, shape in enumerate(shapes(ledgers, seed))]
        running = [pool.submit(mutated, job) for job in jobs(place, mutations, seed)]
        try:
            left = pool.map(untouched, wanted)
            counted = sum((each.result() for each in running), Counter[tuple[str, By]]())
            quiet = sum(_followed(left))
        finally:
            pool.shutdown(cancel_futures=True)  # what was found is said now, not after all the others
    found = {by: sum(made for (_, who), made in counted.items() if who is by) for by in By}
    told = ", ".join(f"{name} {made:,}" for (name, _), made in sorted(counted.items()))
    return (
        f"{sum(found.values()) - found[By.NOBODY]:,} changes to ledgers, seed {seed}, each found: "
        f"{found[By.VERIFY]:,} by {By.VERIFY}, {found[By.KEY]:,} only by {By.KEY}, "
        f"{found[By.WITNESS]:,} only by {By.WITNESS}; "
        f"{found[By.NOBODY]:,} that are not promised, found by nobody, as SECURITY.md says; "
        f"{quiet:,} untouched ledgers, 0 alarms ({told})"
    )


@contextmanager
def _server(folder: Path) -> Iterator[Place]:
    folder.chmod(0o711)  # an account of PostgreSQL's own has to get through, where root runs this
    with Embedded.open(folder / "home") as server:
        with psycopg.connect(_named(server.url("owner"), "postgres"), autocommit=True) as session:
            # Nothing here is about power cuts, and a thousand databases come and go.
            for setting in ("checkpoint_timeout = '1d'", "max_wal_size = '50GB'", "fsync = off"):
                session.execute(f"ALTER SYSTEM SET {setting}")
            session.execute("SELECT pg_reload_conf()")
            session.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(_named(server.url("owner"), TEMPLATE), GATEWAY)
        yield Place(server.url("owner"), server.url("gateway"), folder)


if __name__ == "__main__":
    mutations, ledgers, *seed = map(int, sys.argv[1:])
    print(run(mutations, ledgers, *seed or [1]))
