"""Checkpoints as the ledger grows: one thread of each gateway; of several gateways one signs at a time.

A ledger that is not what was appended or signed is never signed: it is an entry, which is a SEV1, and stays so until
the ledger verifies again.
"""

import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import cast

import psycopg
import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from . import keyfiles
from .checkpoints import LedgerChanged, Signed, sign, still_signing
from .entries import WRITER, Entry, Json, Kind
from .errors import AuditError, BadNote, KeyUnfit, NotReadable
from .head import Session
from .ledger import Ledger
from .ledger_keys import LedgerKeys, made_or_read, read
from .notes import Checkpoint, Note, Signer

SEEN = "ledger.checkpoint"
"""The last checkpoint that this gateway has seen: what it will not let anybody take back, beside the key."""
POLL = 0.2
LAST = 1.0
"""Seconds for which the end of a gateway waits for another one that is signing."""
APART = 0.6
"""Seconds between two checkpoints of one ledger, whoever signs: with `POLL` and the work, at most one behind."""
LATE = 30.0
"""Seconds without a checkpoint, while there is something to sign, after which this gateway is not well."""
TELL_AGAIN = 3600.0
NAME = text("UPDATE audit_tree SET origin = :origin WHERE origin = ''")
NAMED = text("SELECT origin FROM audit_tree")
NEWS = text("""
    SELECT h.size, h.size - t.size, h.frontier, clock_timestamp() - t.at > :apart * interval '1 s'
    FROM audit_head h, audit_tree t
""")
SAY = text("INSERT INTO audit_keys (vkey, became) VALUES (:vkey, :became) ON CONFLICT DO NOTHING")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Checkpointing:
    """How it is doing: entries under no checkpoint yet (None: unknown), what keeps it from signing, its last fault."""

    is_running: bool
    lag: int | None
    refused: str | None
    last_error: str | None

    @property
    def is_well(self) -> bool:
        """Whether the ledger is being signed, as far as is known."""
        return self.is_running and self.refused is None and self.last_error is None


class Checkpointer:
    """`with Checkpointer(…):` signs what the ledger holds, to its end. `home` keeps what this gateway has seen.

    Makes the key at `key` where there is none. A ledger without a name gets that of the key or of `name`, for good.
    Raises `KeyUnfit` where key and ledger do not belong together, or the ledger has retired the key.
    """

    def __init__(self, engine: Engine, ledger: Ledger, *, key: Path, home: Path, name: str = "") -> None:
        self._engine, self._ledger, self._key, self._seen_at = engine, ledger, key, home / SEEN
        self._keys, self._written = _keys_of(engine, key, name), _version(key)
        self._seen = _remembered(self._seen_at)
        self._announced: LedgerKeys | None = None
        self._good: tuple[int, bytes] | None = None
        self._told: tuple[str, float] | None = None
        self._lag: int | None = None
        self._late_from: float | None = None
        self._refused: str | None = None
        self._last_error: str | None = None
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="checkpointer", daemon=True)

    def __enter__(self) -> "Checkpointer":
        self._announce()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it, with what was recorded last signed; once it has ended, nothing."""
        self._stopping.set()
        self._thread.join()

    @property
    def origin(self) -> str:
        """The ledger's name, as this gateway's key says it: whoever changes the database does not change it here."""
        return self._keys.origin

    @property
    def checkpointing(self) -> Checkpointing:
        """How it is doing now."""
        return Checkpointing(self._thread.is_alive(), self._lag, self._refused, self._last_error)

    def look(self, *, is_last: bool = False) -> bool:
        """Signs what is new, if it is time or never will be again; False where another gateway is at it.

        Faults of the database are SQLAlchemy's, psycopg's or `AuditError`s.
        """
        self._announce()
        with self._engine.connect() as connection:
            news = connection.execute(NEWS, {"apart": 0 if is_last else APART}).one_or_none()
        if news is None:
            self._refuse(NotReadable("audit_tree has lost its row; run `remit audit verify`"))
            return True
        size, self._lag, frontier, is_time = news
        if (size, frontier) == self._good or not (is_time or self._refused):
            self._late_from = None
            return True
        try:
            with self._engine.connect() as connection, connection.begin():
                session = cast(Session, connection.connection.driver_connection)
                signed = sign(session, self._keys.signers, self._seen)
        except (LedgerChanged, NotReadable, BadNote) as change:
            self._refuse(change)
            return True
        if signed is None:
            self._check_late()
        else:
            self._late_from = None
            self._remember(signed)
            self._good = (size, frontier) if signed.checkpoint.size == size else None
            self._lag, self._refused, self._told = max(size - signed.checkpoint.size, 0), None, None
        return signed is not None

    def _run(self) -> None:
        while not self._stopping.wait(POLL):
            self._try(is_last=False)
        ends = time.monotonic() + LAST
        # Who is at it may have looked before the last entry was there, and may be ending too.
        while not self._try(is_last=True) and time.monotonic() < ends:
            time.sleep(0.05)

    def _try(self, *, is_last: bool) -> bool:
        try:
            done = self.look(is_last=is_last)
            self._last_error = None
        except (SQLAlchemyError, psycopg.Error, AuditError, OSError) as fault:
            self._last_error = type(fault.orig if isinstance(fault, DBAPIError) else fault).__name__
            reason = str(fault) if isinstance(fault, KeyUnfit | NotReadable) else None
            log.error("checkpoint_failed", fault=self._last_error, reason=reason)
            return True
        return done

    def _check_late(self) -> None:
        """Another gateway is at it: or somebody holds the row so that nobody signs. Raises `NotReadable`."""
        self._late_from = self._late_from or time.monotonic()
        if time.monotonic() - self._late_from > LATE:
            raise NotReadable(f"another session has held `audit_tree` for more than {LATE:.0f} s: nothing is signed")

    def _refuse(self, change: AuditError) -> None:
        """Says it in the ledger, which is a SEV1: once for each thing that is wrong, and again every hour."""
        self._refused = str(change)
        if self._told and self._told[0] == self._refused and time.monotonic() - self._told[1] < TELL_AGAIN:
            return
        seq = change.seq if isinstance(change, LedgerChanged) else 0
        log.error("checkpoint_refused", entry=seq, reason=self._refused)
        details: dict[str, Json] = {"why": self._refused, "entry": seq}
        self._ledger.append(Entry(Kind.CHECKPOINT_REFUSED, WRITER, code="ledger_changed", details=details))
        self._told = self._refused, time.monotonic()

    def _announce(self) -> None:
        """The keys, as they are in the file now, are said in the ledger before they sign."""
        if (version := _version(self._key)) != self._written:
            keys = read(self._key)
            if keys.origin != self._keys.origin:
                raise KeyUnfit(f"`{self._key}` is the key of another ledger")
            self._keys, self._written = keys, version
        if self._keys is self._announced:
            return
        keys = self._keys

        def work(connection: Connection) -> Sequence[Entry]:
            still_signing(cast(Session, connection.connection.driver_connection), keys.signers)
            became = [("activated", _activated(keys, signer)) for signer in reversed(keys.signers)]
            became += [("retired", Entry(Kind.KEY_RETIRED, WRITER, details={"vkey": str(k)})) for k in keys.retired]
            return [
                entry
                for what, entry in became
                if connection.execute(SAY, {"vkey": entry.details["vkey"], "became": what}).rowcount
            ]

        self._ledger.change(work, raises_epoch=False)
        self._announced = keys

    def _remember(self, signed: Signed) -> None:
        if self._seen == signed.checkpoint:
            return
        keyfiles.replace(self._seen_at, signed.note.encode())
        self._seen = signed.checkpoint


def _activated(keys: LedgerKeys, signer: Signer) -> Entry:
    details = {"vkey": str(signer.verifier)}
    if voucher := keys.voucher(signer):
        details["voucher"] = voucher
    return Entry(Kind.KEY_ACTIVATED, WRITER, details=details)


def _keys_of(engine: Engine, path: Path, name: str) -> LedgerKeys:
    wanted = name or (read(path).origin if os.path.lexists(path) else f"remit/{secrets.token_hex(8)}")
    with engine.begin() as connection:
        # Of two gateways that start at once, the first one's name counts.
        connection.execute(NAME, {"origin": wanted})
        origin = str(connection.execute(NAMED).scalar_one())
    if name not in ("", origin):
        raise KeyUnfit(f"this ledger is named `{origin}`, for good: set `REMIT_LEDGER_NAME` to that or leave it out")
    keys = made_or_read(path, origin)
    if keys.origin != origin:
        raise KeyUnfit(
            f"`{path}` is the key of the ledger `{keys.origin}`, and this one is `{origin}`: move it away, and a key "
            "for this ledger is made at the next start, or name its own with `REMIT_LEDGER_KEY`"
        )
    return keys


def _version(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def _remembered(path: Path) -> Checkpoint | None:
    try:
        return Checkpoint.parse(Note.parse(path.read_bytes()).text) if path.exists() else None
    except (BadNote, OSError) as wrong:
        raise KeyUnfit(
            f"`{path}` is not the checkpoint that this gateway saw last ({wrong}): take it away once "
            "`remit audit verify` and `remit audit restore-check` find the ledger whole"
        ) from wrong
