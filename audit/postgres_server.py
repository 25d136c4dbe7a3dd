"""One PostgreSQL server in its place: made, started, asked whether it answers, stopped; the caller holds its lock."""

import os
import shutil
import time
from pathlib import Path
from urllib.parse import quote

import psycopg

from .errors import DatabaseUnfit
from .postgres_place import Place

OWNER, GATEWAY, DATABASE = "remit_owner", "remit_gateway", "remit"
PORT = 5432
"""Only a part of the socket's name; said in every URL, or PGPORT would have its way."""
START_SECONDS = 60
ANSWER_SECONDS = 5
PROCESSES = Path("/proc")

SETTINGS = """
listen_addresses = ''
port = 5432
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


def make(place: Place) -> None:
    """Makes the cluster of `place` where there is none. Raises `DatabaseUnfit`."""
    if place.data.exists():
        if place.data.stat().st_uid != place.account.uid:
            raise DatabaseUnfit(f"`{place.data}` is not `{place.account.name}`'s; start remit as whoever made it")
    else:
        _initialise(place)
    if place.root != place.home and not (place.home / "postgresql").is_symlink():
        (place.home / "postgresql").symlink_to(place.data)


def _initialise(place: Place) -> None:
    """Makes the cluster beside its final name and moves it there when it is whole: a crash leaves nothing half made."""
    if place.root != place.home:
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
    place.account.write(unfinished / "pg_hba.conf", "local all all peer map=remit\n")
    names = "".join(f'remit "{place.user}" {role}\n' for role in (OWNER, GATEWAY))
    place.account.write(unfinished / "pg_ident.conf", names)
    with (unfinished / "postgresql.conf").open("a") as conf:
        conf.write("include = 'remit.conf'\n")
    unfinished.rename(place.data)


def start(place: Place) -> None:
    """Starts the server where it does not answer, once nothing of one that died is left."""
    until = time.monotonic() + START_SECONDS
    while why := fault(place):
        left = _at_work(place)
        if not left:
            _start_anew(place)
            break
        if time.monotonic() > until:
            raise DatabaseUnfit(f"PostgreSQL does not answer ({why}), but its process {left[0]} is there; end it")
        time.sleep(0.02)


def _start_anew(place: Place) -> None:
    place.account.own(place.sockets)
    _forget_dead_server(place)
    folder = '"' + str(place.sockets).replace('"', '""') + '"'
    settings = SETTINGS.format(sockets="'" + folder.replace("\\", "\\\\").replace("'", "''") + "'")
    place.account.write(place.data / "remit.conf", settings)
    log = place.data / "start.log"
    log.unlink(missing_ok=True)
    started = place.account.run(
        place.binaries / "pg_ctl", "start", "--wait", f"--timeout={START_SECONDS}", "--silent", "--log=start.log",
        cwd=place.data, PGDATA=str(place.data),
    )  # fmt: skip
    if started.returncode != 0 and fault(place):
        said = log.read_text(errors="replace") if log.exists() else started.stderr
        raise DatabaseUnfit(f"PostgreSQL did not start; see also `{place.data / 'log'}`: {said.strip()[-2000:]}")
    _make_database(place)


def fault(place: Place) -> str | None:
    """Why the server does not answer, None where it does; waits for one that is starting, recovering or stopping."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url(place, OWNER, "postgres"), connect_timeout=ANSWER_SECONDS).close()
            return None
        except psycopg.OperationalError as problem:
            if problem.sqlstate != "57P03" or time.monotonic() > until:
                return str(problem).strip()
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
    with psycopg.connect(url(place, OWNER, "postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [GATEWAY]).fetchone():
            connection.execute(f"CREATE ROLE {GATEWAY} LOGIN")
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE}")


def stop(place: Place) -> None:
    """Stops the server and ends what runs on it, cleanly: the next start has nothing to recover."""
    place.account.run(
        place.binaries / "pg_ctl", "stop", "--wait", "--silent", "--mode=fast", cwd=place.data, PGDATA=str(place.data)
    )


def url(place: Place, role: str, database: str) -> str:
    """The libpq URL of a database of the server of `place`."""
    return f"postgresql://{role}@/{database}?host={quote(str(place.sockets), safe='')}&port={PORT}"
