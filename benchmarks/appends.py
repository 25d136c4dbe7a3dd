"""Appends: what 64 callers get written durably, against each on its own, against a chain, and without the hashing."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256

import psycopg
from conftest import Database

from audit import head
from audit.ledger import Ledger
from audit.merkle import Frontier
from gateway.wiring import utc_now

from .contest import Contest, Goal, Measure, crowd
from .entries import a_read, a_read_as_text
from .place import Place
from .scale import Scale

CAUSE = (
    "One half of 64 callers waits while a batch of the other 32 is written, in one round trip. PostgreSQL needs 0.9 ms "
    "for it and then the disk, and only one batch at a time may follow the head. Here an entry costs 38 to 55 µs of "
    "the one interpreter: 8 making its text, 6 sealing, hashing and packing it, the rest is two changes of threads"
)
INSERT = "INSERT INTO audit_entries (seq, canonical, leaf) VALUES (%s, %s, %s)"
CHAIN = "CREATE TABLE chain_end AS SELECT 0::bigint AS seq, decode(repeat('00', 32), 'hex') AS leaf"
LAST = "SELECT seq, leaf FROM chain_end FOR UPDATE"
LINK = "UPDATE chain_end SET seq = %s, leaf = %s"
LEAF = bytes(32)

Connection = psycopg.Connection[tuple[int, bytes]]


def contests(place: Place, scale: Scale) -> Iterator[Contest]:
    """Three, each on databases of their own with the real schema."""
    callers = f"{scale.callers} callers"
    ledger = ledger_on(place, place.database("appends"))
    ours = appending(ledger, scale)
    chain = _sessions(place, "chain", scale)
    chain[0].execute(CHAIN)
    yield Contest(
        what=f"durable appends, {callers}",
        against=f"single-row inserts into the same table, same driver, {scale.callers} connections",
        goal=Goal("speed", 3),
        unit="entries",
        how="both entries of a read, one after the other, from each caller; the opponent's are made and hashed "
        "beforehand, have ready numbers, and no open reads to keep",
        cause=CAUSE,
        ours=ours,
        theirs=_crowd_of(_inserter, _sessions(place, "inserts", scale), scale),
    )
    yield Contest(
        what=f"durable appends, {callers}",
        against="a hash chain that locks its last row",
        goal=Goal("speed", 50),
        unit="entries",
        how="the same; the opponent's last link is a row of its own that it locks, hashes onto, moves and commits: to "
        "lock the last entry itself, and to try again where another was faster, is four times slower still",
        cause=CAUSE,
        ours=ours,
        theirs=_crowd_of(_chainer, chain, scale),
    )
    hashed, unhashed = (appending(ledger_on(place, place.database(name)), scale) for name in ("hashed", "unhashed"))

    def without_hashing() -> float:
        with _hashing_left_out():
            return unhashed()

    yield Contest(
        what="appends with hashing",
        against="the same path without",
        goal=Goal("time", 1.05),
        unit="entries",
        how="ledgers that begin empty, both; the opponent's leaves and subtrees are zeros that nobody computes",
        cause="Hashing an entry and growing the tree take 1.6 µs of the one interpreter, of some 75 that an entry "
        "takes with 64 callers; the rest is how callers and batches happen to meet",
        ours=hashed,
        theirs=without_hashing,
    )


def ledger_on(place: Place, database: Database) -> Ledger:
    """A gateway's ledger, until the end of the run."""
    ledger = Ledger(database.engine(), gateway=f"bench-{database.name}", clock=utc_now)
    place.stack.callback(ledger.close)
    return ledger


def appending(ledger: Ledger, scale: Scale) -> Measure:
    """Both entries of a read from each caller, again and again."""

    def read() -> int:
        for entry in a_read():
            ledger.append(entry)
        return 2

    return lambda: crowd([read] * scale.callers, scale.seconds)


def _sessions(place: Place, name: str, scale: Scale) -> Sequence[Connection]:
    """As the owner, who may make a table for the chain. Each statement commits itself."""
    url = place.database(name).url("owner")
    return [place.stack.enter_context(psycopg.connect(url, autocommit=True)) for _ in range(scale.callers)]


def _crowd_of(
    maker: Callable[[Connection, Iterator[int]], Callable[[], int]], sessions: Sequence[Connection], scale: Scale
) -> Measure:
    numbers = itertools.count(1)
    works = [maker(session, numbers) for session in sessions]
    return lambda: crowd(works, scale.seconds)


def _inserter(session: Connection, numbers: Iterator[int]) -> Callable[[], int]:
    texts = itertools.cycle([text for _ in range(500) for text in a_read_as_text()])

    def insert() -> int:
        session.execute(INSERT, (next(numbers), next(texts), LEAF), prepare=True)
        return 1

    return insert


def _chainer(session: Connection, _: Iterator[int]) -> Callable[[], int]:
    texts = itertools.cycle([text for _ in range(500) for text in a_read_as_text()])

    def append() -> int:
        text = next(texts)
        with session.transaction():
            seq, leaf = session.execute(LAST, prepare=True).fetchone() or (0, LEAF)
            linked = sha256(leaf + text.encode()).digest()
            session.execute(INSERT, (seq + 1, text, linked), prepare=True)
            session.execute(LINK, (seq + 1, linked), prepare=True)
        return 1

    return append


class _Unhashed(Frontier):
    """A tree of zeros, of the right size."""

    def extended(self, leaves: Sequence[bytes]) -> "_Unhashed":  # type: ignore[override]  # the head gives a list
        size = self.size + len(leaves)
        return _Unhashed(size, (LEAF,) * size.bit_count())


@contextmanager
def _hashing_left_out() -> Iterator[None]:
    real = head.leaf_hash, head.Frontier
    head.leaf_hash, head.Frontier = (lambda _: LEAF), _Unhashed
    try:
        yield
    finally:
        head.leaf_hash, head.Frontier = real
