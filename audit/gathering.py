"""What is kept of each entry of a read, while many go by: a report of millions must not hold them all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from policy.lives import Sighting
from policy.values import Principal

from .entries import Kind
from .trail import Line
from .wording import Pieces, cut, template_of

Document = Mapping[str, Any]
ENDS = (Kind.READ_COMPLETED, Kind.READ_INTERRUPTED)
MOST_ALIKE = 4_096
"""Wordings that are kept, of about a kilobyte each."""
MOST_ENTRIES = 10
"""A line names its first and its last so many entries: the trail has all."""


@dataclass(frozen=True, slots=True)
class Given:
    """What reads have in common that are told together: whose, under what, and what they got."""

    who: str
    grant: str
    purpose: str
    digest: str
    columns: tuple[tuple[str, str], ...]
    rows_filter: str


@dataclass(frozen=True, slots=True)
class Begun:
    """An authorised read; `limit` is how many rows it could get at most, None where nothing was set."""

    seq: int
    at: datetime
    given: Given
    teams: tuple[str, ...]
    limit: int | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a read; `rows` is None where nobody can say, and so is `subjects`, of how many employees they were.

    `is_exact` says whether those are exactly they: a crash keeps those whose rows were about to leave.
    """

    seq: int
    at: datetime
    is_interrupted: bool
    rows: int | None
    subjects: int | None
    is_exact: bool


@dataclass(slots=True)
class Refusals:
    """Refused attempts of one person with one code."""

    seqs: list[int] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    teams: set[str] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)


class Tokens:
    """What tokens said, by name. Equal tokens are one object, however often they were shown."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Principal] = {}
        self._seen: dict[str, dict[int, Sighting]] = {}

    def take(self, line: Line) -> None:
        """Note what an entry says of a token, if it does."""
        shown = self.shown_in(line.doc)
        if shown is not None:
            self.note(line.seq, at_of(line.doc), shown)

    def shown_in(self, doc: Document) -> Principal | None:
        """Who showed the token that an entry tells of, if it does; equal ones are one object."""
        told = doc["details"].get("principal")
        if told is None:
            return None
        # By its text, for to Python 1 is True.
        key = (str(doc["actor"]), f"{told} {doc.get('teams')}")
        if key not in self._known:
            self._known[key] = principal_of(doc)
        return self._known[key]

    def note(self, seq: int, at: datetime, shown: Principal) -> None:
        """That a token was shown, as entry `seq` says."""
        self._seen.setdefault(shown.name, {})[seq] = Sighting(at, shown)

    @property
    def names(self) -> frozenset[str]:
        """Who was seen."""
        return frozenset(self._seen)

    def sightings(self) -> Mapping[str, tuple[Sighting, ...]]:
        """By name, each oldest first."""
        return {name: tuple(one for _, one in sorted(seen.items())) for name, seen in self._seen.items()}


@dataclass(frozen=True, slots=True)
class _Begins:
    """What beginnings of reads that are worded alike have in common."""

    given: Given
    teams: tuple[str, ...]
    limit: int | None
    shown: Principal | None


@dataclass(frozen=True, slots=True)
class _Ends:
    """What ends of reads that are worded alike have in common; `rows` where they all say the same."""

    is_interrupted: bool
    rows: int | None
    subjects: int | None
    is_exact: bool


class Gathered:
    """Reads, refusals and tokens, from entries in any order."""

    def __init__(self) -> None:
        self.begun: dict[str, Begun] = {}
        self.ended: dict[str, Ended] = {}
        self.refused: dict[tuple[str, str], Refusals] = {}
        self.tokens = Tokens()
        self.last = 0
        self._given: dict[tuple[str, ...], Given] = {}
        self._alike: dict[Pieces, _Begins | _Ends | None] = {}

    def take(self, lines: Iterable[Line]) -> None:
        """Keep what matters of these entries."""
        for line in lines:
            self.last = max(self.last, line.seq)
            self.tokens.take(line)
            self.take_read(line)
            if line.doc["kind"] == Kind.READ_REFUSED:
                self._refuse(line)

    def take_text(self, seq: int, text: bytes) -> None:
        """Keep what matters of an entry, given its canonical text: parsed once for reads that are worded alike."""
        pieces, values = cut(text)
        if pieces not in self._alike:
            if len(self._alike) >= MOST_ALIKE:
                self._alike.clear()
            self._alike[pieces] = self._learned(pieces) if pieces else None
        alike = self._alike[pieces]
        if alike is None:
            self.take([Line(seq, from_json(text))])
            return
        self.last = max(self.last, seq)
        at, read = datetime.fromisoformat(values[0].decode()), values[1].decode()
        if isinstance(alike, _Begins):
            self.begun[read] = Begun(seq, at, alike.given, alike.teams, alike.limit)
            if alike.shown is not None:
                self.tokens.note(seq, at, alike.shown)
        else:
            rows = int(values[2]) if len(values) > 2 else alike.rows
            self.ended[read] = Ended(seq, at, alike.is_interrupted, rows, alike.subjects, alike.is_exact)

    def _learned(self, pieces: Pieces) -> "_Begins | _Ends | None":
        """What all reads of this wording say; None for everything else."""
        doc = template_of(pieces)
        if doc is None:
            return None
        kind, details = doc.get("kind"), doc["details"]
        if kind == Kind.READ_AUTHORIZED:
            return _Begins(self._given_in(doc), _teams(doc), _whole(details, "limit"), self.tokens.shown_in(doc))
        if kind in ENDS:
            rows, subjects = _whole(details, "rows"), _whole(details, "subjects")
            return _Ends(kind == Kind.READ_INTERRUPTED, rows, subjects, not details.get("at_most"))
        return None

    def take_read(self, line: Line) -> None:
        """Keep the beginning or the end of a read."""
        kind, read, details = line.doc["kind"], line.doc.get("read"), line.doc["details"]
        if not isinstance(read, str):
            return
        if kind == Kind.READ_AUTHORIZED:
            self.begun[read] = Begun(
                line.seq, at_of(line.doc), self._given_in(line.doc), _teams(line.doc), _whole(details, "limit")
            )
        elif kind in ENDS:
            self.ended[read] = Ended(
                line.seq,
                at_of(line.doc),
                kind == Kind.READ_INTERRUPTED,
                _whole(details, "rows"),
                _whole(details, "subjects"),
                not details.get("at_most"),
            )

    def _given_in(self, doc: Document) -> Given:
        details = doc["details"]
        who, grant, purpose, digest = (str(doc.get(name)) for name in ("actor", "grant", "purpose", "digest"))
        rows = str(details.get("rows", ""))
        key = (who, grant, purpose, digest, rows, str(details.get("columns")))
        if key not in self._given:
            columns = tuple((str(each["name"]), str(each["treatment"])) for each in details.get("columns", ()))
            self._given[key] = Given(who, grant, purpose, digest, columns, rows)
        return self._given[key]

    def _refuse(self, line: Line) -> None:
        doc = line.doc
        kept = self.refused.setdefault((str(doc["actor"]), str(doc.get("code"))), Refusals())
        kept.seqs.append(line.seq)
        kept.times.append(at_of(doc))
        kept.teams.update(_teams(doc))
        kept.columns.update(map(str, doc["details"].get("columns", ())))


def at_of(doc: Document) -> datetime:
    """When an entry was written."""
    return datetime.fromisoformat(str(doc["at"]))


def principal_of(doc: Document) -> Principal:
    """The principal as the token of an entry said; only of an entry that tells."""
    told = doc["details"]["principal"]
    attributes = tuple(sorted(told.get("attributes", {}).items()))
    return Principal(str(doc["actor"]), told.get("kind", "person"), _teams(doc), attributes)


def some(seqs: Iterable[int]) -> tuple[int, ...]:
    """The first and the last of them, in order."""
    every_one = tuple(sorted(seqs))
    few = len(every_one) <= 2 * MOST_ENTRIES
    return every_one if few else every_one[:MOST_ENTRIES] + every_one[-MOST_ENTRIES:]


def _teams(doc: Document) -> tuple[str, ...]:
    return tuple(doc.get("teams", ()))


def _whole(details: Mapping[str, Any], name: str) -> int | None:
    value = details.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
