"""One call on the way of a read fails, or its process dies in it; what must hold afterwards all the same."""

from collections import Counter
from dataclasses import dataclass, replace
from time import monotonic, sleep

import httpx2
import psycopg
import pyarrow as pa
from service import HTTP, Service
from straced import calls, traced, writing_backends

from audit.errors import NotReadable
from audit.postgres import Embedded
from audit.verify import Verdict, verify

SECONDS = 60
"""How long mending may take on a machine that does much else."""


@dataclass(frozen=True, slots=True)
class Fault:
    """On which side, in which call, at which of them: an error, or the end of the process."""

    side: str
    call: str
    what: str
    when: int = 1

    @property
    def name(self) -> str:
        return f"{self.side}-{self.call}-{self.what.partition('=')[2]}"

    @property
    def options(self) -> tuple[str, ...]:
        return "-e", f"trace={self.call}", "-e", f"inject={self.call}:{self.what}:when={self.when}"

    def at(self, when: int) -> "Fault":
        return replace(self, when=when)


PLACES = tuple(
    Fault(side, call, what)
    for side, call, faults in (
        ("database", "pwrite64", ("error=EIO", "signal=KILL")),
        ("database", "fdatasync", ("error=EIO", "signal=KILL")),
        ("database", "sendto", ("error=EPIPE", "signal=KILL")),
        ("gateway", "sendto", ("signal=KILL",)),
        ("gateway", "write", ("error=EPIPE", "signal=KILL")),
    )
    for what in faults
)
"""Writing and flushing the log, answering; asking the database, answering the reader."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader got: the id of the read where an answer began, its bytes, and whether it ended as it should."""

    read: str | None
    status: int
    body: bytes

    @property
    def is_whole(self) -> bool:
        try:
            pa.ipc.open_stream(self.body).read_all()
        except (pa.ArrowException, OSError):
            return False
        return self.status == 200


@dataclass
class Trial:
    """A gateway and the PostgreSQL under it."""

    service: Service
    database: Embedded
    grant: str = ""

    def read(self) -> Reading:
        """A small read."""
        self.grant = self.grant or self.service.grant(columns=["x"])
        headers = {"Authorization": f"Bearer {self.service.token('ana')}"}
        asked = {"dataset": "events", "grant": self.grant, "limit": 10}
        body, status, read = b"", 0, None
        try:
            with HTTP.stream("POST", f"{self.service.url}/v1/reads", headers=headers, json=asked) as response:
                status, read = response.status_code, response.headers.get("Remit-Read")
                for piece in response.iter_bytes():
                    body += piece
        except httpx2.HTTPError:
            pass  # the answer broke, or never began: what came of it is what counts
        return Reading(read, status, body)

    def writing_backends(self) -> list[int]:
        return writing_backends(self.database.url("owner"))

    def pids(self, side: str) -> list[int]:
        return self.writing_backends() if side == "database" else [self.service.process.pid]

    def hold(self, fault: Fault) -> None:
        """Reads while `fault` happens; then what must always hold is looked at."""
        self.mend()
        with traced(self.pids(fault.side), *fault.options):
            got = self.read()
        self.mend()
        if got.status == 200 and got.body:
            assert self.entries(got.read) > 0, f"{fault}: rows went out and nothing says so"
        verdict = self.verdict()
        assert (verdict.integrity, verdict.completeness, verdict.problems) == (True, True, ()), fault

    def mend(self) -> None:
        """Waits until reading works again; a gateway that is dead is started, as whoever runs it would."""
        until = monotonic() + SECONDS
        while not self.read_again():
            assert monotonic() < until, self.service.log()[-4000:]
            sleep(0.1)

    def read_again(self) -> bool:
        if self.service.process.poll() is not None:
            self.service.start()
        return self.read().is_whole

    def entries(self, read: str | None) -> int:
        with psycopg.connect(self.database.url("owner")) as session:
            counted = session.execute(
                "SELECT count(*) FROM audit_entries WHERE doc ->> 'kind' = 'read.authorized' AND doc ->> 'read' = %s",
                [read],
            ).fetchone()
        return int(counted[0]) if counted else 0

    def verdict(self) -> Verdict:
        """Once every read that was under way has its end, which the gateway may be writing just now."""
        until = monotonic() + SECONDS
        while True:
            try:
                verdict = verify(self.database.url("owner"))
            except NotReadable:
                assert monotonic() < until
                sleep(0.1)
                continue
            if verdict.completeness or monotonic() > until:
                return verdict
            sleep(0.1)


def calls_of_a_read(trial: Trial, place: Fault) -> int:
    """How many of the calls of `place` one thread makes, at most, while a read goes its way."""
    trial.mend()
    with traced(trial.pids(place.side), "-e", f"trace={place.call}") as seen:
        assert trial.read().is_whole
        made = Counter(call.pid for call in calls(seen) if call.name == place.call)
    return max(made.values(), default=0)
