"""The gateway's side of witnessing: real witnesses over HTTP, a real ledger; what counts, and what is told when not."""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from socket import socket

import psycopg
import pytest
import uvicorn
from ledgers import documents
from service import serving
from sqlalchemy import text
from witnessing import Log, clean_environment, witnessing

from audit.checkpointer import Checkpointer
from audit.cosignatures import Quorum, counted_note
from audit.cosigner import Cosigner, WitnessAt
from audit.entries import Entry, Kind
from audit.errors import BadNote, NotCosigned
from audit.keyfiles import kept
from audit.ledger import Ledger
from audit.ledger_keys import NAME, read
from audit.notes import COSIGNED, SIGNED, Checkpoint, Note, Signer
from audit.severities import Severity, severity_of
from audit.witnessing import Witnessing
from authz.refused_tokens import EACH_MINUTE
from gateway.settings import BadSetting, witnesses
from witness.cosigning import Answer, Witness
from witness.memory import Memory
from witness.server import listening, make_app


@dataclass
class Lent:
    """What answers as a witness at an address; `says` overrides what it says, as one that lies would."""

    witness: Witness
    says: list[Answer] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)

    def add(self, body: bytes) -> Answer:
        self.asked.append(body)
        return self.says.pop(0) if self.says else self.witness.add(body)

    def latest(self, name: str) -> Answer:
        return self.witness.latest(name)


class _Quiet(uvicorn.Server):
    """In a thread of the test: signals are the test's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def answering(lent: Lent) -> Iterator[str]:
    """The URL where it answers, until the end of the `with`."""
    listener: socket = listening("127.0.0.1", 0)
    server = _Quiet(uvicorn.Config(make_app(lent), log_level="critical", lifespan="off"))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


KEYS = [Signer(f"witness.example/w{number}", COSIGNED, bytes([number] * 32)) for number in range(3)]


@pytest.fixture
def ledger(database):
    ledger = Ledger(database.engine(), gateway="gw-1", clock=lambda: datetime.now(UTC))
    yield ledger
    ledger.close()


@pytest.fixture
def checkpointer(database, ledger, tmp_path, monkeypatch):
    monkeypatch.setattr("audit.checkpointer.APART", 0)
    made = Checkpointer(database.engine(), ledger, key=tmp_path / NAME, home=tmp_path)
    made.look()
    return made


@pytest.fixture
def lent(tmp_path, checkpointer):
    logs = [read(tmp_path / NAME).signers[0].verifier]
    return [Lent(Witness(key, logs, Memory(tmp_path / key.name), time.time)) for key in KEYS]


@pytest.fixture
def places(lent):
    with answering(lent[0]) as one, answering(lent[1]) as two, answering(lent[2]) as three:
        yield tuple(WitnessAt(url, key.verifier) for url, key in zip((one, two, three), KEYS, strict=True))


@contextmanager
def shown_to(database, ledger, places, required):
    witnessing = Witnessing(database.engine(), ledger, Quorum(places, required))
    try:
        yield witnessing
    finally:
        witnessing.__exit__()


@pytest.fixture(autouse=True)
def _asked_again_at_once(monkeypatch):
    monkeypatch.setattr("audit.witnessing.LEFT_ALONE", 0)


def grow(ledger, checkpointer, count=1):
    ledger.change(lambda _: [Entry(Kind.READ_REFUSED, "ana", code="no_grant")] * count, raises_epoch=False)
    checkpointer.look()


def test_each_checkpoint_is_cosigned_as_the_ledger_grows(database, ledger, checkpointer, places):
    with shown_to(database, ledger, places, 3) as witnessing:
        for count in (1, 5, 300, 2):
            grow(ledger, checkpointer, count)
            witnessing.look()
            note = Note.parse(witnessing.note().encode())
            assert Checkpoint.parse(note.text).size == ledger.head().size
            assert set(note.verified([key.verifier for key in KEYS])) == {key.verifier for key in KEYS}
    with psycopg.connect(database.url()) as connection:
        assert connection.execute("SELECT count(*) FROM audit_cosignatures").fetchone() == (12,)


def test_a_checkpoint_counts_when_enough_witnesses_signed_it_and_not_before(
    database, ledger, checkpointer, places, lent
):
    away = Answer(503, "away\n")
    with shown_to(database, ledger, places, 2) as witnessing:
        lent[0].says, lent[1].says = [away], [away]
        witnessing.look()
        assert witnessing.note() is None
        assert set(witnessing.standing.failing) == {KEYS[0].name, KEYS[1].name}
        lent[0].says = [away]
        witnessing.look()
        first = Note.parse(witnessing.note().encode())
        assert len(first.signatures) == 3
        grow(ledger, checkpointer)
        lent[0].says, lent[1].says = [away], [away]
        witnessing.look()
        assert witnessing.note() == str(first)
        witnessing.look()
        assert Checkpoint.parse(Note.parse(witnessing.note().encode()).text).size == ledger.head().size
        assert not witnessing.standing.failing


def test_without_witnesses_every_checkpoint_counts(database, ledger, checkpointer):
    with shown_to(database, ledger, (), 0) as witnessing:
        assert Checkpoint.parse(Note.parse(witnessing.note().encode()).text).size == ledger.head().size


def test_a_witness_that_already_signed_is_not_asked_again(database, ledger, checkpointer, places, lent):
    with shown_to(database, ledger, places, 3) as witnessing:
        for _ in range(3):
            witnessing.look()
    assert [len(each.asked) for each in lent] == [1, 1, 1]


def test_a_gateway_that_starts_asks_a_witness_how_far_it_is(database, ledger, checkpointer, places, lent):
    with shown_to(database, ledger, places[:1], 1) as witnessing:
        witnessing.look()
    grow(ledger, checkpointer, 3)
    with shown_to(database, ledger, places[:1], 1) as witnessing:
        witnessing.look()
        assert Checkpoint.parse(Note.parse(witnessing.note().encode()).text).size == ledger.head().size
    assert [asked.partition(b"\n")[0] for asked in lent[0].asked] == [b"old 0", b"old 0", b"old 1"]


def test_a_cosignature_whose_answer_was_lost_is_asked_for_again(database, ledger, checkpointer, places, lent):
    with shown_to(database, ledger, places[:1], 1) as witnessing:
        answer = lent[0].add

        def lose(body):
            lent[0].witness.add(body)
            lent[0].add = answer
            return Answer(500, "")

        lent[0].add = lose
        witnessing.look()
        assert witnessing.note() is None
        witnessing.look()
        assert witnessing.note() is not None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense\n",
        str(KEYS[0].sign("another text\n", at=1)),
        str(Signer(KEYS[0].name, COSIGNED, b"x" * 32).sign("x\n", at=1)),
        str(Signer("stranger.example", COSIGNED, b"x" * 32).sign("x\n", at=1)),
    ],
)
def test_what_a_witness_says_is_not_believed_without_its_signature(database, ledger, checkpointer, places, lent, line):
    with shown_to(database, ledger, places[:1], 1) as witnessing:
        lent[0].says = [Answer(200, line)]
        witnessing.look()
        assert witnessing.note() is None
        assert KEYS[0].name in witnessing.standing.failing


@pytest.mark.parametrize(
    "answer",
    [
        Answer(409, "many\n", "text/x.tlog.size"),
        Answer(409, "-1\n", "text/x.tlog.size"),
        Answer(409, "x" * 300_000, "text/x.tlog.size"),
        Answer(302, ""),
        Answer(200, "x" * 300_000),
    ],
)
def test_a_witness_that_talks_nonsense_only_does_not_sign(database, ledger, checkpointer, places, lent, answer):
    with shown_to(database, ledger, places, 2) as witnessing:
        lent[0].says = [answer] * 4
        witnessing.look()
        assert set(witnessing.standing.failing) == {KEYS[0].name}
        assert witnessing.note() is not None
        assert not documents(database.url(), Kind.WITNESS_REFUSED)


def test_a_witness_that_keeps_changing_its_mind_is_given_up(lent, places):
    log = Log()
    own = Cosigner(places[0])
    lent[0].says = [Answer(409, f"{size}\n", "text/x.tlog.size") for size in (1, 2, 3, 4)]
    with pytest.raises(NotCosigned):
        own.cosign(log.note(5), lambda old, size: list(log.submission(old, size).proof))
    own.close()


def test_a_witness_that_is_not_there_is_told_as_such():
    away = Cosigner(WitnessAt("http://127.0.0.1:1", KEYS[0].verifier))
    with pytest.raises(NotCosigned, match="cannot be reached"):
        away.latest("log")
    away.close()


def test_what_a_witness_saw_last_is_checked_before_it_is_believed(ledger, checkpointer, database, places, lent):
    with shown_to(database, ledger, places, 3) as witnessing:
        witnessing.look()
    origin = Checkpoint.parse(Note.parse(witnessing_note(database).encode()).text).origin
    own = Cosigner(places[0])
    assert Checkpoint.parse(own.latest(origin).text).size == 1
    assert own.latest("another.example") is None
    stranger = Cosigner(WitnessAt(places[0].url, KEYS[1].verifier))
    with pytest.raises(NotCosigned):
        stranger.latest(origin)
    for each in (own, stranger):
        each.close()


def witnessing_note(database):
    with psycopg.connect(database.url()) as connection:
        return connection.execute("SELECT note FROM audit_checkpoints ORDER BY size DESC").fetchone()[0]


def test_a_ledger_that_was_set_back_is_a_sev1_as_soon_as_a_witness_is_asked(
    database, ledger, checkpointer, places, tmp_path
):
    """Everything in the database is as it was before, and so is the file beside the key: only the witness knows."""
    with shown_to(database, ledger, places[:1], 1) as witnessing:
        witnessing.look()
        before = database_state(database)
        seen = (tmp_path / "ledger.checkpoint").read_text()
        grow(ledger, checkpointer, 5)
        witnessing.look()
        set_back(database, before)
        (tmp_path / "ledger.checkpoint").write_text(seen)
        again = Checkpointer(database.engine(), ledger, key=tmp_path / NAME, home=tmp_path)
        again.look()
        grow(ledger, again, 3)
        assert again.checkpointing.refused is None
    with shown_to(database, ledger, places[:1], 1) as witnessing:
        for _ in range(3):
            witnessing.look()
        grow(ledger, again, 20)
        witnessing.look()
    (told,) = documents(database.url(), Kind.WITNESS_REFUSED)
    assert severity_of(told) is Severity.SEV1
    assert told["details"]["witness"] == KEYS[0].name


STATE = {"audit_head": "size, frontier", "audit_tree": "size, edge"}
TABLES = ("audit_entries", "audit_head", "audit_tiles", "audit_tree", "audit_checkpoints", "audit_cosignatures")


def database_state(database):
    with psycopg.connect(database.url("owner")) as owner:
        return {table: owner.execute(f"SELECT {columns} FROM {table}").fetchone() for table, columns in STATE.items()}


def set_back(database, before):
    size = before["audit_head"][0]
    with psycopg.connect(database.url("owner"), autocommit=True) as owner:
        for table in TABLES:
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        owner.execute("DELETE FROM audit_cosignatures WHERE size > %s", (size,))
        owner.execute("DELETE FROM audit_checkpoints WHERE size > %s", (size,))
        owner.execute("DELETE FROM audit_entries WHERE seq > %s", (size,))
        owner.execute("UPDATE audit_head SET size = %s, frontier = %s", before["audit_head"])
        owner.execute("UPDATE audit_tree SET size = %s, edge = %s", before["audit_tree"])
        for table in TABLES:
            owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")


def test_witnesses_that_fall_behind_are_a_sev3_once_and_their_return_is_said(
    database, ledger, checkpointer, places, lent, monkeypatch
):
    with shown_to(database, ledger, places[:1], 1) as witnessing:
        witnessing.look()
        monkeypatch.setattr("audit.witnessing.BEHIND", -1.0)
        lent[0].says = [Answer(503, "away\n")] * 3
        grow(ledger, checkpointer)
        for _ in range(3):
            witnessing.look()
        (told,) = documents(database.url(), Kind.WITNESSES_BEHIND)
        assert severity_of(told) is Severity.SEV3
        assert told["details"]["failing"] == {KEYS[0].name: "it answered 503: away"}
        assert told["details"]["why"] == f"{KEYS[0].name}: it answered 503: away"
        assert not documents(database.url(), Kind.WITNESSES_BACK)
    monkeypatch.setattr("audit.witnessing.BEHIND", 300.0)
    with shown_to(database, ledger, places[:1], 1) as restarted:
        for _ in range(3):
            restarted.look()
        assert len(documents(database.url(), Kind.WITNESSES_BACK)) == 1
        assert severity_of(documents(database.url(), Kind.WITNESSES_BACK)[0]) is None


def test_a_witness_that_hangs_holds_up_nobody_else(database, ledger, checkpointer, places, lent, monkeypatch):
    monkeypatch.setattr("audit.witnessing.ROUND", 0.5)
    answers, answer = threading.Event(), lent[0].add

    def hang(body):
        answers.wait()
        return answer(body)

    lent[0].add = hang
    with shown_to(database, ledger, places, 2) as witnessing:
        try:
            for _ in range(3):
                grow(ledger, checkpointer)
                witnessing.look()
                while witnessing.note() is None or f"\n{ledger.head().size}\n" not in witnessing.note():
                    witnessing.look()
            # The other two may take longer than a round, too, on a machine that does much else.
            while witnessing.standing.failing != {KEYS[0].name: "it takes too long to answer"}:
                witnessing.look()
        finally:
            answers.set()
        while witnessing.standing.failing:
            witnessing.look()
        assert not documents(database.url(), Kind.WITNESS_REFUSED)


def test_two_gateways_show_one_ledger_to_the_same_witnesses(database, ledger, checkpointer, places):
    with shown_to(database, ledger, places, 3) as one, shown_to(database, ledger, places, 3) as two:
        for turn in range(6):
            grow(ledger, checkpointer)
            (one, two)[turn % 2].look()
            (two, one)[turn % 2].look()
            assert one.note() == two.note()
        assert not documents(database.url(), Kind.WITNESS_REFUSED)


def test_a_thread_shows_what_is_new_until_it_is_stopped(database, ledger, checkpointer, places):
    with Witnessing(database.engine(), ledger, Quorum(places, 3)) as witnessing:
        grow(ledger, checkpointer)
        size = ledger.head().size
        while witnessing.standing.counted != size:
            assert witnessing.standing.is_running
            time.sleep(0.01)
    assert not witnessing.standing.is_running


def test_the_last_checkpoint_is_shown_when_it_ends_and_to_those_too_that_failed_before(
    database, ledger, checkpointer, places, lent, monkeypatch
):
    monkeypatch.setattr("audit.witnessing.POLL", 600)
    monkeypatch.setattr("audit.witnessing.LEFT_ALONE", 600)
    answer, lent[0].add = lent[0].add, lambda _: Answer(503, "not now")
    witnessing = Witnessing(database.engine(), ledger, Quorum(places, 3))
    grow(ledger, checkpointer)
    witnessing.look()
    assert set(witnessing.standing.failing) == {KEYS[0].name}
    lent[0].add = answer
    with witnessing:
        grow(ledger, checkpointer)
    assert witnessing.standing.counted == ledger.head().size


def test_settings_of_witnesses_are_understood_whole_or_refused_with_their_name():
    one, two = (f"http://127.0.0.1:{8471 + number} {key.verifier}" for number, key in enumerate(KEYS[:2]))
    assert witnesses({}) == Quorum()
    assert witnesses({"REMIT_WITNESSES": f"{one} {two}"}).required == 2
    assert witnesses({"REMIT_WITNESSES": f"{one}\n{two}", "REMIT_WITNESSES_REQUIRED": "1"}).required == 1
    log = Signer("log.example", SIGNED, b"l" * 32).verifier
    for wrong in (one.split()[0], one.replace("http", "ftp"), one[:-1], f"{one} {one}", f"http://w {log}"):
        with pytest.raises(BadSetting, match="REMIT_WITNESSES"):
            witnesses({"REMIT_WITNESSES": wrong})
    for required in ("0", "3", "two", "-1"):
        with pytest.raises(BadSetting, match="REMIT_WITNESSES_REQUIRED"):
            witnesses({"REMIT_WITNESSES": f"{one} {two}", "REMIT_WITNESSES_REQUIRED": required})
    with pytest.raises(BadSetting, match="REMIT_WITNESSES_REQUIRED"):
        witnesses({"REMIT_WITNESSES_REQUIRED": "1"})


def test_a_log_and_its_witness_are_not_the_same_key():
    with pytest.raises(BadNote):
        WitnessAt("http://w", Signer("log.example", SIGNED, b"l" * 32).verifier)


def test_a_gateway_and_its_witness_as_they_are_run(database, folder, tmp_path):
    """Both as real processes: the ledger is co-signed, and without the witness reads go on and are waited for."""
    place = Path(tempfile.mkdtemp(dir=folder))
    key = Signer("log.example/remit", SIGNED, b"l" * 32)
    kept(place / "home" / NAME, lambda: f"{key.text()}\n".encode())
    with witnessing(tmp_path, key.verifier) as witness:
        told = f"{witness.url} {witness.key}"
        with serving(place, database.url(), REMIT_WITNESSES=told) as service:
            service.grant()
            assert service.rows(limit=3).num_rows == 3
            size = service.entries(limit=1)[0]["seq"]
            while counted_of(database, witness.key, key.verifier) < size:
                assert service.process.poll() is None
                time.sleep(0.05)
            witness.stop()
            assert service.rows(limit=3).num_rows == 3
            while "remit_witnesses_failing 1.0" not in service.call("GET", "/metrics", None).text:
                time.sleep(0.05)
            before = counted_of(database, witness.key, key.verifier)
            witness.start()
            assert witness.url not in told
        done = service.settings | {"REMIT_WITNESSES": f"{witness.url} {witness.key}"}
        checked = subprocess.run(
            [sys.executable, "-m", "remit", "audit", "restore-check", "--json"],
            env=clean_environment() | done,
            capture_output=True,
            text=True,
        )
        assert checked.returncode == 0, checked.stderr
        (said,) = json.loads(checked.stdout)
        assert (said["outcome"], said["seen"] >= before) == ("ahead", True)


def test_a_gateway_that_is_stopped_leaves_no_entry_unsigned_and_no_checkpoint_unseen(database, folder, tmp_path):
    place = Path(tempfile.mkdtemp(dir=folder))
    key = Signer("log.example/remit", SIGNED, b"l" * 32)
    kept(place / "home" / NAME, lambda: f"{key.text()}\n".encode())
    with (
        witnessing(tmp_path, key.verifier) as witness,
        serving(place, database.url(), REMIT_WITNESSES=f"{witness.url} {witness.key}") as service,
    ):
        for _ in range(EACH_MINUTE + 1):
            refused = service.call("GET", "/v1/whoami", None, headers={"Authorization": "Bearer a.b.c"})
            assert refused.status_code == 401
    last = documents(database.url(), Kind.IDENTITY_REFUSED)[-1]
    assert last["details"]["reason"] == "more of the same", "it was written when the gateway ended"
    with database.engine().connect() as connection:
        size = connection.execute(text("SELECT size FROM audit_head")).scalar_one()
    assert counted_of(database, witness.key, key.verifier) == size


def counted_of(database, *keys):
    """The newest size that all of these keys signed, by what the gateway would hand out."""
    quorum = Quorum((WitnessAt("http://w", keys[0]),), 1)
    with database.engine().connect() as connection:
        counted = counted_note(connection, quorum)
    if counted is None:
        return 0
    note = Note.parse(counted.encode())
    assert set(note.verified(keys)) == set(keys)
    return Checkpoint.parse(note.text).size
