"""Spans are read by several processes in one snapshot of the database: hashing and parsing want all cores.

A small ledger is read here: a process takes longer to start than to verify it.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import psycopg

from .checkpoints import BY_INDEX
from .errors import NotReadable
from .head import Session
from .notes import Verifier
from .spans import Span, Task, read_span
from .tilestore import StoredTree
from .wording import Wordings

FEW = 16
"""Spans that are read by this process alone."""
MOST_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be read, and with what."""

    url: str
    tree: StoredTree
    keys: tuple[Verifier, ...]
    sizes: tuple[int, ...]
    tasks: tuple[Task, ...]

    def do(self, session: Session, tasks: Sequence[Task]) -> Iterator[Span]:
        """Some of the tasks, one after the other."""
        known = Wordings()
        for task in tasks:
            yield read_span(session, self.tree, task, self.keys, self.sizes, known)


def read_spans(session: Session, work: Work) -> Iterator[Span]:
    """Every span, in order. Raises psycopg's errors, and `NotReadable` where a worker fails."""
    count = min(os.cpu_count() or 1, MOST_WORKERS)
    if len(work.tasks) <= FEW or count == 1:
        yield from work.do(session, work.tasks)
        return
    (snapshot,) = session.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
    # A process that has no other threads can be copied at once; else a new one is safe, and half a second slower.
    is_alone = sys.platform == "linux" and threading.active_count() == 1
    context = multiprocessing.get_context("fork") if is_alone else multiprocessing.get_context("spawn")
    pipes, processes = list[Connection](), []
    try:
        for number in range(count):
            ours, theirs = context.Pipe(duplex=False)
            pipes.append(ours)
            process = context.Process(target=_worker, args=(work, snapshot, number, count, theirs), daemon=True)
            # Ctrl-C is for this process, which ends the others: in them it would only be a traceback on the terminal.
            masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            process.start()
            processes.append(process)
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
            theirs.close()
        for number in range(len(work.tasks)):
            yield _received(pipes[number % count])
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _received(pipe: Connection) -> Span:
    try:
        found = pipe.recv()
    except EOFError:
        raise NotReadable("a process that read the ledger ended before it was done") from None
    if isinstance(found, Span):
        return found
    raise NotReadable(f"the ledger cannot be read: {found}")


def _worker(work: Work, snapshot: str, number: int, count: int, pipe: Connection) -> None:
    try:
        with psycopg.connect(work.url) as session:
            session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # The name comes from the database, and the statement takes no parameter.
            session.execute(psycopg.sql.SQL("SET TRANSACTION SNAPSHOT {}").format(psycopg.sql.Literal(snapshot)))
            session.execute(BY_INDEX)
            for span in work.do(session, work.tasks[number::count]):
                pipe.send(span)
    except psycopg.Error as fault:
        pipe.send(str(fault).strip().splitlines()[0])
