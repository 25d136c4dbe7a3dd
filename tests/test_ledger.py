"""Appending: durable, gapless, in order, and honest about what it does not know."""

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import text

from audit.drafts import draft
from audit.engines import engine_for
from audit.entries import Entry, Kind
from audit.errors import ClockBehind, NotCanonical, NotRecorded, StaleEpoch
from audit.head import Batch, read_head, write
from audit.ledger import Ledger
from audit.left_behind import LeftBehind
from audit.merkle import Frontier
from audit.postgres import Embedded
from audit.schema import migrate
from audit.trail import Query, after, search
from audit.verify import verify

NOTE_HOW_IT_COMMITS = """
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO seen VALUES (current_setting('synchronous_commit'));
        RETURN NULL;
    END $$
"""
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def now():
    return datetime.now(UTC)


def refused(actor="ana", **fields):
    return Entry(Kind.READ_REFUSED, actor, code="no_grant", **fields)


def begun(read):
    return Entry(Kind.READ_AUTHORIZED, "ana", read=read, dataset="pointer_events", grant="g-1")


def ended(read):
    return Entry(Kind.READ_COMPLETED, "ana", read=read, dataset="pointer_events", grant="g-1")


@contextmanager
def a_ledger(engine, gateway="gw-1", clock=now):
    ledger = Ledger(engine, gateway=gateway, clock=clock)
    try:
        yield ledger
    finally:
        ledger.close()


@pytest.fixture
def ledger(database):
    with a_ledger(database.engine()) as ledger:
        yield ledger


def rows(database):
    with psycopg.connect(database.url("owner")) as connection:
        return connection.execute("SELECT seq, canonical FROM audit_entries ORDER BY seq").fetchall()


def kinds(database):
    return [json.loads(canonical)["kind"] for _, canonical in rows(database)]


def test_what_was_appended_is_there_for_everybody_when_append_returns(database, ledger):
    recorded = ledger.append(refused())
    [(seq, canonical)] = rows(database)
    assert seq == recorded.seq == 1
    assert json.loads(canonical)["at"] == recorded.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_a_batch_waits_for_the_disk_whatever_the_role_is_set_to(database):
    with psycopg.connect(database.url("owner"), autocommit=True) as owner:
        owner.execute(f"ALTER ROLE remit_gateway IN DATABASE {database.name} SET synchronous_commit = off")
        owner.execute("CREATE TABLE seen (waits text)")
        owner.execute("GRANT INSERT ON seen TO remit_gateway")
        owner.execute(NOTE_HOW_IT_COMMITS)
        owner.execute("CREATE TRIGGER note AFTER INSERT ON audit_entries FOR EACH STATEMENT EXECUTE FUNCTION note()")
        with a_ledger(database.engine()) as ledger:
            for _ in range(3):
                ledger.append(refused())
        assert owner.execute("SELECT DISTINCT waits FROM seen").fetchall() == [("on",)]


def test_a_commit_waits_for_the_disk_whatever_the_role_is_set_to(database, ledger):
    with psycopg.connect(database.url("owner"), autocommit=True) as owner:
        owner.execute(f"ALTER ROLE remit_gateway IN DATABASE {database.name} SET synchronous_commit = off")
    seen = []

    def work(connection):
        seen.append(connection.execute(text("SHOW synchronous_commit")).scalar_one())
        return []

    with database.engine().connect() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "off"
    ledger.change(work)
    assert seen == ["on"]


def test_many_callers_of_two_gateways_leave_no_gap_and_each_gets_its_own_place(database):
    engine = database.engine()
    with a_ledger(engine, "gw-1") as one, a_ledger(engine, "gw-2") as two, ThreadPoolExecutor(16) as pool:
        jobs = [(ledger, f"{number}") for number in range(150) for ledger in (one, two)]
        recorded = list(pool.map(lambda job: (job[0].append(refused(job[1])), job[1]), jobs))
    assert sorted(each.seq for each, _ in recorded) == list(range(1, 301))
    actors = {seq: json.loads(canonical)["actor"] for seq, canonical in rows(database)}
    assert all(actors[each.seq] == actor for each, actor in recorded)
    assert verify(database.url()).integrity


def test_concurrent_callers_share_a_transaction(database, ledger):
    with psycopg.connect(database.url("owner")) as holder, ThreadPoolExecutor(20) as pool:
        holder.execute("SELECT FROM audit_head FOR UPDATE")
        jobs = [pool.submit(ledger.append, refused())]
        wait_until(lambda: is_blocked(database))
        jobs += [pool.submit(ledger.append, refused()) for _ in range(19)]
        wait_until(lambda: len(ledger._committer._waiting) == 19)
        holder.rollback()
        moments = {job.result().at for job in jobs}
    assert len(moments) == 2


def wait_until(holds):
    for _ in range(2_000):
        if holds():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it never came to be")


def is_blocked(database):
    with psycopg.connect(database.url("owner")) as connection:
        return connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (0,)


def test_of_a_shared_batch_only_what_was_decided_under_another_epoch_is_refused(database, ledger):
    ledger.change(lambda _: [Entry(Kind.PAUSE_SET, "olga")])
    epochs = [0, 1, None, 2, 1, 0]
    with psycopg.connect(database.url("owner")) as holder, ThreadPoolExecutor(8) as pool:
        holder.execute("SELECT FROM audit_head FOR UPDATE")
        pool.submit(ledger.append, refused("first"))
        wait_until(lambda: is_blocked(database))
        jobs = [pool.submit(ledger.append, refused(str(epoch)), epoch=epoch) for epoch in epochs]
        wait_until(lambda: len(ledger._committer._waiting) == len(epochs))
        holder.rollback()
        faults = [job.exception() for job in jobs]
    assert [isinstance(fault, StaleEpoch) for fault in faults] == [True, False, False, True, False, True]
    assert [fault.current for fault in faults if fault] == [1, 1, 1]
    actors = [json.loads(canonical)["actor"] for _, canonical in rows(database)]
    assert sorted(actors[2:]) == ["1", "1", "None"]


def test_no_read_is_authorised_under_what_was_in_force_before_a_change_that_has_committed(database, ledger):
    epoch = ledger.head().epoch
    with a_ledger(database.engine(), "gw-2") as other:
        (changed,) = other.change(lambda _: [Entry(Kind.GRANT_REVOKED, "eve", grant="g-1")])
    assert changed.epoch == epoch + 1
    with pytest.raises(StaleEpoch):
        ledger.append(begun("r-1"), epoch=epoch)
    assert ledger.append(begun("r-1"), epoch=changed.epoch).epoch == changed.epoch


def test_a_change_and_its_entries_are_written_together_or_not_at_all(database, ledger):
    def work(connection):
        connection.execute(text("INSERT INTO pauses VALUES ('p-1', 'everything', '', 'why', 'olga', now())"))
        return [Entry(Kind.PAUSE_SET, "olga", details={"share": 0.5})]  # no float can be recorded

    with pytest.raises(NotCanonical):
        ledger.change(work)
    with database.engine().connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM pauses")).scalar_one() == 0
    assert ledger.head().size == ledger.head().epoch == 0


def test_what_work_raises_is_the_callers_and_nothing_was_changed(database, ledger):
    def work(connection):
        connection.execute(text("INSERT INTO pauses VALUES ('p-1', 'everything', '', 'why', 'olga', now())"))
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        ledger.change(work)
    with database.engine().connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM pauses")).scalar_one() == 0


def test_a_change_without_entries_raises_no_epoch_but_keeps_what_it_wrote(database, ledger):
    def work(connection):
        connection.execute(text("UPDATE alert_cursor SET seq = 7"))
        return []

    assert ledger.change(work) == ()
    assert ledger.head().epoch == 0
    with database.engine().connect() as connection:
        assert connection.execute(text("SELECT seq FROM alert_cursor")).scalar_one() == 7


def test_who_listens_hears_of_entries_and_of_a_new_epoch_when_they_have_committed(database, ledger):
    with psycopg.connect(database.url(), autocommit=True) as listener:
        listener.execute("LISTEN remit_entries")
        listener.execute("LISTEN remit_control")
        ledger.append(refused())
        ledger.change(lambda _: [Entry(Kind.PAUSE_SET, "olga")])
        ledger.change(lambda _: [Entry(Kind.ALERT_ACKNOWLEDGED, "olga")], raises_epoch=False)
        heard = [(note.channel, note.payload) for note in listener.notifies(timeout=10, stop_after=4)]
    assert heard == [("remit_entries", "1"), ("remit_entries", "2"), ("remit_control", "1"), ("remit_entries", "3")]


def test_time_never_runs_back_and_a_clock_far_behind_is_refused(database):
    times = iter([NOON, NOON - timedelta(seconds=60), NOON - timedelta(seconds=61), NOON + timedelta(seconds=1)])
    with a_ledger(database.engine(), clock=lambda: next(times)) as ledger:
        assert ledger.append(refused()).at == NOON
        assert ledger.append(refused()).at == NOON
        with pytest.raises(ClockBehind, match="clock is 61 s behind"):
            ledger.append(refused())
        assert ledger.append(refused()).at == NOON + timedelta(seconds=1)
    assert [seq for seq, _ in rows(database)] == [1, 2, 3]


def test_one_entry_that_cannot_be_said_disturbs_nobody_else(database, ledger):
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(ledger.append, refused(details={"n": n if n % 2 else 0.5})) for n in range(40)]
        faults = [job.exception() for job in jobs]
    assert [isinstance(fault, NotCanonical) for fault in faults] == [n % 2 == 0 for n in range(40)]
    assert ledger.head().size == 20


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=()), max_size=50), st.integers(0, 6_000))
def test_whatever_somebody_sends_can_be_written_and_found(database, ledger, words, length):
    name = f"x{words}{os.urandom(length).hex()}"
    recorded = ledger.append(refused(name, dataset=name, grant=name, purpose=name, details={"asked": [name]}))
    found = search(database.engine(), Query(actor=name, dataset=name, grant=name, limit=1)).lines
    assert [line.seq for line in found] == [recorded.seq]


def test_a_session_that_died_between_two_entries_is_replaced_before_anybody_notices(database, ledger):
    ledger.append(refused())
    with psycopg.connect(database.url("owner"), autocommit=True) as owner:
        owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'remit_gateway'")
        wait_until(lambda: owner.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'").fetchone() is None)
    assert ledger.append(refused()).seq == 2


def test_connections_that_the_server_ended_are_replaced_before_anybody_notices(database):
    engine = database.engine()
    with engine.connect() as one, engine.connect() as two:
        pids = [each.execute(text("SELECT pg_backend_pid()")).scalar_one() for each in (one, two)]
    with psycopg.connect(database.url("owner"), autocommit=True) as owner:
        for pid in pids:
            owner.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
    with engine.connect() as one, engine.connect() as two:
        again = [each.execute(text("SELECT pg_backend_pid()")).scalar_one() for each in (one, two)]
    assert not set(pids) & set(again)


def test_a_read_id_that_cannot_be_written_is_kept_as_it_is_recorded(database, ledger):
    ledger.append(begun("r-\x00"))
    ledger.append(ended("r-\x00"))
    ledger.close()
    assert verify(database.url()).problems == ()


def test_nothing_is_written_after_a_head_that_was_tampered_with(database, ledger):
    ledger.append(refused())
    with psycopg.connect(database.url("owner"), autocommit=True) as owner:
        owner.execute("ALTER TABLE audit_head DISABLE TRIGGER ALL")
        owner.execute("UPDATE audit_head SET size = 3")
        with pytest.raises(NotRecorded, match="run `remit audit verify`"):
            ledger.append(refused())
        owner.execute("DELETE FROM audit_head")
        with pytest.raises(NotRecorded, match="run `remit audit verify`"):
            ledger.append(refused())
    assert len(rows(database)) == 1


def test_a_closed_ledger_records_nothing_more(database):
    with a_ledger(database.engine()) as ledger:
        ledger.append(refused())
    with pytest.raises(NotRecorded, match="closed"):
        ledger.append(refused())
    ledger.close()


def test_a_ledger_is_closed_once_what_is_being_written_is_there(database, ledger):
    with psycopg.connect(database.url("owner")) as holder, ThreadPoolExecutor(2) as pool:
        holder.execute("SELECT FROM audit_head FOR UPDATE")
        job = pool.submit(ledger.append, refused())
        wait_until(lambda: is_blocked(database))
        closing = pool.submit(ledger.close)
        with pytest.raises(TimeoutError):
            closing.result(timeout=0.1)
        holder.rollback()
        closing.result()
        assert job.result().seq == 1


def test_a_lone_caller_who_is_interrupted_in_the_middle_leaves_neither_a_lock_nor_an_entry(database):
    moments = itertools.chain([KeyboardInterrupt()], itertools.repeat(None))

    def clock():
        if fault := next(moments):
            raise fault
        return now()

    with a_ledger(database.engine(), clock=clock) as ledger, a_ledger(database.engine(), "gw-2") as other:
        with pytest.raises(KeyboardInterrupt):
            ledger.append(refused("interrupted"))
        assert [other.append(refused()).seq, ledger.append(refused()).seq] == [1, 2]


def test_a_database_that_does_not_answer_records_nothing(tmp_path):
    engine = engine_for(f"postgresql://remit_gateway@/remit?host={tmp_path}")
    with a_ledger(engine) as ledger:
        for attempt in (lambda: ledger.append(refused()), ledger.head, lambda: ledger.change(lambda _: [refused()])):
            with pytest.raises(NotRecorded):
                attempt()


def until_missing(ledger, gateways):
    """PostgreSQL notices the end of a session a moment later."""
    while ledger.missing() != gateways:
        assert ledger.missing() <= gateways


def test_only_reads_of_gateways_that_are_gone_are_closed_as_interrupted(database):
    gone = Ledger(database.engine(), gateway="gw-gone", clock=now)
    gone.append(begun("r-ended"))
    gone.append(ended("r-ended"))
    gone.append(begun("r-left"))
    gone.close()
    with a_ledger(database.engine(), "gw-alive") as alive, a_ledger(database.engine(), "gw-new") as new:
        alive.append(begun("r-running"))
        new.append(begun("r-own"))
        until_missing(new, {"gw-gone"})
        assert len(new.close_orphans(["gw-gone", "gw-alive"])) == 1
        assert new.missing() == frozenset()
        (line,) = search(database.engine(), Query(kind="read.interrupted")).lines
        assert line.doc["read"] == "r-left"
        assert line.doc["gateway"] == "gw-new"
        assert line.doc["details"] == {"authorized_by": "gw-gone", "ended_by": "lost", "subjects": 0}
        assert verify(database.url()).completeness


def test_a_gateway_is_gone_whose_lock_was_free_twice_in_a_row_and_not_before(database):
    """After a crash of the database every lock is free for a moment, also of those that live."""
    with a_ledger(database.engine(), "gw-back") as back, a_ledger(database.engine(), "gw-looks") as looks:
        left = LeftBehind(looks)
        for name in ("gw-gone", "gw-back"):
            with a_ledger(database.engine(), name) as crashed:
                crashed.append(begun(f"r-of-{name}"))
        until_missing(looks, {"gw-gone", "gw-back"})
        assert left.look() == 0
        back.append(begun("r-on"))
        assert left.look() == 1
        (line,) = search(database.engine(), Query(kind="read.interrupted")).lines
        assert line.doc["read"] == "r-of-gw-gone"


def test_two_that_look_at_once_close_what_was_left_once(database):
    with a_ledger(database.engine(), "gw-gone") as gone:
        for number in range(20):
            gone.append(begun(f"r-{number}"))
    starting = [Ledger(database.engine(), gateway=f"gw-{number}", clock=now) for number in range(4)]
    until_missing(starting[0], {"gw-gone"})
    with ThreadPoolExecutor(4) as pool:
        assert sum(len(closed) for closed in pool.map(lambda each: each.close_orphans(["gw-gone"]), starting)) == 20
    for ledger in starting:
        ledger.close()
    assert verify(database.url()).completeness


class Wire:
    """Stands between psycopg and the server; it cuts the connection at the entry of `r-cut`, before or after."""

    def __init__(self, folder, server_url):
        self.url = make_conninfo(server_url, host=str(folder))
        self.cut = None
        self._real = conninfo_to_dict(server_url)["host"] + "/.s.PGSQL.5432"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._real)
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
            threading.Thread(target=self._pass_back, args=(server, client), daemon=True).start()

    def _pass_on(self, client, server):
        with client, server:
            while data := receive(client):
                if self.cut is not None and b"r-cut" in data:
                    lost, self.cut = self.cut, None
                    client.shutdown(socket.SHUT_RDWR)
                    if lost == "answer":
                        server.sendall(data)
                    server.shutdown(socket.SHUT_RDWR)
                    return
                server.sendall(data)

    def _pass_back(self, server, client):
        while data := receive(server):
            try:
                client.sendall(data)
            except OSError:
                return


def receive(connection):
    try:
        return connection.recv(65_536)
    except OSError:
        return b""


@pytest.fixture
def wire(database, folder):
    made = folder / f"wire-{database.name}"
    made.mkdir()
    wire = Wire(made, database.url())
    yield wire
    wire.close()


def test_a_read_whose_commit_went_unheard_does_not_happen_and_is_closed_as_interrupted(database, wire):
    engine = engine_for(wire.url)
    with a_ledger(engine) as ledger:
        ledger.append(begun("r-heard"))
        wire.cut = "answer"
        with pytest.raises(NotRecorded):
            ledger.append(begun("r-cut"))
        wait_until(lambda: len(rows(database)) == 2)
        ledger.append(ended("r-heard"))
        assert kinds(database) == ["read.authorized", "read.authorized", "read.interrupted", "read.completed"]
    engine.dispose()
    assert verify(database.url()).problems == ()


def test_a_commit_that_never_arrived_leaves_nothing(database, wire):
    engine = engine_for(wire.url)
    with a_ledger(engine) as ledger:
        for heard in ("r-first", "r-second"):
            wire.cut = "order"
            with pytest.raises(NotRecorded):
                ledger.append(begun("r-cut"))
            ledger.append(refused(heard))
        assert kinds(database) == ["read.refused", "read.refused"]
    engine.dispose()


def test_a_batch_that_arrives_when_nobody_waits_for_it_any_more_writes_nothing(database):
    """Its connection broke, the server reads it late: by then the ledger has gone on from the head it was made for."""
    with a_ledger(database.engine()) as ledger, psycopg.connect(database.url(), autocommit=True) as late:
        ledger.append(refused())
        seen = read_head(late)
        ledger.append(refused())
        assert write(late, seen, Batch([draft(begun("r-late"), "gw-1")], "gw-1", now())) is None
        assert not ledger.is_open("r-late")
    assert kinds(database) == ["read.refused", "read.refused"]


@pytest.mark.parametrize("field", ["size", "frontier", "epoch", "at"])
def test_a_head_that_is_not_the_one_expected_is_never_written_after(database, ledger, field):
    ledger.append(refused())
    with psycopg.connect(database.url(), autocommit=True) as session:
        seen = read_head(session)
        other = {
            "size": replace(seen, tree=Frontier(2, seen.tree.subtrees)),
            "frontier": replace(seen, tree=Frontier(1, (bytes(32),))),
            "epoch": replace(seen, epoch=1),
            "at": replace(seen, at=seen.at - timedelta(microseconds=1)),
        }[field]
        assert write(session, other, Batch([draft(refused(), "gw-1")], "gw-1", now())) is None
        assert write(session, seen, Batch([draft(refused(), "gw-1")], "gw-1", now())) == read_head(session)
    assert verify(database.url()).problems == ()


def test_two_gateways_and_changes_of_the_epoch_race_and_nothing_stale_is_written(database):
    stopping, written = threading.Event(), []

    def appending(ledger, name):
        number, epoch = 0, 0
        while not stopping.is_set():
            number += 1
            try:
                recorded = ledger.append(begun(f"r-{name}-{number}"), epoch=epoch)
                assert recorded.epoch == epoch
                written.append((recorded, f"r-{name}-{number}"))
                ledger.append(ended(f"r-{name}-{number}"))
            except StaleEpoch as stale:
                epoch = stale.current

    with a_ledger(database.engine(), "gw-1") as one, a_ledger(database.engine(), "gw-2") as two:
        with ThreadPoolExecutor(8) as pool:
            jobs = [pool.submit(appending, ledger, f"{n}-{m}") for n, ledger in enumerate((one, two)) for m in range(4)]
            for turn in range(20):
                before = len(written)
                wait_until(lambda before=before: len(written) > before + 10 or any(job.done() for job in jobs))
                (one, two)[turn % 2].change(lambda _: [Entry(Kind.PAUSE_SET, "olga")])
            stopping.set()
            for job in jobs:
                job.result()
        assert one.head().epoch == 20
    docs = [json.loads(canonical) for _, canonical in rows(database)]
    assert all(docs[recorded.seq - 1]["read"] == read for recorded, read in written)
    epochs = list(itertools.accumulate(doc["kind"] == "pause.set" for doc in docs))
    assert all(epochs[recorded.seq - 1] == recorded.epoch for recorded, _ in written)
    assert verify(database.url()).problems == ()


@pytest.fixture(scope="module")
def own_home(folder):
    return folder / "killed"


def test_after_kill_9_everything_confirmed_is_there_and_the_ledger_goes_on(own_home):
    with Embedded.open(own_home) as embedded:
        migrate(embedded.url("owner"), "remit_gateway")
        engine = engine_for(embedded.url("gateway"))
        with a_ledger(engine) as ledger:
            confirmed = []
            stopping = threading.Event()

            def appending(name):
                number = 0
                while not stopping.is_set():
                    number += 1
                    try:
                        confirmed.append((ledger.append(refused(f"{name}-{number}")).seq, f"{name}-{number}"))
                    except NotRecorded:
                        stopping.wait(0.01)

            threads = [threading.Thread(target=appending, args=(name,)) for name in range(8)]
            for thread in threads:
                thread.start()
            for _ in range(2):
                before = len(confirmed)
                wait_until(lambda before=before: len(confirmed) > before + 100)
                os.kill(int((embedded.place.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
                embedded.ensure_running()
            before = len(confirmed)
            wait_until(lambda: len(confirmed) > before + 100)
            stopping.set()
            for thread in threads:
                thread.join()
            actors = {line.seq: line.doc["actor"] for line in after(engine, 0, 10**6)}
        engine.dispose()
        assert all(actors[seq] == actor for seq, actor in confirmed)
        assert verify(embedded.url("gateway")).problems == ()


@pytest.fixture
def small_disk(folder):
    """A file system of 110 MB, 30 of them taken by a file that can be removed."""
    disk = folder / "small"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=110m,mode=0711", "tmpfs"]
    mount, unmount = shutil.which("mount") or "mount", shutil.which("umount") or "umount"
    mounted = subprocess.run([mount, *options, disk], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.partition(chr(10))[0]}")
    (disk / "ballast").write_bytes(bytes(30 * 2**20))
    yield disk
    subprocess.run([unmount, disk], check=True)


def append_until_it_fails(ledger, confirmed):
    heavy = {"text": os.urandom(200_000).hex()}
    for _ in range(1_000):
        confirmed.append(ledger.append(refused(details=heavy)).seq)


def is_recorded_again(embedded, ledger):
    """The server may still be on its way down when it answers once more: then one entry more is refused."""
    embedded.ensure_running()
    try:
        ledger.append(refused())
    except NotRecorded:
        return False
    return True


def test_a_full_disk_records_nothing_more_and_loses_nothing_confirmed(small_disk):
    confirmed = []
    with Embedded.open(small_disk / "home") as embedded:
        migrate(embedded.url("owner"), "remit_gateway")
        engine = engine_for(embedded.url("gateway"))
        with a_ledger(engine) as ledger:
            with pytest.raises(NotRecorded):
                append_until_it_fails(ledger, confirmed)
            (small_disk / "ballast").unlink()
            wait_until(lambda: is_recorded_again(embedded, ledger))
        engine.dispose()
        verdict = verify(embedded.url("gateway"))
    assert verdict.problems == ()
    assert confirmed == list(range(1, len(confirmed) + 1))
    assert verdict.size > len(confirmed)
