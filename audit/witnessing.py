"""Show each new checkpoint to the witnesses: one thread of each gateway, beside all reads and never before one.

All are asked about the same checkpoint at the same time, the newest, so that enough of them sign the same one. One that
fails is left alone for a while. That they fall behind, come back, or have seen another history is said in the ledger.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event, Thread
from typing import cast

import psycopg
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from . import cosignatures
from .cosignatures import Quorum
from .cosigner import Cosigner
from .entries import WRITER, Entry, Json, Kind
from .errors import AuditError, NotCosigned, OtherHistory
from .head import Session
from .ledger import Ledger
from .notes import Note
from .proofs import prove_consistency
from .tilestore import StoredTree

POLL = 0.25
ROUND = 10.0
"""Seconds that a round takes at most."""
LAST_ROUND = 3.0
"""Seconds that the last one takes at most: the end of the gateway waits for it, and for a request under way."""
LEFT_ALONE = 5.0
"""Seconds until a witness that failed is asked again."""
BEHIND = 300.0
"""Seconds after which a checkpoint that does not count yet is somebody's business."""
TELL_AGAIN = 3600.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Standing:
    """How witnessing is doing: the newest size that counts, how long the next one waits, and who failed and why."""

    is_running: bool
    counted: int | None
    waiting: float
    failing: Mapping[str, str]
    last_error: str | None


class Witnessing:
    """`with Witnessing(…):` shows checkpoints to the witnesses of `quorum`, to its end; to none it shows nothing."""

    def __init__(self, engine: Engine, ledger: Ledger, quorum: Quorum) -> None:
        self._engine, self._ledger, self._quorum = engine, ledger, quorum
        self._cosigners = [Cosigner(witness) for witness in quorum.witnesses]
        self._pool = ThreadPoolExecutor(max(1, len(self._cosigners)), thread_name_prefix="witness")
        self._failing: dict[str, str] = {}
        self._busy: dict[str, tuple[int, Future[NotCosigned | None]]] = {}
        self._left_alone: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._counted: int | None = None
        self._waiting = 0.0
        self._last_error: str | None = None
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="witnessing", daemon=True)

    def __enter__(self) -> "Witnessing":
        if self._cosigners:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for cosigner in self._cosigners:
            cosigner.close()
        self._pool.shutdown(cancel_futures=True)

    @property
    def standing(self) -> Standing:
        """How it is doing now."""
        running = self._thread.is_alive() or not self._cosigners
        return Standing(running, self._counted, self._waiting, dict(self._failing), self._last_error)

    def note(self) -> str | None:
        """The newest checkpoint that counts, with its cosignatures. A fault of the database is SQLAlchemy's."""
        with self._engine.connect() as connection:
            return cosignatures.counted_note(connection, self._quorum, self._counted or 0)

    def look(self) -> None:
        """Ask whoever has not signed the newest checkpoint, and say how that stands. Faults as of the ledger."""
        with self._engine.connect() as connection:
            newest = cosignatures.latest(connection)
            signed = cosignatures.signers(connection, newest[0], self._quorum) if newest else {}
        if newest is not None:
            self._ask(*newest, [each for each in self._cosigners if self._is_due(each, signed)])
        with self._engine.connect() as connection:
            found = cosignatures.counting(connection, self._quorum, self._counted or 0)
            self._counted = self._counted if found is None else found
            self._waiting = cosignatures.waiting(connection, self._counted or 0)
        if not self._stopping.is_set():  # nobody is left to sign that it was said; the next gateway says it
            self._say_whether_behind()

    def _is_due(self, cosigner: Cosigner, signed: Mapping[str, str]) -> bool:
        key = str(cosigner.witness.key)
        is_asked_again = self._left_alone.get(key, 0.0) <= time.monotonic() or self._stopping.is_set()
        return key not in signed and key not in self._busy and is_asked_again

    def _ask(self, size: int, note: Note, cosigners: Sequence[Cosigner]) -> None:
        """Whoever has not answered at the end of the round is left to it: a slow one must not hold up the others."""
        for cosigner in cosigners:
            self._busy[str(cosigner.witness.key)] = size, self._pool.submit(self._cosigned, cosigner, size, note)
        self._await_answers()
        for cosigner in self._cosigners:
            key, name = str(cosigner.witness.key), cosigner.witness.key.name
            if key not in self._busy:
                continue
            size, asked = self._busy[key]
            if not asked.done():
                self._fails(name, "it takes too long to answer")
                continue
            del self._busy[key]
            if fault := asked.result():
                self._fails(name, str(fault))
                self._left_alone[key] = time.monotonic() + LEFT_ALONE
                if isinstance(fault, OtherHistory) and self._is_newest(size):
                    self._say_other_history(name, str(fault), size)
            else:
                self._failing.pop(name, None)

    def _await_answers(self) -> None:
        """Until all have answered or the round is over; a stop ends it, for the last one is still to come."""
        is_last = self._stopping.is_set()
        ends = time.monotonic() + (LAST_ROUND if is_last else ROUND)
        asked = [asked for _, asked in self._busy.values()]
        while wait(asked, timeout=POLL).not_done and time.monotonic() < ends and self._stopping.is_set() is is_last:
            pass

    def _fails(self, name: str, why: str) -> None:
        if self._failing.get(name) != why:
            log.warning("not_cosigned", witness=name, reason=why)
        self._failing[name] = why

    def _cosigned(self, cosigner: Cosigner, size: int, note: Note) -> NotCosigned | None:
        try:
            signature = cosigner.cosign(note, self._proof)
        except NotCosigned as fault:
            return fault
        with self._engine.begin() as connection:
            cosignatures.keep(connection, size, cosigner.witness.key, signature)
        return None

    def _proof(self, old: int, size: int) -> list[bytes]:
        with self._engine.connect() as connection:
            session = cast(Session, connection.connection.driver_connection)
            tree = StoredTree.read(session)
            return tree.work(session, lambda node: prove_consistency(old, size, node))

    def _is_newest(self, size: int) -> bool:
        """Another gateway may have shown a newer checkpoint meanwhile: then being ahead of this one is no wonder."""
        with self._engine.connect() as connection:
            newest = cosignatures.latest(connection)
        return newest is not None and newest[0] == size

    def _say_other_history(self, witness: str, why: str, size: int) -> None:
        if time.monotonic() - self._told.get(witness, -TELL_AGAIN) < TELL_AGAIN:
            return
        details: dict[str, Json] = {"witness": witness, "why": why, "size": size}
        self._ledger.append(Entry(Kind.WITNESS_REFUSED, WRITER, code="other_history", details=details))
        self._told[witness] = time.monotonic()

    def _say_whether_behind(self) -> None:
        """Once when it begins and once when it ends, whichever gateway sees it first: the database knows."""
        is_behind = self._waiting > BEHIND
        details: dict[str, Json] = {"counted": self._counted or 0, "required": self._quorum.required}
        if is_behind:
            why = "; ".join(f"{name}: {fault}" for name, fault in sorted(self._failing.items()))
            details |= {"seconds": int(self._waiting), "failing": dict(self._failing), "why": why}
        entry = Entry(
            Kind.WITNESSES_BEHIND if is_behind else Kind.WITNESSES_BACK,
            WRITER,
            code="witnesses_behind" if is_behind else None,
            details=details,
        )
        with self._engine.connect() as connection:
            if cosignatures.is_said(connection, behind=is_behind):
                return
        self._ledger.change(
            lambda connection: [entry] if cosignatures.say(connection, behind=is_behind) else [], raises_epoch=False
        )

    def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stopping.wait(POLL)
            try:
                self.look()
                self._last_error = None
            except (SQLAlchemyError, psycopg.Error, AuditError) as fault:
                self._last_error = type(fault.orig if isinstance(fault, DBAPIError) else fault).__name__
                log.error("witnessing_failed", fault=self._last_error)
