"""Engines for libpq URLs: psycopg through SQLAlchemy, with the time limits that a record needs."""

import select
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import InvalidatePoolError

from .errors import DatabaseUnfit

LIMITS = {
    "statement_timeout": "15s",
    "lock_timeout": "10s",
    # Whoever vanishes while it holds the head row would stop every read: its transaction ends before others give up.
    "idle_in_transaction_session_timeout": "5s",
}
NETWORK: Mapping[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""Seconds, and milliseconds for `tcp_user_timeout`: a database that went silent is a fault within 15 seconds."""
WRITE_IT = "write it as postgresql://role@host/name, and in a password `%25` for `%` and `%40` for `@`"


def engine_for(url: str, *, connections: int = 20) -> Engine:
    """An engine for a libpq URL, `postgresql://role@/name?host=/socket/folder` for instance. Connects to nothing yet.

    What the URL itself sets wins over the limits here. Raises `DatabaseUnfit` where libpq cannot read it.
    """
    given = settings_of(url)
    options = " ".join(f"-c {name}={value}" for name, value in LIMITS.items())
    settings = {"application_name": "remit", **NETWORK, **given, "options": f"{options} {given.get('options', '')}"}

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect("", **settings)

    # The last that came back goes first: it has prepared what it was asked, and its caches are warm.
    engine = create_engine(
        "postgresql+psycopg://", creator=connect, pool_size=connections, max_overflow=0, pool_use_lifo=True
    )
    event.listen(engine, "checkout", _refuse_the_dead)
    return engine


def settings_of(url: str) -> Mapping[str, Any]:
    """What libpq reads in a URL. Raises `DatabaseUnfit` where it is none, without a word of the password in it.

    libpq quotes what it does not understand, and takes what stands behind the first `@` for the host: where a password
    has a `%` or a `@` in it, both would say a part of it.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError as problem:
        why = str(problem).partition(":")[0]
        raise DatabaseUnfit(f"the database's URL is not libpq's: {why}; {WRITE_IT}") from None
    if "@" in str(given.get("host") or "")[1:]:  # in front it says that a socket has a name and no file
        raise DatabaseUnfit(f"the database's URL is not libpq's: there is a `@` in the host; {WRITE_IT}")
    return given


def is_quiet(session: psycopg.Connection[Any]) -> bool:
    """Whether the server has said nothing since it last answered: a session that it ended has its farewell waiting.

    Asks the socket, not the server, so that it costs no round trip.
    """
    if session.closed:
        return False
    poll = select.poll()
    poll.register(session.fileno(), select.POLLIN)
    return not poll.poll(0)


def _refuse_the_dead(session: psycopg.Connection[Any], *_: object) -> None:
    """A connection out of the pool whose server has gone is replaced, and so are all that are as old."""
    if not is_quiet(session):
        raise InvalidatePoolError
