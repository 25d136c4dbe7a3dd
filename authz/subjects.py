"""Whose rows each read contained, exactly: the one place where that is written down and asked for.

What always holds:

- A read's set is durable before the rows leave. It holds everybody whose rows left, and nobody else but where a
  crash or a fault of the database kept rows back that were recorded already; then the end of the read says `at_most`.
- The end of a read carries count and digest of its set, so that the table can be proved by the ledger.
- A grant's set holds everybody who was counted against its `max_subjects`, and never more than that.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

import structlog
from pyroaring import BitMap
from sqlalchemy import Connection, Engine, TextClause, text
from sqlalchemy.exc import SQLAlchemyError

from audit.entries import Json

from .dictionary import Dictionary, Subject

log = structlog.get_logger()

# The setting holds until the transaction ends, whatever the role or the database have: rows leave after this commit.
_RECORD = text(
    """
    WITH waits AS (SELECT set_config('synchronous_commit', 'on', true))
    INSERT INTO read_subjects (read, grant_id, subjects, bitmap)
    SELECT :read, :grant, :subjects, :bitmap FROM waits
    ON CONFLICT (read) DO UPDATE SET subjects = excluded.subjects, bitmap = excluded.bitmap
    """
)
_OPEN = text(
    """
    INSERT INTO grant_subjects (grant_id, subjects, is_spent, bitmap) VALUES (:grant, 0, false, :bitmap)
    ON CONFLICT (grant_id) DO NOTHING
    """
)
_LOCK = text("SELECT bitmap FROM grant_subjects WHERE grant_id = :grant FOR UPDATE")
_COUNT = text(
    """
    UPDATE grant_subjects SET subjects = :subjects, bitmap = :bitmap, is_spent = is_spent OR :is_spent
    WHERE grant_id = :grant
    """
)

_OF_READS = text("SELECT bitmap FROM read_subjects WHERE read = ANY(:reads)")
_OF_GRANT = text("SELECT bitmap FROM read_subjects WHERE grant_id = :grant")
_COUNTED = text("SELECT bitmap FROM grant_subjects WHERE grant_id = :grant")


@dataclass(frozen=True, slots=True)
class Whose:
    """The subjects of a read, or of several: how many, the digest of the set, and who they are.

    `people` are those that the dictionary still knows, in its order; `erased` is how many it knows no more.
    """

    count: int
    digest: str
    people: tuple[Subject, ...]

    @property
    def erased(self) -> int:
        """How many of them were erased since."""
        return self.count - len(self.people)


class Account:
    """Whose rows one read gives out. `record` or `charge`, then let the rows go, then `give`; one thread at a time."""

    def __init__(self, engine: Engine, read: str, grant: str) -> None:
        self._engine = engine
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._read = read
        self._grant = grant
        self._recorded = BitMap()
        self._given = BitMap()
        self._written = b""
        self._before: BitMap | None = None
        self._is_certain = True

    def has_recorded(self, met: Iterable[int]) -> bool:
        """Whether it is recorded, durably, that rows of these may have left."""
        return self._is_certain and self._recorded.issuperset(BitMap(met))

    def record(self, met: Iterable[int]) -> None:
        """Record for the read, durably, that rows of these are about to leave."""
        with self._certain(), self._autocommit.connect() as connection:
            self._set(connection, self._recorded.union(BitMap(met)))

    def charge(self, met: Sequence[int], most: int) -> int:
        """The same under a budget of `most` for the whole grant: how many of `met`, in order, it has room for.

        Who was counted before, by whichever read, costs nothing. The first for whom there is no room spends the budget.
        """
        with self._certain(), self._engine.begin() as connection:
            connection.execute(_OPEN, {"grant": self._grant, "bitmap": packed(BitMap())})
            before = BitMap.deserialize(connection.execute(_LOCK, {"grant": self._grant}).scalar_one())
            new = [ordinal for ordinal in dict.fromkeys(met) if ordinal not in before]
            left = most - len(before)
            room = len(met) if len(new) <= left else met.index(new[left])
            after = before.union(BitMap(met[:room]))
            values = {
                "grant": self._grant,
                "subjects": len(after),
                "bitmap": packed(after),
                "is_spent": room < len(met),
            }
            connection.execute(_COUNT, values)
            if room:
                self._set(connection, self._recorded.union(BitMap(met[:room])))
        self._before = before if self._before is None else self._before
        return room

    def give(self, met: Iterable[int]) -> None:
        """Rows of these, recorded before, have left."""
        self._given.update(met)

    @property
    def newly_counted(self) -> int:
        """How many had their rows given out that did not count against the grant when this read began."""
        return len(self._given) if self._before is None else len(self._given.difference(self._before))

    def settle(self) -> dict[str, Json]:
        """What the end of the read says: how many, and the digest of what is recorded, which is now exactly that.

        Where the database cannot be reached to take back what did not leave, it is not known what is recorded:
        everybody whose rows left, and perhaps some more, so many `at_most`.
        """
        if not self._is_certain or self._recorded != self._given:
            at_most = len(self._recorded)
            try:
                with self._certain(), self._autocommit.connect() as connection:
                    self._set(connection, self._given)
            except SQLAlchemyError as fault:
                log.warning("subjects_not_settled", read=self._read, fault=type(fault).__name__)
                return {"subjects": at_most, "at_most": True}
        digest = {"subjects_digest": digest_of(self._written)} if self._given else {}
        return {"subjects": len(self._given), **digest}

    def _set(self, connection: Connection, given: BitMap) -> None:
        self._recorded, self._written = given.copy(), packed(given)
        values = {"read": self._read, "grant": self._grant, "subjects": len(given), "bitmap": self._written}
        connection.execute(_RECORD, values)

    @contextmanager
    def _certain(self) -> Iterator[None]:
        """One transaction; where it fails, nobody knows what of it is there."""
        self._is_certain = False
        yield
        self._is_certain = True


class Subjects:
    """The sets of subjects of reads and grants. Every method speaks to PostgreSQL; faults are SQLAlchemy's."""

    def __init__(self, engine: Engine, dictionary: Dictionary) -> None:
        self._engine = engine
        self._dictionary = dictionary

    def account(self, read: str, grant: str) -> Account:
        """The account of a read that begins."""
        return Account(self._engine, read, grant)

    def subjects_of(self, read: str) -> Whose:
        """Whose rows a read contained."""
        return self.subjects_of_reads([read])

    def subjects_of_reads(self, reads: Iterable[str]) -> Whose:
        """Whose rows several reads contained together."""
        return self._whose(_OF_READS, reads=list(reads))

    def subjects_of_grant(self, grant: str) -> Whose:
        """Whose rows all reads of a grant contained together, with or without a budget of subjects."""
        return self._whose(_OF_GRANT, grant=grant)

    def counted(self, grant: str) -> Whose:
        """Who was counted against a grant's budget of subjects."""
        return self._whose(_COUNTED, grant=grant)

    def _whose(self, bitmaps: TextClause, **of: object) -> Whose:
        with self._engine.connect() as connection:
            found = [bytes(bitmap) for (bitmap,) in connection.execute(bitmaps, of)]
        together = BitMap.union(*map(BitMap.deserialize, found)) if found else BitMap()
        # Of one set the digest is that of the stored bytes, which the ledger names; others are packed alike.
        digest = digest_of(found[0] if len(found) == 1 else packed(together))
        return Whose(len(together), digest, self._dictionary.people(list(together)))


def digest_of(bitmap: bytes) -> str:
    """The digest of a serialised bitmap, as the end of a read carries it."""
    return f"sha256:{sha256(bitmap).hexdigest()}"


def packed(bitmap: BitMap) -> bytes:
    """The portable form of Roaring bitmaps (RoaringFormatSpec), which other languages read too."""
    bitmap = bitmap.copy()
    bitmap.run_optimize()
    return bytes(bitmap.serialize())
