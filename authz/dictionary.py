"""The dictionary of subjects: which number stands for whom. It lies outside the ledger, so that people can be erased.

What always holds:

- Names that are equal as canonical text (`17` and `17.0`) and of one data class are one subject, in every dataset. Case
  and Unicode forms are not folded: two spellings are two subjects, so a count is never too small.
- A number is never given twice. Who was erased and is met again is a new subject.
- A read that was authorised after an erasure does not use the number of before: remembered numbers are good for one
  control epoch, and an erasure raises it.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, Engine, delete, text

from audit.entries import Entry, Kind
from audit.ledger import Ledger
from policy.values import Principal

from .errors import NotCounted
from .permit import Permitted
from .tables import SUBJECTS

REMEMBERED = 262_144
"""Names that a gateway keeps the numbers of (30 MB); past it they are forgotten, all at once."""

TRIES = 5
"""How often names may be given their numbers, or be erased, by others in the middle of a look."""

_FOUND = text("SELECT digest, ordinal FROM subjects WHERE digest = ANY(:digests)")
_PEOPLE = text("SELECT ordinal, data_class, name FROM subjects WHERE ordinal = ANY(:ordinals) ORDER BY ordinal")
# In the order of digests: two that add the same names in differing orders would wait for each other.
_ADDED = text(
    """
    INSERT INTO subjects (data_class, digest, name)
    SELECT :data_class, digest, name
    FROM unnest(CAST(:digests AS bytea[]), CAST(:names AS bytea[])) AS new (digest, name)
    ORDER BY digest ON CONFLICT (digest) DO NOTHING RETURNING digest, ordinal
    """
)


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody whom rows are about: a number, the data class of the column that names them, and that name."""

    ordinal: int
    data_class: str
    name: str


class Dictionary:
    """Numbers for names. Every method speaks to PostgreSQL where it must; faults are SQLAlchemy's. Thread-safe."""

    def __init__(self, engine: Engine, ledger: Ledger) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._ledger = ledger
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, int]] = {}
        self._epoch = -1

    def ordinals(self, data_class: str, names: Sequence[str], *, epoch: int) -> list[int]:
        """The number of each of `names` (canonical texts), for a read that was authorised under `epoch`.

        Who is new gets one, which is there when this returns.
        """
        known = self._known_at(epoch, data_class)
        unknown = [name for name in names if name not in known]
        found = self._looked_up(data_class, unknown) if unknown else {}
        if found:
            known.update(found)
        return [found[name] if name in found else known[name] for name in names]

    def people(self, ordinals: Sequence[int]) -> tuple[Subject, ...]:
        """Who these are, by their numbers; whoever was erased is left out."""
        with self._engine.connect() as connection:
            rows = connection.execute(_PEOPLE, {"ordinals": list(ordinals)}).all()
        return tuple(Subject(ordinal, data_class, bytes(name).decode()) for ordinal, data_class, name in rows)

    def erase(self, data_class: str, name: str, *, by: Principal, why: str, under: Permitted) -> bool:
        """Forget who the number of `name` (canonical text) stood for; False where nobody of that name was ever read.

        Bitmaps and digests stay as they were, and the proofs with them. The entry does not say who it was.
        """
        erased: list[int] = []

        def work(connection: Connection) -> Sequence[Entry]:
            gone = delete(SUBJECTS).where(SUBJECTS.c.digest == _digest(data_class, name)).returning(SUBJECTS.c.ordinal)
            erased.extend(connection.execute(gone).scalars())
            details = {"data_class": data_class, "why": why}
            entry = Entry(Kind.SUBJECT_ERASED, by.name, teams=by.teams, digest=under.bundle.digest, details=details)
            return [entry] if erased else []

        self._ledger.change(work, epoch=under.epoch)
        return bool(erased)

    def _known_at(self, epoch: int, data_class: str) -> dict[str, int]:
        """What is remembered under `epoch` or a later one: a stream that outlives a change may use it."""
        with self._lock:
            if epoch > self._epoch:
                self._known, self._epoch = {}, epoch
            known = self._known.setdefault(data_class, {})
            if len(known) > REMEMBERED:
                known = self._known[data_class] = {}
            return known

    def _looked_up(self, data_class: str, names: Sequence[str]) -> dict[str, int]:
        missing = {_digest(data_class, name): name for name in names}
        found: dict[str, int] = {}
        with self._engine.connect() as connection:
            for _ in range(TRIES):
                rows = connection.execute(_FOUND, {"digests": list(missing)}).all()
                found |= {missing.pop(bytes(digest)): ordinal for digest, ordinal in rows}
                if not missing:
                    return found
                new = {
                    "data_class": data_class,
                    "digests": list(missing),
                    "names": [name.encode() for name in missing.values()],
                }
                rows = connection.execute(_ADDED, new).all()
                found |= {missing.pop(bytes(digest)): ordinal for digest, ordinal in rows}
                if not missing:
                    return found
        raise NotCounted("subjects keep being added and erased by others; their numbers could not be told")


def _digest(data_class: str, name: str) -> bytes:
    return sha256(data_class.encode() + b"\0" + name.encode()).digest()
