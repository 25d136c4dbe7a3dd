"""The ledger: append, and know that it is durable. What always holds:

1. `seq` has no gaps, and its order is the order of the tree's leaves: whoever writes moves `audit_head` from the head
   that both were counted from, in the same statement.
2. `append` returns after the commit, with `synchronous_commit` on.
3. An entry decided under an older control epoch than the head's is not written.
4. Time never runs back from one entry to the next.
5. Whoever appends holds its instance's lock on the same session.

A batch goes out in one round trip: a statement that writes it only where the head is still the one that the batch
before left behind. Where it is not (another gateway, a change), nothing was written, and the batch goes under the lock.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import cast

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from .committer import Committer, Outcome, Recorded, Slip
from .drafts import Draft, draft
from .engines import is_quiet
from .entries import Entry
from .errors import NotRecorded, StaleEpoch
from .head import Batch, Head, Session, begun, lock_head, read_head, write
from .instances import claim, interruptions, left_open, missing, orphans

Work = Callable[[Connection], Sequence[Entry]]
JUST_NOW = 0.001
"""Seconds for which a session that answered is taken to live: to ask lets all who wait for the interpreter go first."""


class Ledger:
    """One gateway's hand in the ledger. `gateway` names this instance and no other; `clock` gives aware UTC times."""

    def __init__(self, engine: Engine, *, gateway: str, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._asking = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._gateway = gateway
        self._clock = clock
        self._own: Connection | None = None
        self._last: Head | None = None
        self._is_alone = True
        self._answered = 0.0
        self._doubtful: set[str] = set()
        self._committer = Committer(self._write_batch)

    def append(self, entry: Entry, *, epoch: int | None = None) -> Recorded:
        """Waits until `entry` is durable; concurrent callers share a transaction.

        Raises `StaleEpoch` where the control epoch is not `epoch` any more, `NotRecorded` on any fault: the entry
        may be in the ledger all the same; a read that was so authorised is then closed as interrupted.
        """
        return self._committer.submit(draft(entry, self._gateway), epoch)

    def change(self, work: Work, *, raises_epoch: bool = True, epoch: int | None = None) -> tuple[Recorded, ...]:
        """Runs `work`, which writes what it changes and returns the entries that say so, in one durable transaction.

        Nothing else is appended meanwhile; without an entry the epoch stays. Raises what `work` raises, and then
        nothing was changed; `StaleEpoch` where the control epoch is not `epoch` any more; `NotRecorded` on a fault
        of the database, whose outcome may be unknown.
        """
        with _translated(), self._engine.connect() as connection, connection.begin():
            return self.change_within(connection, work, raises_epoch=raises_epoch, epoch=epoch)

    def change_within(
        self, connection: Connection, work: Work, *, raises_epoch: bool, epoch: int | None = None
    ) -> tuple[Recorded, ...]:
        """As `change`, in a transaction that the caller began and commits: from here on all who append wait for it.

        Before, it must have locked nothing that others lock while they have the head.
        """
        with _translated():
            session = _session(connection)
            head = lock_head(session, begins=False)
            if epoch not in (None, head.epoch):
                raise StaleEpoch(head.epoch)
            drafts = [draft(entry, self._gateway) for entry in work(connection)]
            # No entry: nothing happened that anybody has to decide anew for.
            return _recorded(head, self._written(session, head, drafts, raises_epoch=raises_epoch)) if drafts else ()

    def missing(self) -> frozenset[str]:
        """Other gateways that left reads open and hold no lock just now. Raises `NotRecorded`."""
        with _translated(), self._engine.connect() as connection:
            return missing(_session(connection), self._gateway)

    def close_orphans(self, gateways: Iterable[str]) -> tuple[Recorded, ...]:
        """Closes what those of `gateways` left open whose lock is still free, as `read.interrupted`."""
        return self.change(lambda connection: orphans(_session(connection), gateways), raises_epoch=False)

    def head(self) -> Head:
        """The ledger's end as of now. Raises `NotRecorded` where the database does not answer."""
        with _translated(), self._asking.connect() as connection:
            return read_head(_session(connection))

    def probe(self) -> None:
        """Goes the way of an append but for the entry: the lock, the clock, a durable commit. The trail stays quiet.

        Raises `NotRecorded` where an append would fail: no database, no room on its disk, a clock that is behind.
        """
        with _translated(), self._engine.connect() as connection, connection.begin():
            session = _session(connection)
            lock_head(session, begins=False).moment(self._clock())
            session.execute("UPDATE audit_head SET size = size")

    def is_open(self, read: str) -> bool:
        """Whether `read` was authorised and has no end yet. Raises `NotRecorded` where the database does not answer."""
        with _translated(), self._asking.connect() as connection:
            return left_open(_session(connection), read)

    def close(self) -> None:
        """Writes what is waiting, then refuses more. The engine stays the caller's."""
        self._committer.close()
        self._leave()

    def _write_batch(self, slips: Sequence[Slip]) -> Sequence[Outcome]:
        try:
            return self._try_batch(slips)
        except BaseException:  # a signal too: what is half done on the session is nobody's to go on with
            self._leave()
            raise

    def _try_batch(self, slips: Sequence[Slip]) -> Sequence[Outcome]:
        with _translated():
            return self._unlocked(slips) or self._locked(slips)

    def _unlocked(self, slips: Sequence[Slip]) -> Sequence[Outcome]:
        """Writes after the head that this ledger left behind; nothing, and no outcome, where that may not do."""
        head = self._last
        if self._own is None or head is None or not self._is_alone or self._doubtful:
            return ()
        session = _session(self._own)
        is_alive = time.monotonic() - self._answered < JUST_NOW or is_quiet(session)
        if not is_alive or any(slip.epoch not in (None, head.epoch) for slip in slips):
            return ()
        batch = Batch([slip.draft for slip in slips], self._gateway, head.moment(self._clock()))
        self._doubtful.update(begun(batch.drafts))
        grown = write(session, head, batch)
        self._doubtful.clear()
        if grown is None:
            return ()
        self._last = grown
        self._answered = time.monotonic()
        return _recorded(head, grown)

    def _locked(self, slips: Sequence[Slip]) -> Sequence[Outcome]:
        session, head = self._with_lock()
        # Where somebody else wrote since, the next batch does not hope either.
        self._is_alone = self._last in (None, head)
        fresh = [slip for slip in slips if slip.epoch in (None, head.epoch)]
        unknown = self._left_unknown(session)
        drafts = unknown + [slip.draft for slip in fresh]
        self._doubtful.update(begun(drafts))
        self._last = self._written(session, head, drafts) if drafts else head
        session.execute("COMMIT")
        if drafts:
            self._doubtful.clear()
        written = iter(_recorded(head, self._last)[len(unknown) :])
        return [next(written) if slip.epoch in (None, head.epoch) else StaleEpoch(head.epoch) for slip in slips]

    def _left_unknown(self, session: Session) -> list[Draft]:
        """Ends for reads whose commit was never heard of: nobody may read on the strength of them.

        What is not in the ledger by now never will be once this transaction has moved the head: it is still on its
        way to the server, made for the head of before. Until one has, these reads stay in doubt.
        """
        if not self._doubtful:
            return []
        return [draft(entry, self._gateway) for entry in interruptions(session, reads=sorted(self._doubtful))]

    def _written(self, session: Session, head: Head, drafts: Sequence[Draft], *, raises_epoch: bool = False) -> Head:
        """Writes after `head`, whose lock this transaction has."""
        batch = Batch(drafts, self._gateway, head.moment(self._clock()), raises_epoch)
        grown = write(session, head, batch)
        if grown is None:
            raise NotRecorded("audit_head moved under its lock; run `remit audit verify`")
        return grown

    def _with_lock(self) -> tuple[Session, Head]:
        """The session with the head's lock: a new one where the one kept from before has died meanwhile."""
        if self._own is not None:
            session = _session(self._own)
            try:
                return session, lock_head(session, begins=True)
            except psycopg.OperationalError:
                if not session.closed:
                    raise
                self._leave()
        self._own = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        session = _session(self._own)
        claim(session, self._gateway)
        return session, lock_head(session, begins=True)

    def _leave(self) -> None:
        """Ends the session for good, and with it the instance's lock: in the pool it would live on."""
        if self._own is not None:
            self._own.invalidate()
            self._own.close()
            self._own, self._last = None, None


def _recorded(head: Head, grown: Head) -> tuple[Recorded, ...]:
    return tuple([Recorded(seq, grown.at, grown.epoch) for seq in range(head.size + 1, grown.size + 1)])


def _session(connection: Connection) -> Session:
    """The driver's own connection: what is written goes past SQLAlchemy."""
    driver = connection.connection.driver_connection
    if driver is None:
        raise psycopg.InterfaceError("the connection is closed")
    return cast(Session, driver)


@contextmanager
def _translated() -> Iterator[None]:
    """The one place where a fault of the database becomes `NotRecorded`."""
    try:
        yield
    except (psycopg.Error, SQLAlchemyError) as fault:
        reason = str(getattr(fault, "orig", None) or fault).strip().partition("\n")[0]
        raise NotRecorded(f"the ledger could not be written: {reason}") from fault
