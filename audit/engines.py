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


def engine_for(url: str, *, connections: int = 20) -> Engine:
    """An engine for a libpq URL, `postgresql://role@/name?host=/socket/folder` for instance. Connects to nothing yet.

    What the URL itself sets wins over the limits here. Raises `DatabaseUnfit` where libpq cannot read it.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError as problem:
        raise DatabaseUnfit(f"the database's URL is not libpq's: {problem}".strip()) from None
    options = " ".join(f"-c {name}={value}" for name, value in LIMITS.items())
    settings = {"application_name": "remit", **NETWORK, **given, "options": f"{options} {given.get('options', '')}"}

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect("", **settings)

    engine = create_engine("postgresql+psycopg://", creator=connect, pool_size=connections, max_overflow=0)
    event.listen(engine, "checkout", _refuse_the_dead)
    return engine


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
