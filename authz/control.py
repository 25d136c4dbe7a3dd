"""What is in force now: the bundle and the pauses, known under one control epoch."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from audit.entries import Entry, Json, Kind
from audit.errors import AuditError, NotRecorded, StaleEpoch
from audit.ledger import Ledger
from audit.listening import CONTROL, listening
from policy.bundle import Bundle
from policy.errors import MisreadAll
from policy.values import Pause, Principal

from .gate import Acceptance, Gate
from .in_force import InForce, InForceStore

log = structlog.get_logger()

CONFIRM_WITHIN = 2.0
"""Seconds after which a stream ends whose control epoch nobody could confirm."""

ATTEMPTS = 50
"""How often a bundle is held against the hold checks anew while the control epoch keeps rising."""

MOST_PROBLEMS = 50
"""Problems of a refused file that its entry names."""
AT_LEAST_EVERY = 0.5
RETRY_AFTER = 0.2


@dataclass(frozen=True, slots=True)
class State:
    """One consistent view: everything in it was in force at `epoch` or became so under it.

    `is_agreed` says whether `bundle` is the one that was put in force last, by whichever gateway.
    """

    epoch: int
    bundle: Bundle
    pauses: tuple[Pause, ...]
    is_agreed: bool


class Control:
    """Holds the `State`; whoever decides takes it, and the ledger refuses what was decided under an older epoch.

    `load` reads the files anew; it raises `MisreadAll`. `gate` is asked before a bundle is put in force.
    """

    def __init__(
        self,
        ledger: Ledger,
        stored: InForceStore,
        load: Callable[[], Bundle],
        bundle: Bundle,
        gate: Gate,
    ) -> None:
        self._gate = gate
        self._ledger = ledger
        self._stored = stored
        self._load = load
        self._lock = threading.Lock()
        self._reloading = threading.Lock()
        self._confirmed = -CONFIRM_WITHIN
        self._state = State(-1, bundle, (), is_agreed=False)

    @property
    def state(self) -> State:
        """What this process knows to be in force; it may be behind, which the ledger finds out.

        Raises `NotRecorded` while another gateway has put a bundle in force that the files here do not give.
        """
        state = self._state
        if not state.is_agreed:
            raise NotRecorded("another bundle is in force than the files of this gateway give; bring them up to date")
        return state

    def activate(self, bundle: Bundle, *, actor: str) -> None:
        """Put `bundle` in force: its entry carries both files whole, and the control epoch rises.

        Raises `BundleHeld` where it would open what was closed and two people have not accepted that.
        """
        for _ in range(ATTEMPTS):
            before = self._stored.read()
            is_new = before.digest != bundle.digest
            accepted = self._gate.pass_through(bundle, actor=actor) if is_new else ()
            try:
                return self._put(bundle, actor, accepted, before.epoch)
            except StaleEpoch:
                continue
        raise NotRecorded("what is in force keeps changing; the bundle was never held against the newest of it")

    def _put(self, bundle: Bundle, actor: str, accepted: tuple[str, ...], epoch: int) -> None:
        details: dict[str, Json] = {"policies": bundle.policies_text, "catalog": bundle.catalog_text}
        details |= {"accepted_by": list(accepted)} if accepted else {}
        entry = Entry(Kind.POLICY_ACTIVATED, actor=actor, digest=bundle.digest, details=details)

        def work(connection: Connection) -> Sequence[Entry]:
            self._stored.put_bundle(connection, bundle.digest)
            return [entry]

        with self._lock:
            asked = time.monotonic()
            self._ledger.change(work, epoch=epoch)
            self._state = replace(self._state, bundle=bundle)
            self._take(self._stored.read())
            self._confirmed = asked

    def reload(self, *, actor: str) -> Bundle:
        """Put the files in force as they are now; where they are refused, record why, raise it, and change nothing."""
        with self._reloading:
            bundle = self._loaded(actor)
            self.activate(bundle, actor=actor)
            return bundle

    def accept(self, digest: str, *, by: Principal, why: str) -> Acceptance | None:
        """Accept the files as they are now, with what they open; None where `digest` is not theirs."""
        bundle = self._loaded(by.name)
        return self._gate.accept(bundle, by=by, why=why) if bundle.digest == digest else None

    def _loaded(self, actor: str) -> Bundle:
        try:
            return self._load()
        except MisreadAll as wrong:
            self._ledger.append(_refused(wrong, actor, self._state.bundle.digest))
            raise

    def refresh(self) -> State:
        """Read what is in force now; raises `NotRecorded`, or what the database raises.

        Whoever waited while another asked has that answer: it is newer than the question.
        """
        asked = time.monotonic()
        with self._lock:
            if self._confirmed < asked:
                asking = time.monotonic()
                found = self._stored.read()
                if found.epoch != self._state.epoch or not self._state.is_agreed:
                    self._take(found)
                self._confirmed = asking
            return self.state

    def confirm(self, epoch: int, asked: float) -> None:
        """The ledger took something that was decided under `epoch`, and was asked at monotonic time `asked`."""
        if epoch == self._state.epoch:
            self._confirmed = max(self._confirmed, asked)

    @property
    def is_confirmed(self) -> bool:
        """Whether the control epoch was asked for within the last `CONFIRM_WITHIN` seconds, and answered."""
        return self._state.is_agreed and time.monotonic() - self._confirmed <= CONFIRM_WITHIN

    def _take(self, found: InForce) -> None:
        bundle = self._state.bundle
        if bundle.digest != found.digest:
            bundle = self._found(found.digest) or bundle
        self._state = State(found.epoch, bundle, found.pauses, is_agreed=bundle.digest == found.digest)

    def _found(self, digest: str) -> Bundle | None:
        """The bundle that another gateway put in force, if the files here have become the same."""
        try:
            bundle = self._load()
        except MisreadAll as wrong:
            log.error("bundle_in_force_not_understood", problem=str(wrong).splitlines()[0])
            return None
        if bundle.digest != digest:
            log.error("bundle_in_force_not_here", in_force=digest, here=bundle.digest)
            return None
        return bundle


def _refused(wrong: MisreadAll, actor: str, digest: str) -> Entry:
    problems = [str(each) for each in wrong.problems]
    details: dict[str, Json] = {"problems": problems[:MOST_PROBLEMS], "in_all": len(problems)}
    return Entry(Kind.POLICY_REFUSED, actor=actor, digest=digest, details=details)


class Watch:
    """A thread that keeps `Control` current: at once when told of a change, and at least every half second.

    Its session is also how other gateways see that this `instance` lives, and does not leave reads behind.
    """

    def __init__(self, control: Control, engine: Engine, instance: str) -> None:
        self._control = control
        self._engine = engine
        self._instance = instance
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control-watch", daemon=True)

    @property
    def is_running(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with listening(self._engine, CONTROL, self._instance) as wait:
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
