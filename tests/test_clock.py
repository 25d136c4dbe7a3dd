"""A clock that is set back opens nothing that has ended."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import Database
from service import STAFF, make_data, prepared, scope_of
from sqlalchemy import Connection

from audit.entries import Entry, Kind
from authz.grants import put
from authz.guard import Refused
from authz.permit import Permit
from authz.tokens import TokenRefused
from gateway.clock import SteadyClock
from gateway.parts import Parts
from gateway.settings import Settings
from gateway.wiring import started
from policy.scopes import scope_from_json
from policy.values import Grant, Principal, ReadRequest
from remit.demo.provider import Provider

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ANA = Principal("ana", "person", ("research.ml",), (("privacy_training", "current"), ("region", "eu")))


class Wall:
    """The machine's clock, which somebody can set."""

    def __init__(self) -> None:
        self.moved = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.moved


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(people=STAFF) as running:
        yield running


@pytest.fixture
def parts(tmp_path: Path, database: Database, provider: Provider, wall: Wall) -> Iterator[Parts]:
    make_data(tmp_path)
    environment = prepared(tmp_path, database.url(), provider).settings
    with started(Settings.from_environment(environment), wall) as running:
        yield running


def granted(parts: Parts, name: str, *, ends: datetime) -> None:
    grant = Grant(name, scope_from_json(scope_of(ends=ends.isoformat())))

    def work(connection: Connection) -> Sequence[Entry]:
        put(connection, grant, by="eve", at=ends)
        return [Entry(Kind.GRANT_ADDED, "eve", grant=name)]

    parts.ledger.change(work)


def test_a_grant_that_has_ended_stays_ended_when_the_clock_is_set_back(parts: Parts, wall: Wall) -> None:
    now = datetime.now(UTC)
    granted(parts, "g-ended", ends=now - timedelta(seconds=1))
    granted(parts, "g-open", ends=now + timedelta(hours=1))
    wall.moved = timedelta(seconds=-45)
    ended = parts.guard.authorize(ReadRequest("events", ("x",), grant="g-ended"), ANA)
    assert isinstance(ended, Refused)
    assert ended.refusal.code == "expired"
    assert isinstance(parts.guard.authorize(ReadRequest("events", ("x",), grant="g-open"), ANA), Permit)


def test_a_token_that_has_expired_stays_expired_when_the_clock_is_set_back(
    parts: Parts, provider: Provider, wall: Wall
) -> None:
    now = int(datetime.now(UTC).timestamp())
    token = provider.issue("ana", ["research.ml"], iat=now - 900, exp=now - 31)
    wall.moved = timedelta(hours=-1)
    assert isinstance(parts.identity.verify(token), TokenRefused)
    assert isinstance(parts.identity.verify(provider.issue("ana", ["research.ml"])), Principal)


def test_time_goes_on_by_what_has_passed_where_the_clock_was_set_back_and_by_the_clock_else() -> None:
    walls = iter([NOON, NOON - timedelta(hours=1), NOON + timedelta(days=1), NOON + timedelta(seconds=3)])
    passed = iter([100.0, 107.5, 108.0, 109.0])
    clock = SteadyClock(lambda: next(walls), lambda: next(passed))
    assert clock() == NOON + timedelta(seconds=7.5)
    assert clock() == NOON + timedelta(days=1)
    assert clock() == NOON + timedelta(seconds=9)
