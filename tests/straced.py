"""System calls of running processes, seen and made to fail, with `strace`."""

import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

LINE = re.compile(r"^(?P<pid>\d+) +(?P<rest>.*)$")
SECONDS = 5
"""How long strace has to let go by itself."""
SOON = 0.5
"""The same where it killed what it traced, and may wait in vain."""
CALL = re.compile(r"^(?:<\.\.\. )?(?P<name>\w+)")


@dataclass(frozen=True, slots=True)
class Call:
    """One finished system call: by which thread, its name, and the line that `strace` wrote of it."""

    pid: int
    name: str
    line: str


@functools.cache
def strace() -> str:
    """Where it is; skips the test where it is not, or may not look at another process."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed: Debian's package `strace` has it")
    with subprocess.Popen(["/bin/sleep", "60"]) as sleeping:
        with subprocess.Popen([found, "-p", str(sleeping.pid)], stderr=subprocess.PIPE, text=True) as tried:
            assert tried.stderr is not None
            said = tried.stderr.readline()
            tried.terminate()
        sleeping.kill()
    if "attached" not in said:
        pytest.skip(f"strace may not attach here: {said.strip()}")
    return found


@contextmanager
def traced(pids: Sequence[int], *options: str) -> Iterator[Path]:
    """Runs `strace` over these processes, all their threads and children; the file that it writes its lines to."""
    with tempfile.NamedTemporaryFile(suffix=".strace") as lines:
        command = [strace(), "-f", "-s", "48", "-o", lines.name, *options]
        command += [part for pid in pids for part in ("-p", str(pid))]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
            assert running.stderr is not None
            for _ in pids:
                assert "attached" in running.stderr.readline()
            try:
                yield Path(lines.name)
            finally:
                _end(running, SOON if any("signal=KILL" in option for option in options) else SECONDS)


def _end(running: "subprocess.Popen[str]", seconds: float) -> None:
    """Lets go of what is traced, whatever state it is in.

    Where one thread of a process was killed in a call, strace (6.1) may wait for ever for another of its threads, deaf
    to SIGTERM, and the dead process stays a zombie that nobody can collect. The kernel lets go of it with its tracer.
    """
    running.terminate()
    try:
        running.wait(seconds)
    except subprocess.TimeoutExpired:
        running.kill()


def calls(lines: Path) -> list[Call]:
    """Every call that `strace` saw the end of, in that order."""
    found = [LINE.match(line) for line in lines.read_text(errors="replace").splitlines()]
    said = [(int(match["pid"]), match["rest"]) for match in found if match]
    return [
        Call(pid, name["name"], rest)
        for pid, rest in said
        if not rest.endswith("<unfinished ...>") and (name := CALL.match(rest)) and not rest.startswith(("+++", "---"))
    ]


def writing_backends(owner_url: str) -> list[int]:
    """PostgreSQL's processes with a gateway's lock on their session: what writes the ledger is one of them."""
    with psycopg.connect(owner_url) as session:
        found = session.execute(
            "SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"
        ).fetchall()
    assert found, "no gateway is writing"
    return [int(pid) for (pid,) in found]
