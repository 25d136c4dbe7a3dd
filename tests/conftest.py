"""Real parts for every test: one PostgreSQL for the session, and a database of its own for each test that asks."""

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from service import Service, serving
from sqlalchemy import Engine

from audit.engines import engine_for
from audit.postgres import GATEWAY, Embedded, Role
from audit.schema import migrate

# A slow machine is no failure: nothing here asserts on a time. The same examples each time, so that red means a change
# made it so; HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("remit", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", settings.get_profile("remit"), derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "remit"))

# Nobody is logged in: what the developer has kept must not be found, nor changed.
os.environ |= {"XDG_STATE_HOME": "/nowhere", "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}

TEMPLATE = "remit_template"
NUMBERS = itertools.count(1)


class Database:
    """A migrated database of a test's own on the session's server."""

    def __init__(self, server: Embedded, name: str) -> None:
        self.server = server
        self.name = name
        self._engines: dict[Role, Engine] = {}

    def url(self, role: Role = "gateway") -> str:
        """Its libpq URL for `gateway` or `owner`."""
        return _named(self.server.url(role), self.name)

    def engine(self, role: Role = "gateway") -> Engine:
        """One engine for each role, disposed of after the test."""
        if role not in self._engines:
            self._engines[role] = engine_for(self.url(role))
        return self._engines[role]

    def close(self) -> None:
        for engine in self._engines.values():
            engine.dispose()


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A short path that an account of PostgreSQL's own gets through, as pytest's own folders do not as root."""
    made = Path(tempfile.mkdtemp(prefix="remit-"))
    if os.geteuid() == 0:
        made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[Embedded]:
    """The session's PostgreSQL, with a migrated template.

    It never writes a checkpoint and is killed in the end: its many short-lived databases need not outlive it.
    """
    with Embedded.open(folder / "home") as embedded:
        with psycopg.connect(_named(embedded.url("owner"), "postgres"), autocommit=True) as connection:
            for setting in ("checkpoint_timeout = '1d'", "max_wal_size = '50GB'"):
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(_named(embedded.url("owner"), TEMPLATE), GATEWAY)
        yield embedded
        os.kill(int((embedded.place.data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)


@pytest.fixture
def database(server: Embedded) -> Iterator[Database]:
    """A fresh, migrated database: a copy of the template."""
    with made_database(server, f"test_{next(NUMBERS)}") as made:
        yield made


@pytest.fixture(scope="module")
def module_database(server: Embedded) -> Iterator[Database]:
    """One for all tests of a module that leave it as they found it: a copy is 300 files."""
    with made_database(server, f"test_{next(NUMBERS)}") as made:
        yield made


@contextmanager
def made_database(server: Embedded, name: str) -> Iterator[Database]:
    made = Database(server, name)
    with psycopg.connect(_named(server.url("owner"), "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield made
    made.close()  # it goes with the session's folder: dropping one would wait for a checkpoint


@pytest.fixture(scope="session")
def service(server: Embedded, folder: Path) -> Iterator[Service]:
    """One gateway for every test that leaves it as it found it: grants may be added, nothing paused or stopped."""
    place = folder / "service"
    place.mkdir(mode=0o700)
    with made_database(server, "shared_service") as made, serving(place, made.url()) as running:
        yield running


@pytest.fixture
def own_service(database: Database, folder: Path) -> Iterator[Service]:
    """A gateway of the test's own, to be paused, killed and reloaded."""
    place = Path(tempfile.mkdtemp(dir=folder))
    with serving(place, database.url()) as running:
        yield running


def _named(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
