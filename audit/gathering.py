"""What is kept of each entry of a read, while many go by: a report of millions must not hold them all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from policy.lives import Sighting
from policy.values import Principal

from .entries import Kind
from .trail import Line

Document = Mapping[str, Any]
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
        doc, told = line.doc, line.doc["details"].get("principal")
        if told is not None:
            # By its text, for to Python 1 is True.
            key = (str(doc["actor"]), f"{told} {doc.get('teams')}")
            if key not in self._known:
                self._known[key] = principal_of(doc)
            self._seen.setdefault(key[0], {})[line.seq] = Sighting(at_of(doc), self._known[key])

    @property
    def names(self) -> frozenset[str]:
        """Who was seen."""
        return frozenset(self._seen)

    def sightings(self) -> Mapping[str, tuple[Sighting, ...]]:
        """By name, each oldest first."""
        return {name: tuple(one for _, one in sorted(seen.items())) for name, seen in self._seen.items()}


class Gathered:
    """Reads, refusals and tokens, from entries in any order."""

    def __init__(self) -> None:
        self.begun: dict[str, Begun] = {}
        self.ended: dict[str, Ended] = {}
        self.refused: dict[tuple[str, str], Refusals] = {}
        self.tokens = Tokens()
        self.last = 0
        self._given: dict[tuple[str, ...], Given] = {}

    def take(self, lines: Iterable[Line]) -> None:
        """Keep what matters of these entries."""
        for line in lines:
            self.last = max(self.last, line.seq)
            self.tokens.take(line)
            self.take_read(line)
            if line.doc["kind"] == Kind.READ_REFUSED:
                self._refuse(line)

    def take_read(self, line: Line) -> None:
        """Keep the beginning or the end of a read."""
        kind, read, details = line.doc["kind"], line.doc.get("read"), line.doc["details"]
        if not isinstance(read, str):
            return
        if kind == Kind.READ_AUTHORIZED:
            self.begun[read] = Begun(
                line.seq, at_of(line.doc), self._given_in(line.doc), _teams(line.doc), _whole(details, "limit")
            )
        elif kind in (Kind.READ_COMPLETED, Kind.READ_INTERRUPTED):
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
