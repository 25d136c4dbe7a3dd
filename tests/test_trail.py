"""The trail: what was recorded is found, newest first, page by page."""

from datetime import UTC, datetime, timedelta

import pytest

from audit.entries import Entry, Kind
from audit.ledger import Ledger
from audit.trail import Page, Query, after, search

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ENTRIES = (
    Entry(Kind.GRANT_ADDED, "eve", grant="g-1", purpose="train_ai_system"),
    Entry(Kind.READ_AUTHORIZED, "ana", ("research.ml",), read="r-1", dataset="pointer_events", grant="g-1"),
    Entry(Kind.READ_COMPLETED, "ana", ("research.ml",), read="r-1", dataset="pointer_events", grant="g-1"),
    Entry(Kind.READ_REFUSED, "ana", ("research.ml", "staff"), read="r-2", dataset="keystrokes", code="no_grant"),
    Entry(Kind.READ_REFUSED, "bob", ("research",), dataset="keystrokes", purpose="train_ai_system.x", code="no_rule"),
    Entry(Kind.GRANT_REVOKED, "eve", ("researchers",), grant="g-1", purpose="train_ai_systems"),
)


@pytest.fixture(scope="module")
def trail(module_database):
    """Six entries, one a minute from noon on; the engine to search them with."""
    times = iter([NOON + timedelta(minutes=minute) for minute in range(len(ENTRIES))])
    ledger = Ledger(module_database.engine(), gateway="gw-1", clock=lambda: next(times))
    for entry in ENTRIES:
        ledger.append(entry)
    ledger.close()
    return module_database.engine()


@pytest.mark.parametrize(
    ("sought", "found"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"actor": "ana"}, [4, 3, 2]),
        ({"actor": "an"}, []),
        ({"team": "research"}, [5, 4, 3, 2]),
        ({"team": "research.ml"}, [4, 3, 2]),
        ({"team": "staff"}, [4]),
        ({"dataset": "keystrokes"}, [5, 4]),
        ({"purpose": "train_ai_system"}, [5, 1]),
        ({"code": "no_rule"}, [5]),
        ({"kind": "grant"}, [6, 1]),
        ({"kind": "grant.added"}, [1]),
        ({"kind": "gran"}, []),
        ({"grant": "g-1"}, [6, 3, 2, 1]),
        ({"read": "r-1"}, [3, 2]),
        ({"actor": "ana", "dataset": "keystrokes", "team": "staff"}, [4]),
        ({"from_": NOON + timedelta(minutes=2)}, [6, 5, 4, 3]),
        ({"to": NOON + timedelta(minutes=2)}, [2, 1]),
        ({"from_": NOON + timedelta(seconds=61), "to": NOON + timedelta(minutes=4, seconds=1)}, [5, 4, 3]),
        ({"from_": NOON + timedelta(days=1)}, []),
        ({"to": NOON - timedelta(days=1)}, []),
        ({"from_": NOON.astimezone(None) + timedelta(minutes=4)}, [6, 5]),
        ({"actor": "a\x00\ud800' OR true --"}, []),
        ({"actor": "%"}, []),
        ({"before_seq": 3}, [2, 1]),
        ({"before_seq": 5, "limit": 2}, [4, 3]),
        ({"before_seq": 5, "to": NOON + timedelta(minutes=1)}, [1]),
        ({"before_seq": 1}, []),
    ],
)
def test_a_search_finds_what_fits_newest_first(trail, sought, found):
    page = search(trail, Query(**sought))
    assert [line.seq for line in page.lines] == found


def test_reading_on_from_an_entry_gives_what_came_after_it_oldest_first(trail):
    assert [line.seq for line in after(trail, 0, 4)] == [1, 2, 3, 4]
    lines = after(trail, 4, 4)
    assert [(line.seq, line.doc["kind"]) for line in lines] == [(5, "read.refused"), (6, "grant.revoked")]
    assert after(trail, 6, 4) == []


def test_an_empty_ledger_is_searched_all_the_same(database):
    assert search(database.engine(), Query(from_=NOON, to=NOON + timedelta(days=1))) == Page((), None)


def test_a_time_that_is_not_understood_is_told_with_one_as_it_is_written(service):
    refused = service.call("GET", "/v1/audit/entries?from=yesterday", "sam")
    said = "`from`: a time is written out, like 2026-11-01T00:00:00Z"
    assert (refused.status_code, refused.json()["detail"]) == (400, said)
    assert service.call("GET", "/v1/audit/entries?from=2026-11-01T00:00:00Z", "sam").status_code == 200
