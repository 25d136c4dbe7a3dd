"""One call on the way of a checkpoint fails, or its process dies in it: in the database, the signer or the witness.

Afterwards the ledger verifies, what was handed out before is still signed and still the ledger's, and the witness has
vouched for one history and signs no other.
"""

import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from faulting import Fault
from straced import calls, traced
from witnessing import HTTP, Running, clean_environment, make_key

from audit.keyfiles import kept
from audit.ledger_keys import NAME
from audit.merkle import leaf_hash
from audit.notes import SIGNED, Checkpoint, Note, Signer
from audit.postgres import GATEWAY, Embedded
from audit.restored import Outcome, Seen, compare
from audit.schema import migrate
from audit.submissions import Submission, address
from audit.verify import verify

HERE = Path(__file__).parent
KEY = Signer("log.example/remit", SIGNED, b"l" * 32)
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE usename = 'remit_gateway' AND datname = current_database()"
NOTES = "SELECT note FROM audit_checkpoints WHERE size IN (SELECT size FROM audit_cosignatures) ORDER BY size DESC"
PATIENCE = 240
"""Seconds until mending is given up: three processes start in it, on a machine that does much else."""
SILENT = 30
"""Seconds: longer than all that the signer itself waits for."""
PLACES = tuple(
    Fault(side, call, what)
    for side, call, faults in (
        ("database", "pwrite64", ("error=EIO", "signal=KILL")),
        ("database", "fdatasync", ("error=EIO", "signal=KILL")),
        ("database", "sendto", ("error=EPIPE", "signal=KILL")),
        # No error here: libpq would wait for the reason from a server that knows of none.
        ("signer", "sendto", ("signal=KILL",)),
        ("signer", "write", ("error=ENOSPC", "signal=KILL")),
        ("signer", "fsync", ("error=EIO", "signal=KILL")),
        ("signer", "rename", ("error=EIO", "signal=KILL")),
        # The disk's, and the socket's: it answers with the same call.
        ("witness", "write", ("error=ENOSPC", "error=EPIPE", "signal=KILL")),
        ("witness", "fsync", ("error=EIO", "signal=KILL")),
        ("witness", "rename", ("error=EIO", "signal=KILL")),
    )
    for what in faults
)
"""Writing and flushing the log, answering; asking, remembering what was signed; remembering, answering."""


@dataclass
class Signing:
    """A database, a process that appends and signs, and a witness, each of which may die."""

    database: Embedded
    home: Path
    witness: Running
    process: "subprocess.Popen[str]" = field(init=False)
    handed_out: str = ""

    def start(self) -> None:
        command = [sys.executable, str(HERE / "checkpointing.py"), self.database.url("gateway"), str(self.home)]
        self.process = subprocess.Popen(
            [*command, self.witness.url, str(self.witness.key)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        self._answer()

    def look(self) -> bool:
        """Whether one more entry is signed and co-signed; a process that is dead says nothing."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write("look\n")
            self.process.stdin.flush()
        except OSError:
            return False
        return self._answer().startswith("signed")

    def _answer(self) -> str:
        """Its next line; none where it is dead, or says nothing for so long that it gets killed."""
        assert self.process.stdout is not None
        until = time.monotonic() + SILENT
        while time.monotonic() < until:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                return self.process.stdout.readline()
            if _is_dead(self.process.pid):  # its pipe stays open while strace holds one of its threads
                return ""
        self.process.kill()
        return ""

    def mend(self) -> None:
        """Starts what is dead, as whoever runs it would, and waits until a checkpoint counts again."""
        until = time.monotonic() + PATIENCE
        while True:
            self.database.ensure_running()
            if self.witness.process.poll() is not None:
                self.witness.start()
                self._restart()
            if self.process.poll() is not None:
                self._restart()
            if self.look():
                break
            assert time.monotonic() < until, "no checkpoint counts any more"
            time.sleep(0.05)
        with psycopg.connect(self.database.url("owner")) as session:
            self.handed_out = str((session.execute(NOTES).fetchone() or ("",))[0])

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.witness.stop()

    def _restart(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.start()

    def pids(self, side: str) -> list[int]:
        if side == "database":
            with psycopg.connect(self.database.url("owner")) as session:
                return [pid for (pid,) in session.execute(BACKENDS)]
        return [self.process.pid if side == "signer" else self.witness.process.pid]

    def calls(self, place: Fault) -> int:
        """How many of the calls of `place` one thread makes, at most, on the way of a checkpoint."""
        self.mend()
        with traced(self.pids(place.side), "-e", f"trace={place.call}") as seen:
            assert self.look()
            made = Counter(call.pid for call in calls(seen) if call.name == place.call)
        return max(made.values(), default=0)

    def hold(self, fault: Fault) -> None:
        """A checkpoint is made while `fault` happens; then what must always hold is looked at."""
        self.mend()
        before = self.handed_out
        with traced(self.pids(fault.side), *fault.options):
            self.look()
        self.mend()
        url, keys = self.database.url("owner"), [KEY.verifier]
        for since in ("", before, self.handed_out):
            verdict = verify(url, keys=keys, since=since)
            assert verdict.problems == (), (fault, bool(since), verdict.problems)
        seen = Note.parse(HTTP.get(f"{self.witness.url}/{address(KEY.name)}/checkpoint").content)
        assert compare(url, Seen.of(seen, [self.witness.key])).outcome in (Outcome.SAME, Outcome.AHEAD), fault
        assert not self._signs_another(Checkpoint.parse(seen.text)), fault

    def _signs_another(self, seen: Checkpoint) -> bool:
        """Whether the witness vouches for another history, which whoever has the log's key shows it."""
        other = str(Checkpoint(KEY.name, seen.size, leaf_hash(b"another")))
        larger = str(Checkpoint(KEY.name, seen.size + 1, leaf_hash(b"another")))
        asked = [Submission(seen.size, (), Note(text, (KEY.sign(text),))) for text in (other, larger)]
        return any(self.witness.add(each).status_code == 200 for each in asked)


def _is_dead(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state in "ZX"


@contextmanager
def signing(place: Path) -> Iterator[Signing]:
    """All three in `place`, until the end of the `with`."""
    kept(place / "home" / NAME, lambda: f"{KEY.text()}\n".encode())
    make_key(place / "witness")
    with Embedded.open(place / "database") as database:
        migrate(database.url("owner"), GATEWAY)
        witness = Running(place / "witness", [KEY.verifier])
        witness.start()
        made = Signing(database, place / "home", witness)
        made.start()
        try:
            yield made
        finally:
            made.close()
