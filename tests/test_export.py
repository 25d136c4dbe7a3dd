"""What is taken away proves itself; and a database that was restored is what was seen of it, or how much is lost."""

import contextlib
import csv
import io
import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from witnessing import clean_environment

from audit.checkpointer import Checkpointer
from audit.cosignatures import Quorum, keep, latest
from audit.cosigner import WitnessAt
from audit.entries import Entry, Kind
from audit.errors import BadNote, NotProven
from audit.export import CSV, ENTRIES, PROOF, batch_of, check
from audit.ledger import Ledger
from audit.ledger_keys import NAME, read
from audit.notes import COSIGNED, SIGNED, Checkpoint, Note, Signer
from audit.restored import Outcome, Seen, compare, origin_of
from audit.submissions import Submission
from remit.cli import main
from witness.cosigning import Witness
from witness.memory import Memory

WITNESS = Signer("witness.example/w1", COSIGNED, b"w" * 32)
START = datetime(2026, 11, 1, tzinfo=UTC)


class Made:
    """A ledger whose entries are a minute apart, signed and co-signed as often as a test says."""

    def __init__(self, database, home):
        self.database, self.home, self.minutes = database, home, 0
        self.ledger = Ledger(database.engine(), gateway="gw-1", clock=self.clock)
        self.checkpointer = Checkpointer(database.engine(), self.ledger, key=home / NAME, home=home)
        self.checkpointer.look()

    def clock(self):
        self.minutes += 1
        return START + timedelta(minutes=self.minutes)

    @property
    def key(self):
        return read(self.home / NAME).signers[0].verifier

    def grow(self, count, actor="ana"):
        for _ in range(count):
            self.ledger.append(Entry(Kind.READ_REFUSED, actor, code="no_grant", dataset="events"))
        self.checkpointer.look()
        return self.note()

    def note(self):
        with self.database.engine().connect() as connection:
            return latest(connection)[1]

    def cosign(self):
        """What a witness that saw this checkpoint has, and the ledger keeps."""
        note = self.note()
        signature = WITNESS.sign(note.text, at=int(time.time()))
        size = Checkpoint.parse(note.text).size
        with self.database.engine().begin() as connection:
            keep(connection, size, WITNESS.verifier, signature)
        return Note(note.text, (*note.signatures, signature))


@pytest.fixture
def made(database, tmp_path, monkeypatch):
    monkeypatch.setattr("audit.checkpointer.APART", 0)
    made = Made(database, tmp_path)
    yield made
    made.ledger.close()


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def remit(*arguments, **settings):
    """`remit audit …`, in this process: a process of its own would take longer than what it does."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        for name in os.environ.keys() - clean_environment().keys():
            patch.delenv(name)
        for name, value in settings.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(["audit", *map(str, arguments)])
    return Done(ended.value.code or 0, out.getvalue(), err.getvalue())


def change(database, *statements):
    with psycopg.connect(database.url("owner"), autocommit=True) as owner:
        tables = ("audit_entries", "audit_head", "audit_tree", "audit_tiles", "audit_checkpoints", "audit_cosignatures")
        for table in tables:
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for statement in statements:
            owner.execute(statement)


@pytest.fixture
def taken(made, tmp_path):
    """An export of some entries in the middle, with CSV."""
    made.grow(20, actor='=cmd|"/c calc"!A1')
    since, until = (START + timedelta(minutes=minutes) for minutes in (5, 12))
    done = remit(
        "export", "--database", made.database.url(), "--out", tmp_path / "out", "--csv", "--json",
        "--from", since.isoformat(), "--to", until.isoformat(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["last"] - told["first"] == 6
    return tmp_path / "out"


def test_an_export_proves_itself_without_database_or_service(made, taken):
    done = remit("check-export", taken, "--key", made.key)
    assert (done.returncode, "all of them" in done.stdout) == (0, True), done.stderr
    table = pq.read_table(taken / ENTRIES)
    assert table["at"].to_pylist() == sorted(table["at"].to_pylist())
    assert START + timedelta(minutes=5) <= table["at"][0].as_py()
    assert table["at"][-1].as_py() < START + timedelta(minutes=12)
    with psycopg.connect(made.database.url()) as connection:
        rows = connection.execute("SELECT seq, canonical FROM audit_entries ORDER BY seq").fetchall()
    texts = dict(rows)
    assert [texts[seq] for seq in table["seq"].to_pylist()] == table["canonical"].to_pylist()


def test_an_export_is_itself_an_entry(made, taken):
    with psycopg.connect(made.database.url()) as connection:
        ((doc,),) = connection.execute("SELECT doc FROM audit_entries WHERE doc ->> 'kind' = 'audit.read'").fetchall()
    assert set(doc["details"]["asked"]["exported"]) == {"from", "to"}


def test_no_cell_of_an_export_is_executed_by_a_spreadsheet(taken):
    with open(taken / CSV, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["actor"] for row in rows} == {'\'=cmd|"/c calc"!A1'}
    assert not [cell for row in rows for cell in row.values() if cell[:1] in ("=", "+", "-", "@")]


def test_csv_that_says_something_else_than_the_entries_is_found(made, taken):
    text = (taken / CSV).read_text()
    for wrong in (text.replace("no_grant", "no_wrong", 1), text + "x\r\n", text[:-2]):
        (taken / CSV).write_text(wrong, newline="")
        done = remit("check-export", taken, "--key", made.key)
        assert (done.returncode, CSV in done.stderr) == (1, True)


def rewritten(table, name, row, value):
    column = table[name].to_pylist()
    column[row] = value
    return table.set_column(
        table.schema.get_field_index(name), table.schema.field(name), pa.array(column, table.schema.field(name).type)
    )


def test_whatever_is_changed_in_an_export_is_found(made, taken):
    whole = pq.read_table(taken / ENTRIES)
    other = json.dumps(json.loads(whole["canonical"][2].as_py()) | {"actor": "eve"}, separators=(",", ":"))
    texts = [*whole["canonical"].to_pylist()]
    consistent = pa.Table.from_batches([batch_of(whole["seq"][0].as_py(), [*texts[:2], other, *texts[3:]])])
    for wrong in (
        *(rewritten(whole, name, 2, None) for name in whole.schema.names if whole[name][2].as_py() is not None),
        rewritten(whole, "purpose", 2, "oversight"),
        rewritten(whole, "actor", 3, "eve"),
        rewritten(whole, "seq", 0, 99),
        rewritten(whole, "canonical", 2, other),
        rewritten(whole, "leaf", 2, b"x" * 32),
        consistent,
        whole.slice(1),
        whole.slice(0, 5),
        pa.concat_tables([whole, whole.slice(6)]),
        whole.take([1, 0, *range(2, 7)]),
        whole.drop_columns(["teams"]),
        whole.slice(0, 0),
    ):
        pq.write_table(wrong, taken / ENTRIES)
        with pytest.raises(NotProven):
            check(taken, [made.key])
    pq.write_table(whole, taken / ENTRIES)
    check(taken, [made.key])


def test_every_byte_of_the_proof_counts(made, taken):
    proof = (taken / PROOF).read_bytes()
    for at in range(0, len(proof), 7):
        (taken / PROOF).write_bytes(proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :])
        with pytest.raises((NotProven, BadNote)):
            check(taken, [made.key])


def test_every_witness_that_is_named_has_to_have_signed(made, taken):
    with pytest.raises(NotProven, match="is not signed by"):
        check(taken, [made.key, WITNESS.verifier])
    done = remit("check-export", taken, "--key", WITNESS.verifier)
    assert (done.returncode, "is not signed by" in done.stderr) == (1, True)


def test_an_export_has_the_cosignatures_of_the_checkpoint_that_counts(made, tmp_path):
    made.grow(5)
    made.cosign()
    made.grow(5)
    place = f"http://127.0.0.1:1 {WITNESS.verifier}"
    done = remit(
        "export", "--database", made.database.url(), "--out", tmp_path / "out", "--json", REMIT_WITNESSES=place
    )
    assert json.loads(done.stdout)["last"] == 6, done.stderr
    assert check(tmp_path / "out", [made.key, WITNESS.verifier]).last == 6


def test_an_export_is_refused_where_it_would_mix_or_prove_nothing(made, tmp_path):
    made.grow(3)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    place = f"http://127.0.0.1:1 {WITNESS.verifier}"
    for arguments, settings in (
        (("--out", tmp_path / "full"), {}),
        (("--out", tmp_path / "new"), {"REMIT_WITNESSES": place}),
        (("--out", tmp_path / "new", "--to", START.isoformat()), {}),
    ):
        done = remit("export", "--database", made.database.url(), *arguments, **settings)
        assert done.returncode == 2, done.stdout
    assert not (tmp_path / "new").exists()


def seen_of(note, *keys):
    return Seen.of(note, keys)


def test_a_database_that_is_what_was_seen_or_grew_out_of_it_is_in_order(made):
    made.grow(10)
    seen = seen_of(made.cosign(), WITNESS.verifier)
    assert compare(made.database.url(), seen).outcome is Outcome.SAME
    made.grow(5)
    found = compare(made.database.url(), seen)
    assert (found.outcome, found.lost, found.size) == (Outcome.AHEAD, 0, 16)


def test_a_database_that_lost_its_end_is_told_with_how_much_and_of_when(made, tmp_path):
    made.grow(10)
    note = made.cosign()
    change(made.database, "DELETE FROM audit_entries WHERE seq > 7")
    found = compare(made.database.url(), seen_of(note, WITNESS.verifier))
    assert (found.outcome, found.lost, found.size) == (Outcome.LOST, 4, 7)
    with psycopg.connect(made.database.url()) as connection:
        last = connection.execute("SELECT doc ->> 'at' FROM audit_entries ORDER BY seq DESC LIMIT 1").fetchone()[0]
    assert found.last_at == last
    (tmp_path / "kept").write_text(str(note))
    done = remit(
        "restore-check", "--database", made.database.url(), "--checkpoint", tmp_path / "kept", "--key", WITNESS.verifier
    )
    assert done.returncode == 1
    assert "LOST" in done.stdout
    assert "4 entries" in done.stdout
    assert last in done.stdout


def test_what_was_written_after_a_loss_is_not_taken_for_what_was_lost(made, tmp_path):
    made.grow(4)
    made.cosign()
    made.grow(6)
    note = made.cosign()
    change(made.database, "DELETE FROM audit_entries WHERE seq > 8")
    found = compare(made.database.url(), seen_of(note, WITNESS.verifier))
    assert (found.outcome, found.size, found.proven, found.lost) == (Outcome.LOST, 8, 5, 3)
    (tmp_path / "kept").write_text(str(note))
    asked = ("restore-check", "--database", made.database.url(), "--checkpoint", tmp_path / "kept")
    said = remit(*asked, "--key", WITNESS.verifier).stdout
    for what in ("at least 3 entries", "proven    the first 5\n", "unknown   the 3 after them"):
        assert what in said
    change(made.database, "DELETE FROM audit_entries WHERE seq > 5")
    assert "  lost      6 entries, of " in remit(*asked, "--key", WITNESS.verifier).stdout


def test_a_database_whose_entries_were_changed_is_another_history_from_there_on(made):
    made.grow(4)
    made.cosign()
    made.grow(4)
    seen = seen_of(made.cosign(), WITNESS.verifier)
    change(made.database, "UPDATE audit_entries SET canonical = replace(canonical, 'ana', 'eve') WHERE seq = 7")
    found = compare(made.database.url(), seen)
    assert (found.outcome, found.proven, found.lost) == (Outcome.FORKED, 5, 4)


def test_a_gap_is_where_the_ledger_ends(made):
    made.grow(10)
    seen = seen_of(made.cosign(), WITNESS.verifier)
    change(made.database, "DELETE FROM audit_entries WHERE seq = 3")
    found = compare(made.database.url(), seen)
    assert (found.outcome, found.size, found.lost) == (Outcome.LOST, 2, 9)


def test_an_end_that_was_lost_and_a_beginning_that_was_changed_is_another_history(made):
    made.grow(4)
    made.cosign()
    made.grow(6)
    seen = seen_of(made.cosign(), WITNESS.verifier)
    change(
        made.database,
        "UPDATE audit_entries SET canonical = replace(canonical, 'ana', 'eve') WHERE seq = 4",
        "DELETE FROM audit_entries WHERE seq > 8",
    )
    found = compare(made.database.url(), seen)
    assert (found.outcome, found.proven) == (Outcome.FORKED, 0)


def test_an_empty_database_has_lost_everything(made):
    made.grow(5)
    seen = seen_of(made.cosign(), WITNESS.verifier)
    change(made.database, "DELETE FROM audit_entries")
    found = compare(made.database.url(), seen)
    assert (found.outcome, found.lost, found.last_at) == (Outcome.LOST, 6, None)


def test_a_kept_checkpoint_of_the_ledgers_own_key_is_enough(made):
    made.grow(5)
    seen = seen_of(made.note(), made.key)
    assert seen.at is None
    assert compare(made.database.url(), seen).outcome is Outcome.SAME
    change(made.database, "DELETE FROM audit_entries WHERE seq > 2")
    assert compare(made.database.url(), seen).outcome is Outcome.LOST


def test_a_checkpoint_that_nobody_trusted_signed_says_nothing(made):
    made.grow(2)
    with pytest.raises(NotProven):
        Seen.of(made.note(), [WITNESS.verifier])


def test_the_witness_itself_is_asked(made, tmp_path):
    from test_witnessing import Lent, answering

    made.grow(10)
    witness = Witness(WITNESS, [made.key], Memory(tmp_path / "memory"), time.time)
    with answering(Lent(witness)) as url:
        asked = ("restore-check", "--database", made.database.url(), "--witness", url, "--key", WITNESS.verifier)
        unknown = remit(*asked)
        assert (unknown.returncode, "co-signed nothing" in unknown.stderr) == (1, True)
        assert witness.add(bytes(Submission(0, (), made.note()))).status == 200
        assert remit(*asked).returncode == 0
        named = remit(*asked, "--key", made.key)
        assert (named.returncode, f"  ledger    {made.key.name}\n" in named.stdout) == (0, True)
        other = remit(*asked, "--key", Signer("log.example/other", SIGNED, b"o" * 32).verifier)
        assert (other.returncode, "and the key is of `log.example/other`" in other.stderr) == (2, True)
        change(made.database, "DELETE FROM audit_entries WHERE seq > 8")
        lost = remit(*asked[:3], "--json", REMIT_WITNESSES=f"{url} {WITNESS.verifier}")
        (found,) = json.loads(lost.stdout)
        # That no checkpoint of before is co-signed leaves open what the others are.
        assert (lost.returncode, found["lost"], found["unknown"]) == (1, 3, 8), lost.stderr
    assert origin_of(made.database.url()) == made.key.name
    away = remit(*asked)
    said = f"witness_fault: `{WITNESS.name}` at {url}: it cannot be reached" in away.stderr
    assert (away.returncode, said, "see that the witness runs" in away.stderr) == (3, True, True)
    assert remit(*asked[:-1], made.key).returncode == 2
    assert remit(*asked[:4], "nowhere", *asked[5:]).returncode == 2
    assert remit(*asked[:-2]).returncode == 2
    assert Quorum((WitnessAt(url, WITNESS.verifier),), 1).keys == [str(WITNESS.verifier)]
    assert os.path.exists(tmp_path / "memory")
