"""The embedded PostgreSQL: made, started, joined and stopped here; see `postgres_place` for where and as whom.

It listens on one socket in a folder of its own account, lets in by peer authentication only the user who runs this
process, and goes on when that process crashes: the next one joins it.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

import psycopg

from .errors import DatabaseUnfit
from .postgres_place import SYSTEM_HOME, Place, place_for

Role = Literal["gateway", "owner"]
OWNER, GATEWAY, DATABASE = "remit_owner", "remit_gateway", "remit"
START_SECONDS = 60
PROCESSES = Path("/proc")

SETTINGS = """
listen_addresses = ''
unix_socket_directories = {sockets}
unix_socket_permissions = 0700
fsync = on
full_page_writes = on
synchronous_commit = on
max_connections = 200
log_destination = 'stderr'
logging_collector = on
log_directory = 'log'
log_filename = 'postgresql-%a.log'
log_truncate_on_rotation = on
log_rotation_age = 1d
log_file_mode = 0600
# An error's statement would bring what it recorded into the server's log.
log_min_error_statement = panic
log_error_verbosity = terse
"""


class Embedded:
    """One PostgreSQL server for everybody who opened the same `home`; the last to leave stops it. `place` is where."""

    def __init__(self, place: Place, users: int) -> None:
        self.place = place
        self._users = users

    @classmethod
    def open(cls, home: Path) -> "Embedded":
        """Starts the server of `home`, or joins it. Makes `home` where it is missing (0700, or 0711 as root).

        Raises `DatabaseUnfit`, saying what to do, where there can be no server.
        """
        place = place_for(home)
        with _alone(place.home):
            _make(place)
            _start(place)
            users = os.open(place.home / "postgresql.users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(users, fcntl.LOCK_SH)
        return cls(place, users)

    def url(self, role: Role) -> str:
        """The libpq URL for `role`: the restricted gateway, or the owner that makes the schema."""
        return _url(self.place, OWNER if role == "owner" else GATEWAY, DATABASE)

    def ensure_running(self) -> None:
        """Starts the server again if it died. Raises `DatabaseUnfit` where that fails."""
        with _alone(self.place.home):
            _start(self.place)

    def close(self) -> None:
        """Leaves; whoever leaves last stops the server. Closing again does nothing."""
        if self._users < 0:
            return
        with _alone(self.place.home):
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _stop(self.place)
            except BlockingIOError:
                pass  # somebody else is using it
            finally:
                os.close(self._users)
                self._users = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Holds the lock under which the server of `home` is made, started and stopped."""
    lock = os.open(home / "postgresql.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _make(place: Place) -> None:
    """Makes the cluster beside its final name and moves it there when it is whole: a crash leaves nothing half made."""
    if place.data.exists():
        if place.data.stat().st_uid != place.account.uid:
            raise DatabaseUnfit(f"`{place.data}` is not `{place.account.name}`'s; start remit as whoever made it")
        return
    if place.root != place.home:
        SYSTEM_HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
        place.account.own(place.root)
    unfinished = place.root / "postgresql.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    place.account.own(unfinished)
    made = place.account.run(
        place.binaries / "initdb", "--pgdata", unfinished, "--username", OWNER, "--auth-local=peer",
        "--auth-host=reject", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8", "--data-checksums", "--no-instructions",
    )  # fmt: skip
    if made.returncode != 0:
        raise DatabaseUnfit(f"initdb failed in `{unfinished}`: {made.stderr.strip()}")
    _let_in(unfinished, place.user)
    unfinished.rename(place.data)
    if place.root != place.home:
        (place.home / "postgresql").symlink_to(place.data)


def _let_in(cluster: Path, user: str) -> None:
    (cluster / "pg_hba.conf").write_text("local all all peer map=remit\n")
    (cluster / "pg_ident.conf").write_text("".join(f'remit "{user}" {role}\n' for role in (OWNER, GATEWAY)))
    with (cluster / "postgresql.conf").open("a") as conf:
        conf.write("include = 'remit.conf'\n")


def _start(place: Place) -> None:
    """Starts the server where it does not answer, once nothing of one that died is left."""
    until = time.monotonic() + START_SECONDS
    while not _answers(place):
        left = _at_work(place)
        if not left:
            _start_anew(place)
            break
        if time.monotonic() > until:
            raise DatabaseUnfit(f"PostgreSQL does not answer, but its process {left[0]} is still there; end it")
        time.sleep(0.02)


def _start_anew(place: Place) -> None:
    place.account.own(place.sockets)
    _forget_dead_server(place)
    folder = '"' + str(place.sockets).replace('"', '""') + '"'
    settings = SETTINGS.format(sockets="'" + folder.replace("\\", "\\\\").replace("'", "''") + "'")
    (place.data / "remit.conf").write_text(settings)
    log = place.data / "start.log"
    log.unlink(missing_ok=True)
    started = place.account.run(
        place.binaries / "pg_ctl", "start", "--wait", f"--timeout={START_SECONDS}", "--silent", "--log=start.log",
        cwd=place.data, PGDATA=str(place.data),
    )  # fmt: skip
    if started.returncode != 0 and not _answers(place):
        said = log.read_text(errors="replace") if log.exists() else started.stderr
        raise DatabaseUnfit(f"PostgreSQL did not start; see also `{place.data / 'log'}`: {said.strip()[-2000:]}")
    _make_database(place)


def _answers(place: Place) -> bool:
    """Whether the server is up; waits for one that is starting, recovering or stopping."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(_url(place, OWNER, "postgres"), connect_timeout=START_SECONDS).close()
            return True
        except psycopg.OperationalError as problem:
            if problem.sqlstate != "57P03" or time.monotonic() > until:
                return False
            time.sleep(0.02)


def _forget_dead_server(place: Place) -> None:
    """Removes the lock files of a server of which no process is left.

    The number in them would stop the start where it is another process' own by now, or a zombie's that nobody reaps,
    as in a container.
    """
    # Elsewhere than on Linux it cannot be told, and PostgreSQL goes by its own rules.
    if (PROCESSES / "self" / "cwd").exists():
        for lock in (place.data / "postmaster.pid", place.sockets / ".s.PGSQL.5432.lock"):
            lock.unlink(missing_ok=True)


def _at_work(place: Place) -> list[str]:
    """The processes of a PostgreSQL that have the cluster as their working folder, as all of them do."""
    data = str(place.data.resolve())
    return [process.name for process in PROCESSES.glob("[0-9]*") if _is_server(process, data)]


def _is_server(process: Path, data: str) -> bool:
    try:
        return os.readlink(process / "cwd") == data and "/postgres" in os.readlink(process / "exe")
    except OSError:
        return False  # gone meanwhile, a zombie, or somebody else's


def _make_database(place: Place) -> None:
    with psycopg.connect(_url(place, OWNER, "postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [GATEWAY]).fetchone():
            connection.execute(f"CREATE ROLE {GATEWAY} LOGIN")
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _stop(place: Place) -> None:
    place.account.run(
        place.binaries / "pg_ctl", "stop", "--wait", "--silent", "--mode=fast", cwd=place.data, PGDATA=str(place.data)
    )


def _url(place: Place, role: str, database: str) -> str:
    return f"postgresql://{role}@/{database}?host={quote(str(place.sockets), safe='')}"
