"""Follow the ledger. One thread turns what is written there into alerts, and hands on those that were raised.

The ledger is the queue: a crash loses nothing, an append never waits. Each entry counts once, see `Alerts.take`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread

import structlog
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .alert_tables import ALERT_CURSOR
from .alerts import Alerts
from .errors import AuditError
from .listening import ENTRIES, listening
from .mending import mended_of
from .signals import Alert, signal_of
from .tables import AUDIT_HEAD
from .trail import after

_POLL = 0.5
_REST = 0.2
"""Seconds from hearing of an entry to the look: what is written meanwhile is read together, and answered first."""
_BEHIND_OTHERS = 0.5
"""The same once another gateway was faster: it does what there is to do, until it stops."""
_BATCH = 500

_PLACE = select(ALERT_CURSOR.c.seq, select(AUDIT_HEAD.c.size).scalar_subquery())

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Following:
    """How alerting is doing: entries not looked at yet (None before the first look), and what last went wrong.

    `last_error` is the fault's name; None while the ledger is being followed, and only then.
    """

    is_running: bool
    lag: int | None
    last_error: str | None


class Follower:
    """`with Follower(…):` follows the ledger until it ends; `deliver` gets each raised alert and must not block."""

    def __init__(self, engine: Engine, alerts: Alerts, deliver: Callable[[Alert], None]) -> None:
        # What it asks is one statement each, which needs no BEGIN and COMMIT.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._alerts, self._deliver = alerts, deliver
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="follower", daemon=True)
        self._rest = _REST
        self._lag: int | None = None
        self._last_error: str | None = None

    def __enter__(self) -> "Follower":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def following(self) -> Following:
        """How alerting is doing now."""
        is_running = self._thread.is_alive()
        return Following(is_running, self._lag, self._last_error if is_running else "not running")

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with listening(self._engine, ENTRIES) as wait:
                    self._follow(wait)
            except (SQLAlchemyError, AuditError) as error:
                self._last_error = _name_of(error)
                log.error("alerting_interrupted", error=self._last_error)
                self._stopping.wait(_POLL)

    def _follow(self, wait: Callable[[float], None]) -> None:
        while not self._stopping.is_set():
            has_more = self._look()
            self._last_error = None
            if not has_more:
                wait(_POLL)
                self._stopping.wait(self._rest)

    def _look(self) -> bool:
        """Take the next batch; whether there is more behind it."""
        with self._engine.connect() as connection:
            cursor, size = connection.execute(_PLACE).one()
        self._lag = size - cursor
        if not self._lag:
            return False
        lines = after(self._engine, cursor, _BATCH)
        signals = [signal for line in lines if (signal := signal_of(line.seq, line.doc))]
        mended = [over for line in lines if (over := mended_of(line.seq, line.doc))]
        raised = self._alerts.take(signals, mended, after=cursor, upto=lines[-1].seq)
        self._lag = size - lines[-1].seq
        self._rest = _BEHIND_OTHERS if raised is None else _REST
        for alert in raised or ():
            log.warning("alert_raised", alert=alert.id, severity=str(alert.severity), title=alert.title)
            self._deliver(alert)
        return len(lines) == _BATCH


def _name_of(error: Exception) -> str:
    """The fault's name alone: its message may hold the statement and its parameters."""
    return type(error.orig if isinstance(error, DBAPIError) else error).__name__
