"""Recompute the ledger from its raw rows, here: nothing is believed that the database or a gateway says of itself.

Integrity is that nothing changed since it was written: the sequence has no gap, each leaf is the hash of its entry, the
searched document is the hashed one, time never runs back, stored tree and head are those of the entries, and each
checkpoint is the tree's and signed. Completeness is that nothing is missing, and that what the entries say fits
together (see `replay`). Whoever can rewrite all of it, keys included, is found by a checkpoint that somebody else kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg

from .checkpoints import BY_INDEX, Signed
from .engines import settings_of
from .errors import BadNote, NotProven, NotReadable
from .head import Session
from .instances import held_locks, lock_key
from .joining import Joined, Start
from .notes import SIGNED, Checkpoint, Note, Verifier
from .spans import SPAN, Problem, Task
from .tilestore import StoredTree
from .wording import parsed
from .workers import Work, read_spans

HEAD = "SELECT size, frontier FROM audit_head"
KEYS = "SELECT DISTINCT vkey FROM audit_keys"
# Two stretches of the index: with OR it would be all of it.
BEYOND = """
    SELECT min(seq), max(seq), count(*) FROM (
        SELECT seq FROM audit_entries WHERE seq < 1 UNION ALL SELECT seq FROM audit_entries WHERE seq > %s
    ) AS beyond
"""
TEXT = "SELECT canonical FROM audit_entries WHERE seq = %s"
JUST_NOW = timedelta(minutes=1)
Progress = Callable[[int, int], None]
"""Called with the entries that were looked at, and how many there are."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`size` entries under `root` (32 bytes, recomputed; empty where an entry is missing), and every problem in order.

    `signed` is the size of the newest checkpoint that a trusted key, `by`, signed; `is_key_given` says whether that key
    came from the verifier, or only from the ledger itself. `witnessed` has that size for each witness whose key was
    given. `origin` is the ledger's name, as it says itself, and `unsigned_since` the time that the first entry after
    `signed` says of itself; None where there is none, or it says none.
    """

    size: int
    root: bytes
    problems: tuple[Problem, ...]
    integrity: bool
    completeness: bool
    signed: int = 0
    by: str = ""
    is_key_given: bool = False
    origin: str = ""
    witnessed: Mapping[str, int] = field(default_factory=dict)
    unsigned_since: datetime | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing was changed and nothing is missing."""
        return self.integrity and self.completeness


def verify(url: str, *, keys: Sequence[Verifier] = (), since: str = "", progress: Progress | None = None) -> Verdict:
    """Reads the ledger at the libpq URL `url` in one snapshot; it may grow meanwhile. Changes nothing.

    `keys` are those that the verifier trusts, the ledger's and its witnesses': what is signed at all has to be so by
    one of them or one that follows from them, but for what is of the last minute. `since` is the note of a checkpoint
    that was verified before: the tree must have grown out of it, and only newer entries are read. Raises `NotReadable`
    where the database does not answer or has no ledger, `DatabaseUnfit` where `url` is none of libpq's, `NotProven` or
    `BadNote` where `since` is signed by none of the keys or is no checkpoint.
    """
    settings_of(url)
    with _understood(), psycopg.connect(url) as session:
        return verify_on(session, url, keys=keys, since=since, progress=progress)


def verify_on(
    session: Session, url: str, *, keys: Sequence[Verifier] = (), since: str = "", progress: Progress | None = None
) -> Verdict:
    """The same over a session of the caller's to that database, on which nothing is under way; it stays open."""
    with _understood():
        session.rollback()
        held = held_locks(session)
        session.rollback()
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        session.execute(BY_INDEX)
        heads = session.execute(HEAD).fetchall()
        size, frontier = heads[0] if heads else (0, b"")
        now = datetime.now(UTC)
        # Before and after the snapshot: a gateway that came or went meanwhile is not taken for gone.
        held |= held_locks(session)
        joined = _joined(session, url, size, tuple(keys), since, progress)
        if len(heads) > 1:
            joined.changed.append(Problem(size, f"the ledger has {len(heads)} heads"))
        joined.check_head(frontier)
        joined.check_stored(session)
        unsigned_since = _time_of(session, joined.vouching.upto + 1)
        session.rollback()
    joined.changed += _strangers(joined, unsigned_since, now)
    return _verdict(joined, held, unsigned_since)


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as fault:
        raise NotReadable(f"the ledger cannot be read: {str(fault).strip().splitlines()[0]}") from fault


def _joined(
    session: Session, url: str, size: int, given: tuple[Verifier, ...], since: str, progress: Progress | None
) -> Joined:
    changed = list[Problem]()
    try:
        tree = StoredTree.read(session)
    except NotReadable as fault:
        changed.append(Problem(1, str(fault).partition(";")[0]))
        tree = StoredTree.empty()
    known = _known_keys(session)
    start = Start.of(session, tree, *_signed_since(since, given, known))
    joined = Joined(tree, size, start, given, changed)
    end = _end(session, size, changed)
    # Where nothing is new, one empty span: the tree is compared with what was signed of it all the same.
    begins = range(start.at, end, SPAN) or (start.at,)
    tasks = tuple(Task(at, max(at, min(at + SPAN, end)), max(at, start.after)) for at in begins)
    sizes = (size, start.after) if start.since else (size,)
    for span in read_spans(session, Work(url, tree, tuple({*given, *known}), sizes, tasks)):
        joined.join(span)
        if progress:
            progress(span.task.end - start.after, end - start.after)
    return joined


def _end(session: Session, size: int, changed: list[Problem]) -> int:
    """The last entry that is read: the head's, or one after it where entries go on without a gap."""
    low, high, count = session.execute(BEYOND, (size,)).fetchone() or (None, None, 0)
    if low is None or high is None:
        return size
    changed.append(Problem(max(low, 1), f"entries {low} to {high} are not in the head's tree"))
    return int(high) if high - size == count else size


def _known_keys(session: Session) -> tuple[Verifier, ...]:
    """The keys of which entries may speak; what they say is looked up there."""
    found = list[Verifier]()
    for (vkey,) in session.execute(KEYS):
        try:
            found.append(Verifier.parse(vkey))
        except BadNote:
            continue  # nothing can be signed by it; the entry that should have activated it is what counts
    return tuple(found)


def _signed_since(
    since: str, given: Sequence[Verifier], known: Sequence[Verifier]
) -> tuple[Checkpoint | None, tuple[Verifier, ...]]:
    """The checkpoint to go on from, and which of the keys that count signed it."""
    if not since:
        return None, ()
    checkpoint, signers = Signed.parse(since).checkpoint, Note.parse(since.encode()).verified(given or known)
    if not signers:
        what = "the checkpoint to go on from is signed by none of the trusted keys"
        raise NotProven(f"{what}; verify all of it, which finds the keys that follow from yours")
    return checkpoint, signers


def _time_of(session: Session, seq: int) -> datetime | None:
    """When an entry was written, as it says; whatever was made of it is found where it was read."""
    row = session.execute(TEXT, (seq,)).fetchone()
    said = parsed(row[0].encode()) if row else None
    try:
        return datetime.fromisoformat(str((said or {}).get("at"))).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _strangers(joined: Joined, unsigned_since: datetime | None, now: datetime) -> Iterator[Problem]:
    """Where whoever gave a key of the ledger's cannot tell that it is that ledger, or by whom it is signed.

    What was new at `now`, when it was read, another gateway may be about to sign. Who gave the key of a witness alone
    is told how far that has co-signed, and no more.
    """
    own, vouching = [key for key in joined.given if key.algorithm == SIGNED], joined.vouching
    if not own or vouching.by is None:
        return
    if all(key.name != vouching.origin for key in own):
        yield Problem(1, f"this is the ledger `{vouching.origin}`, and the key that was given is of `{own[0].name}`")
    is_new = unsigned_since is not None and abs(now - unsigned_since) < JUST_NOW
    if vouching.stranger is not None and not is_new:
        entries = f"entries {vouching.upto + 1} to {vouching.last}"
        what = f"{entries} are signed by no key that was given or that follows from one, only by {vouching.stranger}"
        yield Problem(vouching.upto + 1, f"{what}: if that is one of the ledger's, give it as well")


def _verdict(joined: Joined, held: frozenset[int], unsigned_since: datetime | None) -> Verdict:
    missing = [Problem(*found) for found in joined.replay.found + joined.replay.left_open(held, lock_key)]
    vouching, changed = joined.vouching, joined.changed + [Problem(*found) for found in joined.vouching.found]
    unseen = [
        Problem(1, f"no checkpoint is co-signed by `{vkey}`") for vkey, size in vouching.witnessed.items() if not size
    ]
    if joined.given and vouching.by is None and not unseen:
        changed.append(Problem(1, "no checkpoint is signed by a key that was given, or by one that follows from it"))
    changed += unseen
    problems = sorted(changed + missing + joined.gone, key=lambda problem: problem.seq)
    # An entry that is gone breaks both: the sequence is not what was written, and something is missing.
    integrity, completeness = not (changed or joined.gone), not (missing or joined.gone)
    by = "" if vouching.by is None else str(vouching.by)
    root = joined.root or b""
    return Verdict(
        joined.size, root, tuple(problems), integrity, completeness, vouching.upto, by, bool(joined.given),
        joined.tree.origin, vouching.witnessed, unsigned_since,
    )  # fmt: skip
