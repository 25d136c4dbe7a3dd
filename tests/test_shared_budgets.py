"""One grant, many readers in several processes: budgets are never exceeded, and what was counted is what was given."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import pytest
from conftest import Database
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from audit.engines import engine_for
from authz.dictionary import Dictionary
from authz.grants import GrantStore
from authz.subjects import Subjects

NUMBERS = count()
ADD = text("""
    INSERT INTO grants (id, scope, status, principal, added_by, added_at, ends)
    VALUES (:id, jsonb_build_object('max_rows', CAST(:max_rows AS int)), 'active', 'ana', 'eve', now(), now())
""")
BATCH = st.lists(st.integers(1, 40), min_size=1, max_size=8)
READ = st.lists(BATCH, max_size=5)


@dataclass(frozen=True)
class Got:
    """What one reader was given: rows, whose they were, and whether there was no room for somebody."""

    rows: int
    people: frozenset[int]
    was_cut: bool


def read(url: str, grant: str, most: int, reads: Sequence[tuple[str, list[list[int]]]]) -> list[Got]:
    """Several readers, each in a thread, of one process; a batch is a list of whose its rows are."""
    engine = engine_for(url)
    subjects, grants = Subjects(engine, Dictionary(engine, None)), GrantStore(engine, None)  # type: ignore[arg-type]

    def one(read: str, batches: list[list[int]]) -> Got:
        account, rows, people = subjects.account(read, grant), 0, set[int]()
        for batch in batches:
            if grants.charge(grant, len(batch)) < len(batch):
                break
            met = list(dict.fromkeys(batch))
            room = account.charge(met, most)
            account.give(met[:room])
            people.update(met[:room])
            rows += len(batch)
            if room < len(met):
                return Got(rows, frozenset(people), was_cut=True)
        assert account.settle()["subjects"] == len(people)
        return Got(rows, frozenset(people), was_cut=False)

    try:
        with ThreadPoolExecutor(max(1, len(reads))) as threads:
            return list(threads.map(lambda each: one(*each), reads))
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(reads=st.lists(READ, min_size=10, max_size=10), most=st.integers(1, 30), rows=st.integers(1, 150))
def test_ten_readers_in_two_processes_never_get_more_than_a_grant_holds_and_the_sums_are_exact(
    module_database: Database, processes: ProcessPoolExecutor, reads: list[list[list[int]]], most: int, rows: int
) -> None:
    engine, grant = module_database.engine(), f"g-{next(NUMBERS)}"
    with engine.begin() as connection:
        connection.execute(ADD, {"id": grant, "max_rows": rows})
    named = [(f"{grant}-r{number}", batches) for number, batches in enumerate(reads)]
    works = [processes.submit(read, module_database.url(), grant, most, part) for part in (named[:5], named[5:])]
    got = [one for work in works for one in work.result()]

    subjects = Subjects(engine, Dictionary(engine, None))  # type: ignore[arg-type]
    given_out = frozenset[int]().union(*(one.people for one in got))
    with engine.connect() as connection:
        used = connection.execute(text("SELECT rows_used FROM grants WHERE id = :id"), {"id": grant}).scalar_one()
        found = connection.execute(
            text("SELECT subjects, is_spent FROM grant_subjects WHERE grant_id = :id"), {"id": grant}
        ).one_or_none()
    counted, is_spent = found or (0, False)
    assert counted == len(given_out) == subjects.counted(grant).count <= most
    assert subjects.subjects_of_grant(grant).count == len(given_out)
    assert is_spent == any(one.was_cut for one in got)
    assert counted == most or not is_spent
    assert sum(one.rows for one in got) <= used <= rows
