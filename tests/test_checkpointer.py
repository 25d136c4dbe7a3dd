"""What is signed was read back and hashed again, and grew out of what was signed before; nothing else ever is."""

import shutil
import time
from datetime import UTC, datetime

import psycopg
import pytest
from ledgers import documents

from audit.checkpointer import SEEN, Checkpointer
from audit.entries import Entry, Kind
from audit.errors import KeyUnfit, NotReadable
from audit.ledger import Ledger
from audit.ledger_keys import NAME, read, rotate
from audit.notes import SIGNED, Checkpoint, Note, Signer
from audit.severities import Severity, severity_of
from audit.verify import verify


@pytest.fixture
def ledger(database):
    ledger = Ledger(database.engine(), gateway="gw-1", clock=lambda: datetime.now(UTC))
    yield ledger
    ledger.close()


@pytest.fixture
def checkpointer(database, ledger, tmp_path):
    return made(database, ledger, tmp_path)


def made(database, ledger, home, **more):
    """A checkpointer whose next look is never too soon."""
    checkpointer = Checkpointer(database.engine(), ledger, key=home / NAME, home=home, **more)
    checkpointer.look()
    return checkpointer


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("audit.checkpointer.APART", 0)


@pytest.fixture
def tamper(database):
    with psycopg.connect(database.url("owner"), autocommit=True) as connection:
        for table in ("audit_entries", "audit_head", "audit_tiles", "audit_tree", "audit_checkpoints"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        yield connection.execute


def append(ledger, count=1):
    ledger.change(lambda _: [Entry(Kind.READ_REFUSED, "ana", code="no_grant")] * count, raises_epoch=False)


def notes(database):
    with psycopg.connect(database.url()) as connection:
        return [note for (note,) in connection.execute("SELECT note FROM audit_checkpoints ORDER BY size")]


def test_a_checkpoint_is_a_signed_note_over_the_tree_of_all_entries(database, ledger, checkpointer, tmp_path):
    append(ledger, 600)
    checkpointer.look()
    keys = read(tmp_path / NAME)
    note = Note.parse(notes(database)[-1].encode())
    assert note.verified([keys.signers[0].verifier]) == (keys.signers[0].verifier,)
    assert Checkpoint.parse(note.text) == Checkpoint(keys.origin, 601, ledger.head().root)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / SEEN).read_text() == notes(database)[-1]


def test_what_was_recorded_last_is_signed_when_it_ends_however_soon_that_is(database, ledger, tmp_path, monkeypatch):
    monkeypatch.setattr("audit.checkpointer.APART", 600)
    monkeypatch.setattr("audit.checkpointer.POLL", 600)
    for _ in range(2):
        with Checkpointer(database.engine(), ledger, key=tmp_path / NAME, home=tmp_path):
            append(ledger, 7)
        assert Checkpoint.parse(Note.parse(notes(database)[-1].encode()).text).size == ledger.head().size


def test_what_another_gateway_did_not_sign_when_both_end_is_signed_once_it_is_done(
    database, ledger, tmp_path, monkeypatch
):
    monkeypatch.setattr("audit.checkpointer.LAST", 60)
    with (
        Checkpointer(database.engine(), ledger, key=tmp_path / NAME, home=tmp_path) as checkpointer,
        psycopg.connect(database.url("owner")) as other,
    ):
        other.execute("SELECT FROM audit_tree FOR UPDATE")
        append(ledger)
        checkpointer._stopping.set()
        checkpointer._thread.join(timeout=0.4)
    assert Checkpoint.parse(Note.parse(notes(database)[-1].encode()).text).size == ledger.head().size


def test_nothing_new_is_nothing_to_sign(database, ledger, checkpointer):
    append(ledger)
    for _ in range(3):
        checkpointer.look()
    assert len(notes(database)) == 2


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE audit_entries SET canonical = replace(canonical, 'ana', 'eve') WHERE seq = 5", "text of entry 5"),
        ("UPDATE audit_entries SET leaf = decode(repeat('00', 32), 'hex') WHERE seq = 5", "text of entry 5"),
        ("DELETE FROM audit_entries WHERE seq = 5", "entry 5 is missing"),
        ("DELETE FROM audit_entries WHERE seq > 8", "entry 9 is missing"),
        (
            "UPDATE audit_entries SET canonical = c, leaf = sha256('\\x00' || convert_to(c, 'UTF8')) FROM"
            " (SELECT replace(canonical, 'ana', 'eve') c FROM audit_entries WHERE seq = 5) WHERE seq = 5",
            "the tree over the entries is not the one",
        ),
    ],
)
def test_what_was_changed_before_it_was_signed_is_never_signed_and_is_a_sev1(
    database, ledger, checkpointer, tamper, change, what
):
    append(ledger, 10)
    tamper(change)
    for _ in range(3):
        checkpointer.look()
    assert len(notes(database)) == 1
    assert what in checkpointer.checkpointing.refused
    (told,) = documents(database.url(), Kind.CHECKPOINT_REFUSED)
    assert what in told["details"]["why"]
    assert severity_of(told) is Severity.SEV1


def test_signing_goes_on_once_the_ledger_is_again_what_was_written(database, ledger, checkpointer, tamper):
    append(ledger, 10)
    tamper("UPDATE audit_entries SET canonical = replace(canonical, 'ana', 'eve') WHERE seq = 5")
    checkpointer.look()
    append(ledger)
    checkpointer.look()
    assert checkpointer.checkpointing.refused
    tamper("UPDATE audit_entries SET canonical = replace(canonical, 'eve', 'ana') WHERE seq = 5")
    checkpointer.look()
    assert checkpointer.checkpointing.refused is None
    assert Checkpoint.parse(Note.parse(notes(database)[-1].encode()).text).size == ledger.head().size


def test_a_row_that_somebody_holds_so_that_nobody_signs_makes_the_gateway_not_well(
    database, ledger, checkpointer, tamper, monkeypatch
):
    monkeypatch.setattr("audit.checkpointer.LATE", 0.2)
    with psycopg.connect(database.url()) as holder:
        holder.execute("SELECT FROM audit_tree FOR UPDATE")
        append(ledger)
        checkpointer.look()
        time.sleep(0.3)
        with pytest.raises(NotReadable, match="another session has held `audit_tree`"):
            checkpointer.look()
    checkpointer.look()
    assert checkpointer.checkpointing.lag == 0


def test_a_ledger_that_was_cut_off_after_signing_is_never_signed_again(database, ledger, checkpointer, tamper):
    append(ledger, 10)
    checkpointer.look()
    tamper("DELETE FROM audit_entries WHERE seq > 8")
    tamper("UPDATE audit_head SET size = 8, frontier = substr(frontier, 1, 32)")
    checkpointer.look()
    assert "were signed and are not there any more" in checkpointer.checkpointing.refused


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE audit_tree SET edge = decode(repeat('00', octet_length(edge)), 'hex')", "not the one that was signed"),
        ("UPDATE audit_tree SET edge = ''", "audit_tree was changed"),
        ("UPDATE audit_tree SET size = 4, edge = substr(edge, 1, 128)", "not the one that was signed last"),
        ("DELETE FROM audit_tree", "audit_tree has lost its row"),
        ("DELETE FROM audit_checkpoints", "the checkpoints that were signed are gone"),
        ("UPDATE audit_checkpoints SET note = 'x'", "a note is"),
    ],
)
def test_a_stored_tree_or_checkpoint_that_was_changed_is_not_built_upon(
    database, ledger, tmp_path, tamper, change, what
):
    checkpointer = made(database, ledger, tmp_path)
    append(ledger, 10)
    checkpointer.look()
    tamper(change)
    append(ledger)
    checkpointer.look()
    assert what in checkpointer.checkpointing.refused


def test_a_database_set_back_as_a_whole_is_noticed_by_the_gateway_that_signed_it(database, ledger, tmp_path, tamper):
    """Every table as it was before, as from a backup: only what lies beside the key knows better."""
    checkpointer = made(database, ledger, tmp_path)
    before = {}
    with psycopg.connect(database.url("owner")) as owner:
        for table, columns in {"audit_head": "size, frontier", "audit_tree": "size, edge"}.items():
            before[table] = owner.execute(f"SELECT {columns} FROM {table}").fetchone()
    append(ledger, 10)
    checkpointer.look()
    tamper("DELETE FROM audit_entries WHERE seq > 1")
    tamper("DELETE FROM audit_checkpoints WHERE size > 1")
    tamper("UPDATE audit_head SET size = %s, frontier = %s", before["audit_head"])
    tamper("UPDATE audit_tree SET size = %s, edge = %s", before["audit_tree"])
    again = made(database, ledger, tmp_path)
    assert "the ledger is older than a checkpoint of 11 entries" in again.checkpointing.refused
    append(ledger, 20)
    again.look()
    assert again.checkpointing.refused


def test_keys_are_said_in_the_ledger_before_they_sign_and_the_old_one_signs_along(database, ledger, tmp_path):
    checkpointer = made(database, ledger, tmp_path)
    first = read(tmp_path / NAME)
    second, third = rotate(tmp_path / NAME), rotate(tmp_path / NAME)
    append(ledger)
    checkpointer.look()
    activated = [doc["details"]["vkey"] for doc in documents(database.url(), Kind.KEY_ACTIVATED)]
    assert activated == [str(keys.signers[0].verifier) for keys in (first, second, third)]
    (retired,) = documents(database.url(), Kind.KEY_RETIRED)
    assert retired["details"]["vkey"] == activated[0]
    note = Note.parse(notes(database)[-1].encode())
    assert [signature.id for signature in note.signatures] == [keys.signers[0].verifier.id for keys in (third, second)]


def test_a_key_that_was_retired_elsewhere_signs_nothing_more_and_stops_the_next_start(
    database, ledger, checkpointer, tmp_path
):
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / NAME, tmp_path / "other")
    other = made(database, ledger, tmp_path / "other")
    for _ in range(2):
        rotate(tmp_path / NAME)
        append(ledger)
        checkpointer.look()
    append(ledger)
    with pytest.raises(KeyUnfit, match="were retired by a rotation elsewhere"):
        other.look()
    with pytest.raises(KeyUnfit, match="were retired by a rotation elsewhere"):
        made(database, ledger, tmp_path / "other")
    checkpointer.look()
    verdict = verify(database.url())
    assert (verdict.problems, verdict.signed) == ((), ledger.head().size)


def test_a_key_of_another_ledger_is_refused(database, ledger, tmp_path):
    made(database, ledger, tmp_path)
    (tmp_path / "other").write_text(f"{Signer.make('example.com/other', SIGNED).text()}\n")
    (tmp_path / "other").chmod(0o600)
    with pytest.raises(KeyUnfit, match=r"is the key of the ledger `example\.com/other`"):
        Checkpointer(database.engine(), ledger, key=tmp_path / "other", home=tmp_path)
    with pytest.raises(KeyUnfit, match="is named `remit/"):
        Checkpointer(database.engine(), ledger, key=tmp_path / NAME, home=tmp_path, name="example.com/other")


def test_a_key_that_others_can_read_or_that_is_damaged_stops_the_start(database, ledger, tmp_path):
    made(database, ledger, tmp_path)
    (tmp_path / NAME).chmod(0o644)
    with pytest.raises(KeyUnfit, match="can be reached by other users"):
        made(database, ledger, tmp_path)
    (tmp_path / NAME).chmod(0o600)
    (tmp_path / NAME).write_text("PRIVATE+KEY+x")
    with pytest.raises(KeyUnfit, match="restore it from a backup"):
        made(database, ledger, tmp_path)


@pytest.mark.parametrize("damaged", [b"", b"rubbish\n", b"\xff\xfe"])
def test_what_a_gateway_has_seen_is_never_forgotten_because_it_cannot_be_read(
    database, ledger, checkpointer, tmp_path, damaged
):
    append(ledger)
    checkpointer.look()
    (tmp_path / SEEN).write_bytes(damaged)
    with pytest.raises(KeyUnfit, match="is not the checkpoint that this gateway saw last"):
        made(database, ledger, tmp_path)


def test_a_key_behind_a_link_is_told_as_one(database, ledger, checkpointer, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / NAME)
    with pytest.raises(KeyUnfit, match="is a link: name the file that it leads to"):
        Checkpointer(database.engine(), ledger, key=tmp_path / "link", home=tmp_path)


def test_a_supplied_key_and_name_are_taken(database, ledger, tmp_path):
    (tmp_path / "mine").write_text(f"{Signer.make('example.com/remit', SIGNED).text()}\n")
    (tmp_path / "mine").chmod(0o600)
    checkpointer = Checkpointer(database.engine(), ledger, key=tmp_path / "mine", home=tmp_path)
    append(ledger)
    checkpointer.look()
    assert notes(database)[-1].startswith("example.com/remit\n2\n")


def test_several_gateways_on_one_ledger_each_sign_with_their_own_key_and_never_the_same_size_twice(
    database, ledger, tmp_path
):
    homes = [tmp_path / "a", tmp_path / "b"]
    for home in homes:
        home.mkdir()
    both = [made(database, ledger, home) for home in homes]
    for turn in range(6):
        append(ledger, 3)
        both[turn % 2].look()
        both[1 - turn % 2].look()
    verifiers = [read(home / NAME).signers[0].verifier for home in homes]
    signed = [Note.parse(note.encode()) for note in notes(database)]
    assert [Checkpoint.parse(note.text).size for note in signed][-1] == ledger.head().size
    assert {key for note in signed for key in note.verified(verifiers)} == set(verifiers)
    assert len(documents(database.url(), Kind.KEY_ACTIVATED)) == 2
    assert (homes[0] / SEEN).read_text() == (homes[1] / SEEN).read_text() == notes(database)[-1]
