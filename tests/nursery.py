"""Gateways that are copies of a process which has imported everything: a start costs a fork, and no import.

python tests/nursery.py; each line that it is told is a JSON object, with `start` (an environment), `folder` and `log`,
or `kill` or `poll` and a pid; it answers a pid, or whether that gateway was alive. At the end of its input all die.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Copied:
    """One gateway; only its nursery, whose child it is, can say whether it lives."""

    nursery: "Nursery"
    pid: int

    def poll(self) -> int | None:
        return None if self.nursery.ask(poll=self.pid) else -signal.SIGKILL

    def kill(self) -> bool:
        """Whether it lived when it was hit; it is gone when this returns."""
        return bool(self.nursery.ask(kill=self.pid))

    def send_signal(self, number: int) -> None:
        assert number == signal.SIGKILL, "a nursery only kills"
        self.kill()

    def wait(self, timeout: float) -> int:  # noqa: ARG002  # as a `Popen` has it
        """At once: whatever was killed is gone."""
        return -signal.SIGKILL


@dataclass
class Nursery:
    """The other end of `main`."""

    process: "subprocess.Popen[str]"
    turn: threading.Lock = field(default_factory=threading.Lock)

    def born(self, environment: Mapping[str, str], folder: Path) -> Copied:
        told = {"start": dict(environment), "folder": str(folder), "log": str(folder / "service.log")}
        return Copied(self, self.ask(**told))

    def ask(self, **told: Any) -> int:
        with self.turn:
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            print(json.dumps(told), file=self.process.stdin, flush=True)
            return int(self.process.stdout.readline())


@contextmanager
def nursery() -> Iterator[Nursery]:
    """One until the end of the `with`, and all that it bore."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Nursery(process)


def main() -> None:
    import gateway.server  # noqa: F401
    import remit.cli  # noqa: F401

    living = set[int]()
    for line in sys.stdin:
        match json.loads(line):
            case {"start": environment, "folder": folder, "log": log}:
                answer = _born(environment, folder, log)
                living.add(answer)
            case {"kill": pid}:
                answer = _is_alive(pid, living)
                if answer:
                    _kill(pid)
                    living.remove(pid)
            case {"poll": pid}:
                answer = _is_alive(pid, living)
        print(int(answer), flush=True)
    for pid in living:
        _kill(pid)


def _is_alive(pid: int, living: set[int]) -> bool:
    """What ended by itself is collected here and nowhere else, so that nobody else gets its pid before."""
    if pid in living and os.waitpid(pid, os.WNOHANG)[0]:
        living.remove(pid)
    return pid in living


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _born(environment: Mapping[str, str], folder: str, log: str) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.chdir(folder)
        nothing, lines = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for number, file in enumerate((nothing, lines, lines)):
            os.dup2(file, number)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[1:] = ["serve"]
        sys.modules["remit.cli"].main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001  # a copy must never go on as its nursery
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
