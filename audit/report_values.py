"""What an exposure report says: who could read a dataset in a time, who did, and what of it is not known.

These are also the shapes of the API's answer. Intervals are half-open, [since, until), in UTC.
"""

from dataclasses import dataclass
from datetime import datetime

BUCKETS = 240
"""Equal parts of the time, in which reads are counted for the picture."""


@dataclass(frozen=True, slots=True)
class ColumnSeen:
    """A column and how much of it; `data_class` is None where no bundle of the time names it any more."""

    name: str
    data_class: str | None
    treatment: str


@dataclass(frozen=True, slots=True)
class Opened:
    """For any of `purposes` these columns could be read, by `rules`; that `conditions` hold was assumed."""

    purposes: tuple[str, ...]
    columns: tuple[ColumnSeen, ...]
    rules: tuple[str, ...]
    conditions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CouldRead:
    """Who could have read under a grant in force, and what.

    `who` is None for anybody else of `team`. `is_seen` says whether it was decided for tokens that were shown; else
    nobody knows what a token would have said, and it is the most that one could get.
    """

    since: datetime
    until: datetime
    grant: str
    who: str | None
    team: str | None
    is_seen: bool
    rows: str
    max_rows: int | None
    openings: tuple[Opened, ...]


@dataclass(frozen=True, slots=True)
class RulesAlone:
    """What whoever was in `team` would only have needed a grant for; `*` is any team."""

    since: datetime
    until: datetime
    team: str
    openings: tuple[Opened, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """Files of the dataset lay open to other users of the machine, around Remit: nobody can say who read them."""

    since: datetime
    files: int
    why: str
    entry: int


@dataclass(frozen=True, slots=True)
class BundleInForce:
    """Which rules and catalog were in force; `is_understood` is false where nobody can say what they let through."""

    since: datetime
    until: datetime
    digest: str
    entry: int
    is_understood: bool


@dataclass(frozen=True, slots=True)
class Paused:
    """Reading was paused; `until` is None where the pause was not lifted before the report."""

    since: datetime
    until: datetime | None
    what: str
    target: str
    reason: str
    entries: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Employees:
    """Whose rows went out: how many people, and which.

    `count` is exact where `is_complete`; else it is what is known, and what is incomplete says how it may differ.
    `erased` are those among them whose link to a person was erased; `people` names the others.
    """

    count: int
    is_complete: bool
    people: tuple[str, ...]
    erased: int


@dataclass(frozen=True, slots=True)
class DidRead:
    """Reads of one person under one grant that gave the same columns.

    A read counts whole, also where a part of it streamed before or after the time. Of `reads` some have no known
    end (`without_end`): what they got is unknown, at most `at_most` rows, or None where nothing bounds it. `parts` are
    (part of the time, reads that began in it).
    """

    who: str
    teams: tuple[str, ...]
    grant: str
    purpose: str
    columns: tuple[ColumnSeen, ...]
    rows_filter: str
    reads: int
    rows: int
    without_end: int
    at_most: int | None
    interrupted: int
    first: datetime
    last: datetime
    employees: Employees
    parts: tuple[tuple[int, int], ...]
    entries: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """Attempts of one person that were refused with the same code."""

    who: str
    teams: tuple[str, ...]
    code: str
    times: int
    first: datetime
    last: datetime
    columns: tuple[str, ...]
    entries: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ColumnTotal:
    """How often a column went out with a treatment, and in how many rows."""

    name: str
    data_class: str | None
    treatment: str
    reads: int
    rows: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What went out in all: who read, how much, of whom."""

    people: int
    reads: int
    rows: int
    without_end: int
    at_most: int | None
    refused: int
    columns: tuple[ColumnTotal, ...]
    employees: Employees


@dataclass(frozen=True, slots=True)
class Cover:
    """The checkpoint that covers every entry that was used; `size` 0: none does yet.

    Nothing here verified it: `note` is for whoever has the ledger's key.
    """

    origin: str
    size: int
    root: str
    note: str


@dataclass(frozen=True, slots=True)
class ExposureReport:
    """Who could read, who did, and where the record is incomplete."""

    dataset: str
    since: datetime
    until: datetime
    made_at: datetime
    made_by: str
    alert: int | None
    ledger_size: int
    last_entry: int
    totals: Totals
    could: tuple[CouldRead, ...]
    rules_alone: tuple[RulesAlone, ...]
    around: tuple[Around, ...]
    did: tuple[DidRead, ...]
    tried: tuple[Tried, ...]
    bundles: tuple[BundleInForce, ...]
    pauses: tuple[Paused, ...]
    incomplete: tuple[str, ...]
    limits: tuple[str, ...]
    checkpoint: Cover
