"""Search the ledger, newest first, and read on from an entry. What is searched is what was hashed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, text

from .canonical import cleaned
from .drafts import stamp

BEFORE_EVERYTHING, AFTER_EVERYTHING = 0, 2**63 - 1


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for; what is None does not matter.

    `kind`, `team` and `purpose` also find what lies within them: `grant` finds `grant.added`. `from_` ≤ time < `to`,
    both aware. `before_seq` is the last `seq` of the page before.
    """

    actor: str | None = None
    team: str | None = None
    dataset: str | None = None
    purpose: str | None = None
    code: str | None = None
    kind: str | None = None
    grant: str | None = None
    read: str | None = None
    from_: datetime | None = None
    to: datetime | None = None
    before_seq: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Line:
    """One entry: its place in the ledger and its document, as it was hashed."""

    seq: int
    doc: Mapping[str, Any]


# The shortened value is what the index has, the whole one what was asked for.
EXACT = "\"left\"(doc ->> '{name}', 100) = \"left\"(:{name}, 100) AND doc ->> '{name}' = :{name}"
WITHIN = "(doc ->> '{name}' = :{name} OR starts_with(doc ->> '{name}', :{name} || '.'))"
CONDITIONS = {
    **{name: EXACT.format(name=name) for name in ("actor", "dataset", "code", "grant", "read")},
    **{name: WITHIN.format(name=name) for name in ("kind", "purpose")},
    "team": """EXISTS (SELECT FROM jsonb_array_elements_text(doc -> 'teams') AS own (team)
        WHERE own.team = :team OR starts_with(own.team, :team || '.'))""",
}
PAGE = (
    "SELECT seq, doc FROM audit_entries WHERE seq > :after AND seq < :before {conditions} ORDER BY seq {way} LIMIT :n"
)
FROM_SEQ = text("SELECT seq, doc ->> 'at' FROM audit_entries WHERE seq >= :seq ORDER BY seq LIMIT 1")
LAST_SEQ = text("SELECT max(seq) FROM audit_entries")


def search(engine: Engine, query: Query) -> list[Line]:
    """Up to `query.limit` entries that fit, newest first. Faults are SQLAlchemy's."""
    # Hostile characters were replaced when the entry was made: the same here finds it.
    sought = {name: cleaned(value)[0] for name in CONDITIONS if (value := getattr(query, name)) is not None}
    conditions = "".join(f" AND {CONDITIONS[name]}" for name in sought)
    with engine.connect() as connection:
        after = BEFORE_EVERYTHING if query.from_ is None else _first_since(connection, query.from_) - 1
        before = AFTER_EVERYTHING if query.to is None else _first_since(connection, query.to)
        bounds = {"after": after, "before": min(before, query.before_seq or before), "n": query.limit}
        statement = text(PAGE.format(conditions=conditions, way="DESC"))
        return list(_lines(connection, statement, sought | bounds))


def after(engine: Engine, seq: int, limit: int) -> list[Line]:
    """The next entries after `seq`, oldest first, at most `limit`. Faults are SQLAlchemy's."""
    bounds = {"after": seq, "before": AFTER_EVERYTHING, "n": limit}
    with engine.connect() as connection:
        return list(_lines(connection, text(PAGE.format(conditions="", way="ASC")), bounds))


def _lines(connection: Connection, statement: Any, values: Mapping[str, Any]) -> Iterator[Line]:
    return (Line(seq, doc) for seq, doc in connection.execute(statement, values))


def _first_since(connection: Connection, moment: datetime) -> int:
    """The first `seq` whose time is `moment` or later, by halving: time never runs back, so it needs no index."""
    at, low = stamp(moment.astimezone(UTC)), 1
    high = (connection.execute(LAST_SEQ).scalar_one() or 0) + 1
    while low < high:
        middle = (low + high) // 2
        found = connection.execute(FROM_SEQ, {"seq": middle}).one()
        low, high = (middle + 1, high) if found[1] < at else (low, middle)
    return low
