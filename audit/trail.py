"""Search the ledger, newest first, and read on from an entry. What is searched is what was hashed."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, text

from . import blocks
from .canonical import cleaned

BEFORE_EVERYTHING, AFTER_EVERYTHING = 0, 2**63 - 1
MOST_UNINDEXED = 2 * blocks.ENTRIES
"""Entries that no block tells of yet, looked at one by one for one page."""


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


@dataclass(frozen=True, slots=True)
class Page:
    """Entries that fit, newest first, and `before_seq` of the next page; None where this was the last.

    A page may have less than was asked for, even nothing, and a next one: so far was looked, and there is more to
    look at.
    """

    lines: tuple[Line, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class _Found:
    """Entries that fit by number, newest first, each with what was asked of it, and `Page.next`."""

    rows: tuple[tuple[int, Any], ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class _Sought:
    """A query, ready to be asked: SQL conditions with their values, bounds on `seq`, both exclusive."""

    values: Mapping[str, str]
    after: int
    before: int
    limit: int
    column: str
    """`doc`, or the text that it was made of: where not all is looked at, that costs less to bring."""

    @property
    def conditions(self) -> str:
        return "".join(f" AND {CONDITIONS[name]}" for name in self.values)


WITHIN = "(doc ->> '{name}' = :{name} OR starts_with(doc ->> '{name}', :{name} || '.'))"
CONDITIONS = {
    **{name: f"doc ->> '{name}' = :{name}" for name in ("actor", "dataset", "code", "grant", "read")},
    **{name: WITHIN.format(name=name) for name in ("kind", "purpose")},
    "team": """EXISTS (SELECT FROM jsonb_array_elements_text(doc -> 'teams') AS own (team)
        WHERE own.team = :team OR starts_with(own.team, :team || '.'))""",
}
STRETCH = """
    SELECT seq, {column} FROM audit_entries WHERE seq > :after AND seq < :before {conditions}
    ORDER BY seq {way} LIMIT :n
"""
NAMED = "SELECT seq, {column} FROM audit_entries WHERE seq = ANY(:seqs) {conditions} ORDER BY seq DESC"
# So many are fetched as they lie on the disk, with what comes next on its way: along the index, one after the other,
# they take twice as long, whether the disk has to be asked or not. PostgreSQL thinks otherwise.
MANY = 1_000
AS_THEY_LIE = text("SET LOCAL enable_indexscan = off")
# Not one statement with its order: where PostgreSQL knows too little of the table it would walk all of it backwards.
OF_READ = """
    WITH own AS MATERIALIZED (SELECT seq, doc, canonical FROM audit_entries WHERE doc ->> 'read' = :read)
    SELECT seq, {column} FROM own WHERE seq > :after AND seq < :before {conditions} ORDER BY seq DESC LIMIT :n
"""
READS_AT_ONCE = 1_000
# One look into the index for each: with a list of them PostgreSQL might walk through the table.
OF_READS = text("""
    SELECT own.seq, own.doc FROM unnest(CAST(:reads AS text[])) AS asked (read), LATERAL (
        SELECT seq, doc FROM audit_entries WHERE doc ->> 'read' = asked.read OFFSET 0
    ) AS own WHERE own.seq < :before
""")
# By halving: time never runs back, so it needs no index. Fixed in width, times sort as texts do, byte by byte.
FIRST_SINCE = text("""
    WITH RECURSIVE half (low, high) AS (
        SELECT 1::bigint, (SELECT coalesce(max(seq), 0) + 1 FROM audit_entries)
        UNION ALL
        SELECT CASE WHEN is_before THEN middle + 1 ELSE low END, CASE WHEN is_before THEN high ELSE middle END
        FROM half, LATERAL (SELECT (low + high) / 2) AS at_half (middle), LATERAL (
            SELECT (doc ->> 'at') COLLATE "C" < :at FROM audit_entries WHERE seq >= middle ORDER BY seq LIMIT 1
        ) AS told (is_before)
        WHERE low < high
    )
    SELECT max(low) FROM half
""")
LAST_SEQ = text("SELECT coalesce(max(seq), 0) FROM audit_entries")


def search(engine: Engine, query: Query) -> Page:
    """Up to `query.limit` entries that fit, newest first. Faults are SQLAlchemy's."""
    found = _search(engine, query, "doc")
    return Page(tuple(Line(seq, doc) for seq, doc in found.rows), found.next)


def _search(engine: Engine, query: Query, column: str) -> _Found:
    # Hostile characters were replaced when the entry was made: the same here finds it.
    values = {name: str(cleaned(value)[0]) for name in CONDITIONS if (value := getattr(query, name)) is not None}
    with engine.connect() as connection:
        after = BEFORE_EVERYTHING if query.from_ is None else first_since(connection, query.from_) - 1
        before = AFTER_EVERYTHING if query.to is None else first_since(connection, query.to)
        sought = _Sought(values, after, min(before, query.before_seq or before), query.limit, column)
        if not values or "read" in values:
            return _whole(connection, sought)
        return _by_blocks(connection, sought)


def after(engine: Engine, seq: int, limit: int) -> list[Line]:
    """The next entries after `seq`, oldest first, at most `limit`. Faults are SQLAlchemy's."""
    bounds = {"after": seq, "before": AFTER_EVERYTHING, "n": limit}
    with engine.connect() as connection:
        rows = _rows(connection, STRETCH.format(column="doc", conditions="", way="ASC"), bounds)
        return [Line(line, doc) for line, doc in rows]


def every(engine: Engine, query: Query) -> Iterator[Line]:
    """All entries that fit, newest first, fetched page by page as they are taken. Faults are SQLAlchemy's."""
    while True:
        page = search(engine, query)
        yield from page.lines
        if page.next is None:
            return
        query = replace(query, before_seq=page.next)


def texts(engine: Engine, query: Query) -> Iterator[tuple[int, bytes]]:
    """The same as their canonical texts, which are what was hashed; the next page comes while one is taken."""
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(_search, engine, query, "canonical")
        while True:
            found = coming.result()
            if found.next is not None:
                query = replace(query, before_seq=found.next)
                coming = beside.submit(_search, engine, query, "canonical")
            yield from ((seq, canonical.encode()) for seq, canonical in found.rows)
            if found.next is None:
                return


def of_reads(engine: Engine, reads: Sequence[str], before: int) -> Iterator[Line]:
    """Every entry of these reads with seq < `before`, in no order. Faults are SQLAlchemy's."""
    with engine.connect() as connection:
        for start in range(0, len(reads), READS_AT_ONCE):
            sought = {"reads": list(reads[start : start + READS_AT_ONCE]), "before": before}
            yield from [Line(seq, doc) for seq, doc in connection.execute(OF_READS, sought)]


def named(engine: Engine, seqs: Sequence[int]) -> list[Line]:
    """The entries with these numbers, newest first; those that there are. Faults are SQLAlchemy's."""
    with engine.connect() as connection:
        rows = _rows(connection, NAMED.format(column="doc", conditions=""), {"seqs": list(seqs)})
        return [Line(seq, doc) for seq, doc in rows]


def _whole(connection: Connection, sought: _Sought) -> _Found:
    """A page of everything, or of one read: nothing has to be skipped."""
    template = OF_READ if sought.values else STRETCH
    statement = template.format(column=sought.column, conditions=sought.conditions, way="DESC")
    bounds = {"after": sought.after, "before": sought.before, "n": sought.limit + 1}
    return _page(_rows(connection, statement, {**sought.values, **bounds}), sought, sought.after + 1)


def _by_blocks(connection: Connection, sought: _Sought) -> _Found:
    """First what is too new for a block, then where the terms meet."""
    unindexed = blocks.first_unindexed(connection)
    before = min(sought.before, int(connection.execute(LAST_SEQ).scalar_one()) + 1)
    start = max(unindexed, before - MOST_UNINDEXED, sought.after + 1)
    bounds = {"after": start - 1, "before": before, "n": sought.limit + 1}
    statement = STRETCH.format(column=sought.column, conditions=sought.conditions, way="DESC")
    lines = _rows(connection, statement, {**sought.values, **bounds}) if start < before else []
    if start > max(unindexed, sought.after + 1) or len(lines) > sought.limit:
        return _page(lines, sought, start)
    before, wanted = min(before, unindexed), sought.limit + 1 - len(lines)
    if before <= sought.after + 1:
        return _page(lines, sought, sought.after + 1)
    terms = blocks.terms(sought.values)
    hits = blocks.hits(connection, terms, sought.after, before, wanted)
    # A term is a shortened value: what was found is compared whole.
    if len(hits.seqs) >= MANY:
        connection.execute(AS_THEY_LIE)
    named = NAMED.format(column=sought.column, conditions=sought.conditions)
    lines += _rows(connection, named, {**sought.values, "seqs": list(hits.seqs)}) if hits.seqs else []
    return _page(lines, sought, hits.upto)


def _page(rows: list[tuple[int, Any]], sought: _Sought, upto: int) -> _Found:
    """The page, given that all from `upto` on was looked at."""
    if len(rows) > sought.limit:
        return _Found(tuple(rows[: sought.limit]), rows[sought.limit - 1][0])
    return _Found(tuple(rows), upto if upto > sought.after + 1 else None)


def _rows(connection: Connection, statement: str, values: Mapping[str, Any]) -> list[tuple[int, Any]]:
    return [(seq, value) for seq, value in connection.execute(text(statement), values).all()]


def first_since(connection: Connection, moment: datetime) -> int:
    """The first `seq` whose time is `moment` or later."""
    # Not `strftime`, which gives the year 999 three digits.
    at = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    return int(connection.execute(FIRST_SINCE, {"at": at}).scalar_one())
