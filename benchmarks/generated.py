"""Ledgers that were never lived: many entries as a year of reads leaves them, right in every hash, made in minutes."""

import random
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from conftest import Database

from audit.blocks import index
from audit.drafts import draft, stamp
from audit.entries import Entry, Kind
from audit.merkle import Frontier, leaf_hash

from .company import CATALOG, COLUMNS, DATASETS, DIGEST, POLICIES, PURPOSES, TEAMS
from .entries import AUTHORIZED
from .place import Place

GATEWAY = "generated"
PIECE = 16_384
"""Entries that one process makes and copies at a time; reads begin and end within one."""
FEW = 2
"""Pieces that are not worth the start of processes."""
MANY = 20
"""Pieces after which an index is made anew faster than kept."""
INDEX = "SELECT pg_get_indexdef('audit_entries_read'::regclass)"
BEGIN = datetime(2025, 1, 1, 8, tzinfo=UTC)
APART = timedelta(seconds=2)
MOMENT = 64
"""Entries that share a time, as those of one commit do."""
ACTORS, GRANTS = 400, 256
GRANT_PIECES = 6
"""Pieces for which grants live; then there are others."""
CODES = ["no_grant", "expired", "beyond_columns", "no_rule", "denied_by_rule", "beyond_rows", "beyond_budget"]
READ, ROWS = "r-" + 32 * "0", 9_876_543_210
"""What stands in a template for the id of a read and for a count of rows."""
COPY = "COPY audit_entries (seq, canonical, leaf) FROM STDIN (FORMAT BINARY)"
COPY_START, COPY_END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
BEFORE_TEXT, BEFORE_LEAF = struct.Struct(">hiqi"), struct.pack(">i", 32)
MOST_ROWS = 100_000
RARELY = 2_000
"""One entry in so many is of a kind that is hardly ever written."""


@dataclass(frozen=True, slots=True)
class Template:
    """An entry's canonical text in pieces: between them stand its time, its count of rows and the id of its read."""

    pieces: tuple[str, str, str, str]

    @classmethod
    def of(cls, entry: Entry) -> "Template":
        made = draft(entry, GATEWAY)
        middle, _, end = made.after.partition(READ)
        start, _, rest = middle.partition(str(ROWS))
        return cls((made.before, start, rest, end))

    def text(self, at: str, read: str, rows: int) -> bytes:
        """Canonical, as the ledger would have it."""
        before, start, rest, end = self.pieces
        if rest:
            return f"{before}{at}{start}{rows}{rest}{read}{end}".encode()
        return (f"{before}{at}{start}{read}{end}" if end else f"{before}{at}{start}").encode()


def time_of(seq: int) -> datetime:
    """When entry `seq` of a generated ledger was written; also the clock for entries that are appended after it."""
    return BEGIN + APART * (seq // MOMENT * MOMENT)


def ledger_of(place: Place, name: str, entries: int) -> Database:
    """A database of its own with `entries` entries, until the end of the run; `grow` makes it larger."""
    made = place.database(name)
    grow(made, entries)
    return made


def grow(database: Database, entries: int) -> None:
    """Adds what is missing to `entries`; the head, the open reads and alerting are as if each had been appended."""
    url = database.url("owner")
    with psycopg.connect(url) as session:
        size, frontier = session.execute("SELECT size, frontier FROM audit_head").fetchone() or (0, b"")
    tree = Frontier.unpacked(size, frontier)
    pieces = [(url, first, min(PIECE, entries - first + 1)) for first in range(size + 1, entries + 1, PIECE)]
    with _made_to_be_filled(url, is_worth_it=len(pieces) > MANY):
        for leaves in _copied(pieces):
            tree = tree.extended(leaves[at : at + 32] for at in range(0, len(leaves), 32))
    with psycopg.connect(url) as session:
        moved = (tree.size, tree.packed(), time_of(tree.size))
        session.execute("UPDATE audit_head SET size = %s, frontier = %s, at = %s", moved)
        session.execute("UPDATE alert_cursor SET seq = %s", (tree.size,))
    with psycopg.connect(url, autocommit=True) as session, ThreadPoolExecutor(1) as beside:
        session.execute("ANALYZE audit_entries")
        indexed = beside.submit(_index_all, database)
        session.execute("VACUUM audit_entries")
        indexed.result()
        session.execute("VACUUM (ANALYZE) audit_blocks")


def _index_all(database: Database) -> None:
    while index(database.engine()):
        pass


@contextmanager
def _made_to_be_filled(url: str, *, is_worth_it: bool) -> Iterator[None]:
    """Without the index whose pages every entry touches at random, and without being vacuumed meanwhile."""
    if not is_worth_it:
        yield
        return
    with psycopg.connect(url, autocommit=True) as session:
        (made,) = session.execute(INDEX).fetchone() or ("",)
        session.execute("DROP INDEX audit_entries_read")
        session.execute("ALTER TABLE audit_entries SET (autovacuum_enabled = off)")
        yield
        session.execute("SET maintenance_work_mem = '1GB'")
        session.execute(made)
        session.execute("ALTER TABLE audit_entries RESET (autovacuum_enabled)")


def _copied(pieces: Sequence[tuple[str, int, int]]) -> Iterator[bytes]:
    if len(pieces) <= FEW:
        yield from map(_copy_piece, pieces)
        return
    with ProcessPoolExecutor(2) as processes:
        yield from processes.map(_copy_piece, pieces)


def _copy_piece(piece: tuple[str, int, int]) -> bytes:
    """Makes and copies one piece; its leaves, one after the other."""
    url, first, count = piece
    texts = list(_texts(first, count))
    leaves = [leaf_hash(text) for text in texts]
    rows = [COPY_START]
    for seq, (text, leaf) in enumerate(zip(texts, leaves, strict=True), first):
        rows += (BEFORE_TEXT.pack(3, 8, seq, len(text)), text, BEFORE_LEAF, leaf)
    with psycopg.connect(url) as session:
        session.execute("SET LOCAL synchronous_commit = off")
        with session.cursor().copy(COPY) as copy:
            copy.write(b"".join((*rows, COPY_END)))
    return b"".join(leaves)


def _texts(first: int, count: int) -> Iterator[bytes]:
    """`count` entries from `first` on: reads with their ends, and among them all that else is written."""
    chance = random.Random(first)
    reads = [_read(n, first) for n in range(GRANTS)]
    refusals = [Template.of(_refusal(n)) for n in range(GRANTS)]
    looks = [Template.of(_look(n)) for n in range(8)]
    rare = [Template.of(entry) for entry in _rare(first)]
    begins = [Template.of(entry) for entry in _begins(first)]
    running: list[tuple[Template, str]] = []
    for seq in range(first, first + count):
        at, read, left = stamp(time_of(seq)), f"r-{chance.getrandbits(128):032x}", first + count - seq
        turn = chance.random()
        if begins:
            template = begins.pop(0)
        elif running and (left <= len(running) or turn < len(running) / 64):
            template, read = running.pop(chance.randrange(len(running)))
        elif turn > 1 - 1 / RARELY:
            template = chance.choice(rare)
        elif left <= len(running) + 1 or turn > 0.95:
            template = chance.choice(looks if turn > 0.98 else refusals)
        else:
            # The square: some grants are read under all day, others hardly ever.
            begin, end = reads[int(chance.random() ** 2 * GRANTS)]
            template = begin
            running.append((end, read))
        yield template.text(at, read, 1 + int(chance.random() * MOST_ROWS))


def _read(n: int, first: int) -> tuple[Template, Template]:
    """The two entries of a read under the `n`th grant of that time."""
    actor = actor_of(n, first)
    entry = Entry(
        Kind.READ_AUTHORIZED,
        actor=f"person-{actor}",
        teams=teams_of(actor),
        read=READ,
        dataset=f"dataset_{n % DATASETS}",
        purpose=PURPOSES[actor % len(PURPOSES)],
        grant=grant_of(n, first),
        digest=DIGEST,
        details=AUTHORIZED,
    )
    return Template.of(entry), Template.of(_with(entry, Kind.READ_COMPLETED, {"rows": ROWS, "ended_by": "end"}))


def teams_of(actor: int) -> tuple[str, ...]:
    """The teams of person number `actor`."""
    return tuple(sorted({TEAMS[actor % len(TEAMS)], TEAMS[actor % 4 * 10], f"site.s{actor % 7}"}))


def grant_of(n: int, first: int) -> str:
    """The id of the `n`th grant at the time of entry `first`; each lives for about 100,000 entries."""
    return f"g-20250101080000-{first // (GRANT_PIECES * PIECE):06x}{n:04x}"


def actor_of(n: int, first: int) -> int:
    """Whose the `n`th grant at the time of entry `first` is."""
    return (first // (GRANT_PIECES * PIECE) * 31 + n * n) % ACTORS


def _refusal(n: int) -> Entry:
    actor = n * 7 % ACTORS
    return Entry(
        Kind.READ_REFUSED if n % 3 else Kind.READ_CHECKED,
        actor=f"person-{actor}",
        teams=teams_of(actor),
        read=READ,
        dataset=f"dataset_{n % DATASETS}",
        purpose=PURPOSES[actor % len(PURPOSES)],
        code=CODES[n % len(CODES)],
        excess="beyond" if n % 3 else None,
        digest=DIGEST,
        details={"asked": "keys", "declared": "x, y", "rules": []},
    )


def _look(n: int) -> Entry:
    asked = {"searched": {"actor": f"person-{n}"}}
    return Entry(
        Kind.AUDIT_READ,
        actor=f"security-{n}",
        teams=("security",),
        dataset="remit.audit",
        purpose="oversight",
        digest=DIGEST,
        details={"asked": asked, "rules": ["trail"]},
    )


def _begins(first: int) -> Iterator[Entry]:
    """What a ledger begins with, and the grants with which a time of grants does."""
    if first == 1:
        yield _rare(first)[0]
    if first % (GRANT_PIECES * PIECE) == 1:
        yield from (_granted(n, first) for n in range(GRANTS))


def _granted(n: int, first: int) -> Entry:
    actor = actor_of(n, first)
    scope = {
        "principal": f"person-{actor}",
        "purpose": PURPOSES[actor % len(PURPOSES)],
        "starts": stamp(time_of(first)),
        "ends": stamp(time_of(first + GRANT_PIECES * PIECE)),
        "justification": "it is needed",
        "datasets": {f"dataset_{n % DATASETS}": {"columns": list(COLUMNS)}},
    }
    return Entry(
        Kind.GRANT_ADDED,
        "eve",
        ("administration",),
        grant=grant_of(n, first),
        purpose=PURPOSES[actor % len(PURPOSES)],
        digest=DIGEST,
        details={"scope": scope},
    )


def _rare(first: int) -> Sequence[Entry]:
    eve, bundle = ("administration",), {"policies": POLICIES, "catalog": CATALOG}
    pause = {"pause": f"p-{first}", "what": "team", "target": "sales", "reason": "an incident"}
    return (
        Entry(Kind.POLICY_ACTIVATED, "remit", digest=DIGEST, details=bundle),
        _granted(0, first),
        Entry(Kind.GRANT_REVOKED, "eve", eve, grant=f"g-{first}-revoked", purpose=PURPOSES[1], details={"why": "done"}),
        Entry(Kind.IDENTITY_REFUSED, "unknown", code="bad_token", details={"address": "192.0.2.1"}),
        Entry(Kind.PAUSE_SET, "olga", ("on_call",), details=pause),
        Entry(Kind.ALERT_RAISED, "remit", dataset="dataset_1", code="no_rule", details={"severity": "SEV4"}),
    )


def _with(entry: Entry, kind: Kind, details: dict[str, str | int]) -> Entry:
    return Entry(
        kind, entry.actor, entry.teams, entry.read, entry.dataset, entry.purpose, entry.grant, digest=DIGEST,
        details=details,
    )  # fmt: skip
