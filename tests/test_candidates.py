"""Which grants a read is decided on: the one that it names; else those that have not ended, and the last that did."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import pytest
from service import scope_of

from audit.errors import NotRecorded
from audit.ledger import Ledger
from authz.grants import GrantStore
from authz.in_force import InForceStore
from policy.values import GrantStatus, Principal

ANA = Principal("ana", teams=("research.ml",))
GRANTS = {
    "g-01": ("ana", None, -300),
    "g-02": ("ana", None, -200),
    "g-03": ("ana", None, -0.5),
    "g-04": ("ana", None, 10),
    "g-05": (None, "research", -100),
    "g-06": (None, "research", -50),
    "g-07": (None, "research.ml", 100),
    "g-08": (None, "research.vision", 100),
    "g-09": ("bob", None, 100),
}
"""Whose, and in how many hours it ends."""


@pytest.fixture
def store(database):
    now = datetime.now(UTC)  # not when this was loaded: the tests before may have taken half an hour
    with psycopg.connect(database.url("owner")) as session:
        for name, (principal, team, hours) in GRANTS.items():
            ends = now + timedelta(hours=hours)
            starts = ends - timedelta(days=1)
            whose = {"principal": principal} if principal else {"team": team}
            scope = json.dumps(scope_of(**whose, starts=starts.isoformat(), ends=ends.isoformat()))
            session.execute(
                "INSERT INTO grants (id, scope, status, principal, team, added_by, added_at, ends)"
                " VALUES (%s, %s, 'active', %s, %s, 'eve', now(), %s)",
                (name, scope, principal, team, ends),
            )
            session.execute(
                "INSERT INTO grant_datasets VALUES (%s, 'events', %s, %s, %s)", (name, principal, team, ends)
            )
    ledger = Ledger(database.engine(), gateway="gw-1", clock=lambda: now)
    yield GrantStore(database.engine(), ledger)
    ledger.close()


def test_of_the_grants_that_ended_a_read_looks_at_the_last(store):
    assert [grant.id for grant in store.candidates(ANA, "events")[1]] == ["g-02", "g-03", "g-04", "g-06", "g-07"]


def test_a_grant_that_has_only_ended_is_still_told_from_none(store):
    _, (ended,) = store.candidates(Principal("una", teams=("research",)), "events")
    assert (ended.id, ended.status) == ("g-06", GrantStatus.ACTIVE)
    assert store.candidates(Principal("una", teams=("sales",)), "events")[1] == []
    assert store.candidates(ANA, "long")[1] == []


def test_a_read_that_names_its_grant_looks_at_no_other(store):
    assert [grant.id for grant in store.candidates(ANA, "events", "g-01")[1]] == ["g-01"]
    assert [grant.id for grant in store.candidates(ANA, "events", "g-09")[1]] == ["g-09"], (
        "it is told that it is not hers"
    )
    assert store.candidates(ANA, "events", "g-10")[1] == []


@pytest.mark.parametrize("named", [None, "g-01", "g-10"])
@pytest.mark.parametrize("who", ["ana", "nobody"])
def test_grants_come_with_the_control_epoch_that_they_were_found_under(store, database, named, who):
    in_force = InForceStore(database.engine())
    with psycopg.connect(database.url("owner"), autocommit=True) as owner:
        for _ in range(2):
            epoch, _ = store.candidates(Principal(who), "events", named)
            assert epoch == in_force.read().epoch
            owner.execute("UPDATE audit_head SET epoch = epoch + 1")
            assert store.candidates(Principal(who), "events", named)[0] == in_force.read().epoch == epoch + 1


def test_without_its_head_the_ledger_says_of_nothing_that_it_is_in_force(store, database):
    with psycopg.connect(database.url("owner")) as owner:
        owner.execute("ALTER TABLE audit_head DISABLE TRIGGER USER")
        owner.execute("DELETE FROM audit_head")
    for ask in (InForceStore(database.engine()).read, partial(store.candidates, ANA, "events")):
        with pytest.raises(NotRecorded, match="lost its row"):
            ask()


def test_a_page_of_grants_is_ones_own(store):
    assert [grant.id for grant in store.page(ANA, "g-05", 2)] == ["g-04", "g-03"]
