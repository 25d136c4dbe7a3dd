"""A log and a witness for tests: `remit witness serve` in a process of its own, and a log that can prove or lie."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from ports import free_port

from audit.keyfiles import kept
from audit.merkle import Frontier, leaf_hash
from audit.notes import COSIGNED, SIGNED, Checkpoint, Note, Signature, Signer, Verifier
from audit.proofs import prove_consistency
from audit.submissions import Submission, address
from witness.server import KEY

HTTP = httpx2.Client(timeout=60, trust_env=False)


@dataclass(frozen=True)
class Log:
    """A log of made-up entries; `told` names its story, and two stories differ from entry `fork` on."""

    signer: Signer = field(default_factory=lambda: Signer("log.example/remit", SIGNED, b"l" * 32))
    told: str = ""
    fork: int = 0

    def leaf(self, index: int) -> bytes:
        return leaf_hash(f"{self.told if index >= self.fork else ''} {index}".encode())

    def node(self, level: int, index: int) -> bytes:
        return Frontier().extended(map(self.leaf, range(index << level, (index + 1) << level))).root()

    def checkpoint(self, size: int) -> Checkpoint:
        root = Frontier().extended(map(self.leaf, range(size))).root()
        return Checkpoint(self.signer.name, size, root)

    def note(self, size: int) -> Note:
        text = str(self.checkpoint(size))
        return Note(text, (self.signer.sign(text),))

    def submission(self, old: int, size: int) -> Submission:
        """What it sends to grow from `old` to `size` leaves; where it cannot, without a proof."""
        proof = prove_consistency(old, size, self.node) if old <= size else []
        return Submission(old, tuple(proof), self.note(size))


@dataclass
class Running:
    """A witness in a process of its own."""

    home: Path
    logs: Sequence[Verifier]
    wrapped: Sequence[str] = ()
    process: "subprocess.Popen[bytes]" = field(init=False)
    url: str = field(init=False)
    key: Verifier = field(init=False)

    def start(self) -> None:
        listen = f"127.0.0.1:{free_port()}"
        self.url = f"http://{listen}"
        self.key = make_key(self.home)
        logs = [part for key in self.logs for part in ("--log", str(key))]
        command = [*self.wrapped, sys.executable, "-m", "remit", "witness", "serve", "--home", str(self.home)]
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--listen", listen, *logs], stdout=log, stderr=log, env=clean_environment()
            )
        while not self._is_up():
            assert self.process.poll() is None, (self.home / "log").read_text()
            time.sleep(0.02)

    def add(self, submission: Submission | bytes) -> httpx2.Response:
        return HTTP.post(f"{self.url}/add-checkpoint", content=bytes(submission))

    def latest(self, origin: str) -> httpx2.Response:
        return HTTP.get(f"{self.url}/{address(origin)}/checkpoint")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def _is_up(self) -> bool:
        try:
            return HTTP.get(self.url).status_code == 404
        except httpx2.HTTPError:
            return False


def make_key(home: Path, name: str = "witness.example/w1") -> Verifier:
    """The public key of the witness in `home`, made where there is none."""
    made = kept(home / KEY, lambda: f"{Signer.make(name, COSIGNED).text()}\n".encode())
    return Signer.parse(made.decode().strip()).verifier


@contextmanager
def witnessing(home: Path, *logs: Verifier, wrapped: Sequence[str] = ()) -> Iterator[Running]:
    """A witness of these logs, until the end of the `with`."""
    running = Running(home, logs, wrapped)
    running.start()
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


def holds(line: str, note: Note, key: Verifier) -> None:
    """Raises where `line` is not this key's cosignature of the note, as a client would check it."""
    cosigned = Note.parse(f"{note}{line}".encode())
    assert cosigned.verified([key]) == (key,)


def cosigned_at(line: str) -> int:
    return Signature.parse(line.removesuffix("\n")).at


def clean_environment() -> dict[str, str]:
    """This process's, without what is set for a gateway."""
    return {name: value for name, value in os.environ.items() if not name.startswith("REMIT_")}
