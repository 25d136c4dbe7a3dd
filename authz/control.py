"""What is in force now: the bundle and the pauses, known under one control epoch."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from audit.entries import Entry, Kind
from audit.errors import AuditError
from audit.ledger import Ledger
from audit.listening import CONTROL, listening
from policy.bundle import Bundle
from policy.values import Pause

from .pauses import PauseStore

log = structlog.get_logger()

CONFIRM_WITHIN = 2.0
"""Seconds after which a stream ends whose control epoch nobody could confirm."""

AT_LEAST_EVERY = 0.5
RETRY_AFTER = 0.2


@dataclass(frozen=True, slots=True)
class State:
    """One consistent view: everything in it was in force at `epoch` or became so under it."""

    epoch: int
    bundle: Bundle
    pauses: tuple[Pause, ...]


class Control:
    """Holds the `State`; whoever decides takes it, and the ledger refuses what was decided under an older epoch."""

    def __init__(self, ledger: Ledger, pauses: PauseStore, bundle: Bundle, *, actor: str) -> None:
        self._ledger = ledger
        self._pauses = pauses
        self._lock = threading.Lock()
        self._confirmed = time.monotonic()
        self._state = State(0, bundle, ())
        self.activate(bundle, actor=actor)

    @property
    def state(self) -> State:
        """What this process knows to be in force; it may be behind, which the ledger finds out."""
        return self._state

    def activate(self, bundle: Bundle, *, actor: str) -> None:
        """Put `bundle` in force: its entry carries both files whole, and the control epoch rises."""
        entry = Entry(
            Kind.POLICY_ACTIVATED,
            actor=actor,
            digest=bundle.digest,
            details={"policies": bundle.policies_text, "catalog": bundle.catalog_text},
        )

        def work(_: Connection) -> Sequence[Entry]:
            return [entry]

        with self._lock:
            (recorded,) = self._ledger.change(work)
            self._state = replace(self._state, bundle=bundle)
            self._read(recorded.epoch)

    def refresh(self) -> State:
        """Read the control epoch and what is in force under it; raises what the database raises."""
        with self._lock:
            epoch = self._ledger.head().epoch
            if epoch != self._state.epoch:
                self._read(epoch)
            self._confirmed = time.monotonic()
            return self._state

    def _read(self, epoch: int) -> None:
        """Take the pauses over. The epoch was read before them, so what changes meanwhile makes it stale."""
        pauses = tuple(one.pause for one in self._pauses.in_force())
        self._state = State(epoch, self._state.bundle, pauses)

    def confirm(self, epoch: int) -> None:
        """The ledger has just taken something that was decided under `epoch`: so it is the one in force."""
        if epoch == self._state.epoch:
            self._confirmed = time.monotonic()

    @property
    def is_confirmed(self) -> bool:
        """Whether the control epoch was read within the last `CONFIRM_WITHIN` seconds."""
        return time.monotonic() - self._confirmed <= CONFIRM_WITHIN


class Watch:
    """A thread that keeps `Control` current: at once when told of a change, and at least every half second."""

    def __init__(self, control: Control, engine: Engine) -> None:
        self._control = control
        self._engine = engine
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control-watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with listening(self._engine, CONTROL) as wait:
                    log.info("control_watched")
                    self._follow(wait)
            except (AuditError, SQLAlchemyError) as fault:
                # Nothing to do here: streams end by themselves when nobody confirms the epoch.
                log.warning("control_unconfirmed", fault=type(fault).__name__)
                self._stopping.wait(RETRY_AFTER)

    def _follow(self, wait: Callable[[float], None]) -> None:
        while not self._stopping.is_set():
            self._control.refresh()
            wait(AT_LEAST_EVERY)
