"""What a security reviewer asks of the trail, at its easiest and at its worst, of a generated ledger."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import median
from typing import Any

from conftest import Database
from sqlalchemy import Engine, event

from audit.trail import Page, Query, search

from .generated import grant_of, time_of

ASKS = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question took of the database."""

    question: str
    milliseconds: float


def ask_all(database: Database, entries: int) -> list[Asked]:
    """What each question takes of a generated ledger."""
    engine = database.engine()
    (line,) = search(engine, Query(kind="read.completed", before_seq=entries // 3, limit=1)).lines
    asked = questions(entries, str(line.doc["read"]))
    return [Asked(name, database_seconds(engine, query) * 1e3) for name, query in asked.items()]


def questions(entries: int, read: str) -> Mapping[str, Query]:
    """Every single key, and mixes; `read` is the id of one that is in the ledger."""
    middle, hour = time_of(entries // 2), timedelta(hours=1)
    days = {"from_": middle - 24 * hour, "to": middle + 24 * hour}
    return {
        "all of it": Query(),
        "actor": Query(actor="person-7"),
        "actor, hardly ever": Query(actor="eve"),
        "actor, nowhere": Query(actor="nobody"),
        "team": Query(team="research.a"),
        "team, in most entries": Query(team="site"),
        "team, hardly ever": Query(team="on_call"),
        "team, nowhere": Query(team="legal"),
        "dataset": Query(dataset="dataset_3"),
        "dataset, nowhere": Query(dataset="dataset"),
        "purpose": Query(purpose="analytics.quality"),
        "purpose, in most entries": Query(purpose="train_ai_system"),
        "purpose, nowhere": Query(purpose="marketing"),
        "code": Query(code="no_grant"),
        "code, nowhere": Query(code="paused"),
        "kind, half of all": Query(kind="read.completed"),
        "kind, hardly ever": Query(kind="pause"),
        "kind, nowhere": Query(kind="consent"),
        "grant, the newest": Query(grant=grant_of(3, entries)),
        "grant, the oldest": Query(grant=grant_of(3, 1)),
        "grant, nowhere": Query(grant="g-0"),
        "read": Query(read=read),
        "read, nowhere": Query(read="r-0"),
        "from": Query(from_=middle),
        "to": Query(to=middle),
        "who read this dataset in two days": Query(dataset="dataset_3", kind="read", **days),
        "all that one did for a purpose": Query(actor="person-7", purpose="train_ai_system.p7"),
        "refusals with a code, of a team": Query(code="no_rule", team="sales"),
        "a kind in two days": Query(kind="grant.added", **days),
        "a kind at the very beginning": Query(kind="read.refused", to=time_of(64)),
        "two that are frequent, never together": Query(kind="read.completed", purpose="oversight"),
        "one's reads under another's purpose": Query(actor="person-7", purpose="train_ai_system.p8"),
        "three that are frequent, never together": Query(kind="read", team="site", purpose="oversight"),
        "looks at the trail by a site": Query(kind="audit", team="site"),
    }


def database_seconds(engine: Engine, query: Query) -> float:
    """What one page takes of the database, its round trips included: the median of some times, warm."""
    taken = []
    for _ in range(ASKS + 1):
        with statements(engine) as seconds:
            search(engine, query)
        taken.append(sum(seconds))
    return median(taken[1:])


@contextmanager
def statements(engine: Engine) -> Iterator[list[float]]:
    """How long each statement takes that `engine` executes meanwhile."""
    seconds: list[float] = []

    def before(*given: Any) -> None:
        given[4].started = time.perf_counter()

    def after(*given: Any) -> None:
        seconds.append(time.perf_counter() - given[4].started)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    try:
        yield seconds
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)


def pages(engine: Engine, query: Query) -> Iterator[Page]:
    """One page after the other, to the last."""
    while True:
        page = search(engine, query)
        yield page
        if page.next is None:
            return
        query = replace(query, before_seq=page.next)
