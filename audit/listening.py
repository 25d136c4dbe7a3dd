"""Hear at once what others commit: LISTEN on a session of one's own, with a time limit on every wait."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from .errors import AuditError
from .instances import claim

ENTRIES = "remit_entries"
"""Notified when entries have committed, with the ledger's new size."""
CONTROL = "remit_control"
"""Notified when the control epoch has risen, with the new epoch."""


class NotHeard(AuditError):
    """The session that listened is gone, or never was; what was announced meanwhile has to be looked up."""


@contextmanager
def listening(engine: Engine, channel: str, gateway: str | None = None) -> Iterator[Callable[[float], None]]:
    """Yields `wait(seconds)`, which returns when something was announced on `channel` or the time is over.

    As long as it lasts, the instance `gateway` counts as living, also when it has nothing to append. Raises
    `NotHeard` where the database cannot be reached or goes away.
    """
    session = _session(engine, channel, gateway)
    try:
        yield lambda seconds: _wait(session, seconds)
    finally:
        session.close()


def _session(engine: Engine, channel: str, gateway: str | None) -> "psycopg.Connection[Any]":
    try:
        pooled = engine.raw_connection()
        session = cast("psycopg.Connection[Any]", pooled.driver_connection)
        # Out of the pool for good: it listens, and whoever borrowed it next would too.
        pooled.detach()
        session.autocommit = True
        session.execute(f"LISTEN {channel}")
        if gateway is not None:
            claim(session, gateway)
    except (psycopg.Error, SQLAlchemyError) as fault:
        raise NotHeard("the database cannot be reached to listen") from fault
    return session


def _wait(session: "psycopg.Connection[Any]", seconds: float) -> None:
    try:
        for _ in session.notifies(timeout=seconds, stop_after=1):
            pass
    except psycopg.Error as fault:
        raise NotHeard("the database went away while listening") from fault
