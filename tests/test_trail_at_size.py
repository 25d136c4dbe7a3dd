"""The trail of a ledger with blocks: questions find what a look at each entry finds, and walk through no table."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import Engine, event

from audit import blocks, trail
from audit.blocks import ENTRIES, index
from audit.drafts import stamp
from audit.entries import Entry, Kind
from audit.ledger import Ledger
from audit.trail import Query, search
from audit.verify import verify
from benchmarks.generated import PIECE, grow, time_of
from benchmarks.questions import pages, questions
from policy.names import is_within

SIZE = 2 * PIECE - 2_000
READ = "r-" + 32 * "7"
LONG = "x" * 100 + ".y" * 300
DEEP = "a.b.c.d.e.f.g.h.i.j"
OWN = (
    Entry(Kind.READ_AUTHORIZED, LONG, ("research.a", "site.s9"), read=READ, dataset=LONG, purpose=LONG),
    Entry(Kind.READ_COMPLETED, LONG, (LONG, DEEP), read=READ, dataset=LONG[:-1], purpose=LONG[:-2]),
)
QUESTIONS = {
    **questions(SIZE, READ),
    "a long name": Query(actor=LONG),
    "a long name, not whole": Query(dataset=LONG[:-1]),
    "a long purpose": Query(purpose=LONG),
    "what a long purpose is within": Query(purpose=LONG[:-2]),
    "a deep team": Query(team=DEEP),
    "what a deep team is within": Query(team=DEEP[:-2]),
    "a part of a deep team's name": Query(team=DEEP[:-1]),
    "all keys": Query(actor="person-7", team="site", dataset="dataset_1", purpose="train_ai_system", kind="read"),
    "a read and another key": Query(read=READ, kind="read.completed"),
}


@pytest.fixture(scope="module")
def ledger(module_database) -> Engine:
    """Fifteen blocks, and entries that are too new for one; the last of both have names that are too long."""
    grow(module_database, SIZE)
    engine = module_database.engine()
    own = Ledger(engine, gateway="gw-1", clock=lambda: time_of(SIZE))
    own.change(lambda _: [*OWN, *[Entry(Kind.PAUSE_SET, "olga")] * ENTRIES], raises_epoch=False)
    assert (index(engine), index(engine)) == (1, 0)
    own.change(lambda _: OWN, raises_epoch=False)
    own.close()
    with psycopg.connect(module_database.url("owner")) as session:
        session.execute("ANALYZE audit_entries, audit_blocks")
    return engine


@pytest.fixture(scope="module")
def everything(ledger, module_database) -> list[tuple[int, Mapping[str, Any]]]:
    """Every entry, newest first."""
    with psycopg.connect(module_database.url()) as session:
        return session.execute("SELECT seq, doc FROM audit_entries ORDER BY seq DESC").fetchall()


@pytest.mark.parametrize("name", QUESTIONS)
def test_each_question_finds_what_a_look_at_each_entry_finds(ledger, everything, name):
    query = QUESTIONS[name]
    found = [line.seq for page in pages(ledger, _with(query, limit=1000)) for line in page.lines]
    assert found == [seq for seq, doc in everything if fits(doc, query)]


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_question_walks_through_a_table(ledger, name):
    for plan in plans(ledger, QUESTIONS[name]):
        walked = {node.get("Relation Name") for node in nodes(plan) if node["Node Type"] == "Seq Scan"}
        assert not walked & {"audit_entries", "audit_blocks"}, plan


def test_a_page_ends_where_the_next_begins_wherever_that_is(ledger, everything):
    query = Query(team="site", kind="read.authorized", dataset="dataset_7", limit=7)
    assert [line.seq for page in pages(ledger, query) for line in page.lines] == [
        seq for seq, doc in everything if fits(doc, query)
    ]


@pytest.mark.parametrize("most", [1, 5])
def test_a_page_that_looked_far_enough_says_where_to_go_on(ledger, everything, monkeypatch, most):
    monkeypatch.setattr(blocks, "MOST", 2 * most)
    monkeypatch.setattr(trail, "MOST_UNINDEXED", 100)
    assert [page.lines for page in pages(ledger, QUESTIONS["two that are frequent, never together"])][1:] != []
    query = QUESTIONS["all that one did for a purpose"]
    found = [line.seq for page in pages(ledger, query) for line in page.lines]
    assert found == [seq for seq, doc in everything if fits(doc, query)]


def test_what_blocks_hold_is_made_anew_where_it_was_lost_and_the_same_by_whoever_makes_it(ledger, module_database):
    with psycopg.connect(module_database.url("owner"), autocommit=True) as session:
        held = "SELECT md5(string_agg(term || block || entries, ';' ORDER BY term, block)) FROM audit_blocks"
        before = session.execute(held).fetchone()
        session.execute("TRUNCATE audit_blocks")
        with ThreadPoolExecutor(3) as gateways:
            list(gateways.map(lambda _: index(ledger), range(3)))
        assert session.execute(held).fetchone() == before


def test_the_gateways_role_cannot_change_what_search_goes_by(module_database):
    with psycopg.connect(module_database.url("gateway"), autocommit=True) as session:
        for statement in ("DELETE FROM audit_blocks", "UPDATE audit_blocks SET term = ''", "TRUNCATE audit_blocks"):
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute(statement)
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute("INSERT INTO audit_blocks VALUES ('', 1000, 0::bit(2048))")


def test_a_generated_ledger_is_right_in_every_hash(ledger, module_database):
    verdict = verify(module_database.url())
    assert verdict.problems == ()
    assert verdict.size == SIZE + ENTRIES + 4


def fits(doc: Mapping[str, Any], query: Query) -> bool:
    """Whether an entry is what `query` asks for, told the slow way."""
    exact = all(
        doc.get(name) == value
        for name in ("actor", "dataset", "grant", "code", "read")
        if (value := getattr(query, name)) is not None
    )
    within = all(
        any(is_within(name, value) for name in names)
        for names, value in (
            ([doc["kind"]], query.kind),
            ([doc["purpose"]] if "purpose" in doc else [], query.purpose),
            (doc.get("teams", []), query.team),
        )
        if value is not None
    )
    since = query.from_ is None or doc["at"] >= stamp(query.from_)
    return exact and within and since and (query.to is None or doc["at"] < stamp(query.to))


def plans(engine: Engine, query: Query) -> list[Mapping[str, Any]]:
    """How PostgreSQL goes about each statement of a search."""
    asked: list[tuple[str, Any]] = []

    def remember(*given: Any) -> None:
        asked.append((given[2], given[3]))

    event.listen(engine, "before_cursor_execute", remember)
    try:
        search(engine, query)
    finally:
        event.remove(engine, "before_cursor_execute", remember)
    with engine.connect() as connection:
        explained = [
            connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar_one()
            for statement, values in asked
        ]
    return [(json.loads(one) if isinstance(one, str) else one)[0]["Plan"] for one in explained]


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A plan's nodes, it first."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def _with(query: Query, *, limit: int) -> Query:
    return Query(**{name: getattr(query, name) for name in query.__slots__} | {"limit": limit})
