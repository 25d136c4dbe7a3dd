"""Gateways on one database, readers that never rest, and a `kill -9` somewhere every few moments.

python tests/onslaught.py KILLS SEED

Whenever it has been quiet for a moment: every answer with rows has its entry, the ledger verifies, each authorised read
has one end, and the checkpoints that were handed out before are still signed and still the ledger's.
"""

import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psycopg
import pyarrow as pa
from nursery import Copied, nursery
from service import STAFF, Service, make_data, prepared

from audit.errors import NotReadable
from audit.postgres import GATEWAY, Embedded
from audit.schema import migrate
from audit.verify import verify
from remit.demo.provider import Provider

GATEWAYS = ("one", "two", "three")
ROUND = 20
"""Kills between two looks at everything."""
TARGETS = ("gateway",) * 13 + ("backend",) * 6 + ("postmaster",)
UNDER_WAY = 0.8
"""How many kills wait until rows arrive again; the others hit what just starts."""
LONGEST = 0.2
"""Seconds until a kill, at most, from then on."""
PATIENCE = 180
"""Seconds that mending may take on a machine that does much else."""
SIZES = (10, 10, 1_000, 3_000_000)
"""Rows that a reader asks for: most kills hit what is recorded, some the stream of a large answer."""
PAUSE = 0.002
"""Seconds that a reader takes for each piece, so that a large answer is still on its way when something dies."""
READERS = 2
"""Of each gateway."""
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE usename = 'remit_gateway' AND datname = current_database()"
UNRECORDED = """
    SELECT read FROM unnest(%s::text[]) read WHERE NOT EXISTS
        (SELECT FROM audit_entries WHERE doc ->> 'read' = read AND doc ->> 'kind' = 'read.authorized')
"""
ENDED_AGAIN = """
    SELECT doc ->> 'read', array_agg(seq) FROM audit_entries
    WHERE doc ->> 'kind' IN ('read.completed', 'read.interrupted') GROUP BY 1 HAVING count(*) > 1
"""
CLOSED = 'SELECT count(*) FROM audit_entries WHERE doc @> \'{"details": {"ended_by": "lost"}}\''
NOTE = "SELECT note FROM audit_checkpoints ORDER BY size DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Got:
    """A read of which bytes arrived, and whether the answer ended as it should."""

    read: str
    is_whole: bool


@dataclass
class Onslaught:
    """What runs, what readers got, and what was killed."""

    gateways: list[Service]
    database: Embedded
    grant: str
    chance: random.Random
    got: list[Got] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    arrived: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)

    def read(self, gateway: Service, rows: int) -> Got | None:
        """None where nothing arrived."""
        body, read = bytearray(), ""
        asked = {"dataset": "long", "grant": self.grant, "limit": rows}
        headers = {"Authorization": f"Bearer {gateway.token('ana')}"}
        with (
            suppress(httpx2.HTTPError),
            httpx2.Client(timeout=30, trust_env=False) as client,
            client.stream("POST", f"{gateway.url}/v1/reads", headers=headers, json=asked) as answer,
        ):
            read = answer.headers.get("Remit-Read", "") if answer.status_code == 200 else ""
            for piece in answer.iter_bytes():
                body += piece
                self.arrived.set()
                time.sleep(PAUSE)
        self.asked += 1
        return Got(read, _is_whole(bytes(body))) if read and body else None

    def read_on(self, gateway: Service, chance: random.Random) -> None:
        """A reader, until it is over; what it is refused is as good as what it gets."""
        while not self.is_over.is_set():
            if got := self.read(gateway, chance.choice(SIZES)):
                self.got.append(got)
            else:
                self.is_over.wait(0.05)

    def run(self, kills: int) -> str:
        """`kills` of them, each of a process that lived; then what was held, in one line."""
        readers = [
            threading.Thread(target=self.read_on, args=(gateway, random.Random(self.chance.random())))
            for gateway in self.gateways * READERS
        ]
        for reader in readers:
            reader.start()
        try:
            while (left := kills - self.killed.total()) > 0:
                for _ in range(min(ROUND, left)):
                    self.kill()
                self.look()
                print(f"{self.killed.total()} kills, {len(self.got)} reads", file=sys.stderr, flush=True)
        finally:
            self.is_over.set()
            for reader in readers:
                reader.join()
        return self._told()

    def kill(self) -> None:
        """One process that lives; what died before is started again, as whoever runs it would."""
        while True:
            self.start_again()
            if self.chance.random() < UNDER_WAY:
                self.arrived.clear()
                self.arrived.wait(5)
            self.is_over.wait(self.chance.uniform(0, LONGEST))
            target = self.chance.choice(TARGETS)
            if self._hits(target):
                self.killed[target] += 1
                return

    def _hits(self, target: str) -> bool:
        """Whether one was alive to be killed."""
        if target == "gateway":
            gateway = self.chance.choice(self.gateways).process
            return isinstance(gateway, Copied) and gateway.kill()
        try:
            os.kill(self._pid(target), signal.SIGKILL)
        except (psycopg.Error, IndexError, OSError, ValueError):
            return False  # it starts just now
        return True

    def _pid(self, target: str) -> int:
        if target == "postmaster":
            return int((self.database.place.data / "postmaster.pid").read_text().split()[0])
        with psycopg.connect(self.database.url("owner"), connect_timeout=2) as session:
            return int(self.chance.choice([pid for (pid,) in session.execute(BACKENDS)]))

    def start_again(self) -> None:
        self.database.ensure_running()
        for gateway in self.gateways:
            if gateway.process.poll() is not None:
                gateway.start(wait=False)

    def look(self) -> None:
        """Waits until all gateways read again, then holds everything against the ledger."""
        until = time.monotonic() + PATIENCE
        for gateway in self.gateways:
            while not ((got := self.read(gateway, 10)) and got.is_whole):
                assert time.monotonic() < until, gateway.log()[-4000:]
                self.start_again()
                time.sleep(0.1)
        delivered, url = [each.read for each in self.got], self.database.url("owner")
        with psycopg.connect(url) as session:
            assert session.execute(UNRECORDED, (delivered,)).fetchall() == [], "rows went out and nothing says so"
            self.kept.append(str((session.execute(NOTE).fetchone() or ("",))[0]))
        self._verify(until)
        with psycopg.connect(url) as session:
            assert session.execute(ENDED_AGAIN).fetchall() == [], "a read has two ends"

    def _verify(self, until: float) -> None:
        url = self.database.url("owner")
        while not self._is_complete(url):  # an end may be on its way
            assert time.monotonic() < until, verify(url).problems
            time.sleep(0.2)
        for note in {self.kept[0], self.kept[len(self.kept) // 2], self.kept[-1]}:
            found = verify(url, since=note)
            assert found.integrity, found.problems

    def _is_complete(self, url: str) -> bool:
        try:
            verdict = verify(url)
        except NotReadable:
            return False
        assert verdict.integrity, verdict.problems
        return verdict.completeness

    def _told(self) -> str:
        with psycopg.connect(self.database.url("owner")) as session:
            (closed,) = session.execute(CLOSED).fetchone() or (0,)
        whole = sum(each.is_whole for each in self.got)
        told = ", ".join(f"{count:,} of a {target}" for target, count in sorted(self.killed.items()))
        return (
            f"{self.killed.total():,} kill -9 ({told}) under {self.asked:,} reads of {len(self.gateways)} gateways; "
            f"{whole:,} came whole and {len(self.got) - whole:,} broke off after bytes: each has its durable entry; "
            f"every read has one end, {closed:,} of them written by another gateway; the ledger verified "
            f"{len(self.kept):,} times, also since checkpoints handed out before"
        )


def _is_whole(body: bytes) -> bool:
    try:
        pa.ipc.open_stream(body).read_all()
    except (pa.ArrowException, OSError):
        return False
    return True


@contextmanager
def onslaught(place: Path, seed: int) -> Iterator[Onslaught]:
    """A database and gateways on it in `place`, until the end of the `with`."""
    make_data(place)
    with Embedded.open(place / "database") as database, nursery() as bearing, Provider(people=STAFF) as provider:
        migrate(database.url("owner"), GATEWAY)
        gateways = [
            prepared(place, database.url("gateway"), provider, bearing, REMIT_HOME=str(place / name))
            for name in GATEWAYS
        ]
        for gateway in gateways:
            gateway.start()
        grant = gateways[0].grant(dataset="long", columns=["x"])
        yield Onslaught(gateways, database, grant, random.Random(seed))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="remit-kills-") as folder:
        Path(folder).chmod(0o711)  # an account of PostgreSQL's own has to get through, where root runs this
        with onslaught(Path(folder), int(sys.argv[2])) as load:
            print(load.run(int(sys.argv[1])))
