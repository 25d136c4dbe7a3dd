"""Verification of what was signed: stored tree, checkpoints, keys; in full, or only what is new."""

import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from ledgers import Shape, documents, grown

from audit.blocks import index
from audit.checkpointer import Checkpointer
from audit.entries import Entry, Kind
from audit.errors import BadNote, NotProven
from audit.ledger import Ledger
from audit.ledger_keys import NAME, LedgerKeys, read, rotate, vouching_for
from audit.merkle import Frontier, leaf_hash
from audit.notes import COSIGNED, SIGNED, Checkpoint, Note, Signer
from audit.tiles import Edge
from audit.verify import verify

TABLES = (
    "audit_entries",
    "audit_head",
    "audit_tiles",
    "audit_tree",
    "audit_checkpoints",
    "audit_cosignatures",
    "audit_keys",
)


@pytest.fixture(autouse=True)
def _small_spans(monkeypatch):
    """A few hundred entries are several spans, and every look signs."""
    for place in ("audit.verify.SPAN", "audit.joining.SPAN"):
        monkeypatch.setattr(place, 512)
    monkeypatch.setattr("audit.joining.SPAN_LEVEL", 9)
    monkeypatch.setattr("audit.checkpointer.APART", 0)


@pytest.fixture
def ledger(database):
    ledger = Ledger(database.engine(), gateway="gw-1", clock=lambda: datetime.now(UTC))
    yield ledger
    ledger.close()


@pytest.fixture
def checkpointer(database, ledger, tmp_path):
    return Checkpointer(database.engine(), ledger, key=tmp_path / NAME, home=tmp_path)


def append(ledger, count=1):
    ledger.change(lambda _: [Entry(Kind.READ_REFUSED, "ana", code="no_grant")] * count, raises_epoch=False)


@pytest.fixture
def signed(ledger, checkpointer):
    """1,301 entries in three spans, with checkpoints in the middle and at the ends of blocks and spans."""
    checkpointer.look()
    for size in (2, 255, 256, 257, 511, 512, 513, 1023, 1024, 1300):
        append(ledger, size - ledger.head().size)
        checkpointer.look()
    append(ledger)
    return ledger


@pytest.fixture
def tamper(database):
    with psycopg.connect(database.url("owner"), autocommit=True) as connection:
        for table in TABLES:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        yield connection.execute


def problems(database, **more):
    verdict = verify(database.url(), **more)
    assert verdict.integrity is (not verdict.problems)
    return [(problem.seq, problem.what) for problem in verdict.problems]


def notes(database):
    with psycopg.connect(database.url()) as connection:
        return dict(connection.execute("SELECT size, note FROM audit_checkpoints").fetchall())


def test_an_untouched_ledger_is_whole_and_names_the_key_that_signed_it(database, signed, tmp_path):
    key = read(tmp_path / NAME).signers[0].verifier
    for keys in ((), (key,)):
        verdict = verify(database.url(), keys=keys)
        assert (verdict.problems, verdict.size, verdict.root) == ((), 1301, signed.head().root)
        assert (verdict.signed, verdict.by, verdict.is_key_given) == (1300, str(key), bool(keys))
        assert verdict.unsigned_since == signed.head().at


def test_untouched_ledgers_of_any_size_signed_at_any_sizes_are_whole(database, ledger, checkpointer):
    chosen = random.Random(4)
    for _ in range(25):
        append(ledger, chosen.choice([1, 1, 2, 7, 100, 255, 256, 300]))
        if chosen.random() < 0.7:
            checkpointer.look()
        assert problems(database) == []
        if known := notes(database):
            assert problems(database, since=chosen.choice(list(known.values()))) == []


def test_several_processes_find_what_one_finds(database, signed, tamper, monkeypatch):
    monkeypatch.setattr("audit.workers.FEW", 0)
    assert problems(database) == []
    tamper("UPDATE audit_entries SET canonical = replace(canonical, 'ana', 'eve') WHERE seq IN (3, 700)")
    tamper("DELETE FROM audit_entries WHERE seq = 1200")
    several = problems(database)
    assert [seq for seq, _ in several] == [3, 3, 700, 700, 1200]
    monkeypatch.setattr("audit.workers.FEW", 100)
    assert problems(database) == several


INTERRUPTED = """
import os, signal, sys
import audit.joining, audit.verify, audit.workers
audit.workers.FEW, audit.verify.SPAN, audit.joining.SPAN, audit.joining.SPAN_LEVEL = 0, 512, 512, 9
read = audit.workers.read_span
def interrupted(*given):
    os.killpg(0, signal.SIGINT)
    return read(*given)
audit.workers.read_span = interrupted
try:
    audit.verify.verify(sys.argv[1])
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_ends_all_processes_that_verify_and_none_says_a_word(database, signed):
    command = [sys.executable, "-c", INTERRUPTED, database.url()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, start_new_session=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "UPDATE audit_entries SET canonical = replace(canonical, 'ana', 'eve') WHERE seq = 600",
            [
                (600, "its text is not what was hashed"),
                (600, "it is not the entry of which the stored tree has the hash"),
            ],
        ),
        (
            "UPDATE audit_entries SET canonical = c, leaf = sha256('\\x00' || convert_to(c, 'UTF8')) FROM"
            " (SELECT replace(canonical, 'ana', 'eve') c FROM audit_entries WHERE seq = 600) WHERE seq = 600",
            [(600, "it is not the entry of which the stored tree has the hash")],
        ),
        (
            "UPDATE audit_tiles SET hashes = set_byte(hashes, 32, get_byte(hashes, 32) # 1)"
            " WHERE level = 0 AND index = 2",
            [(514, "it is not the entry of which the stored tree has the hash")],
        ),
        ("DELETE FROM audit_tiles WHERE index = 2", [(513, "tile 2 of level 0 of the stored tree is missing")]),
        *(
            (
                "ALTER TABLE audit_tiles DROP CONSTRAINT audit_tiles_full;"
                f" UPDATE audit_tiles SET hashes = {hashes} WHERE level = 0 AND index = 2",
                [(513, "tile 2 of level 0 of the stored tree is not whole")],
            )
            for hashes in ("substr(hashes, 1, 32)", "hashes || substr(hashes, 1, 32)", "substr(hashes, 1, 8191)")
        ),
        (
            "INSERT INTO audit_tiles SELECT 1, 0, hashes FROM audit_tiles WHERE index = 2",
            [(1, "tile 0 of level 1 of the stored tree is not the tree's")],
        ),
        (
            "DELETE FROM audit_checkpoints WHERE size > 512",
            [(1300, "the stored tree does not end at the last checkpoint")],
        ),
        ("DELETE FROM audit_tree", [(1, "audit_tree has lost its row")]),
        (
            "UPDATE audit_tree SET edge = set_byte(edge, length(edge) - 1, get_byte(edge, length(edge) - 1) # 1)",
            [(1300, "the edge of the stored tree is not the tree's")],
        ),
        (
            "UPDATE audit_checkpoints SET size = 300 WHERE size = 257",
            [(300, "the checkpoint of 300 entries is one of 257")],
        ),
        (
            "UPDATE audit_checkpoints SET note = replace(note, E'\\n257\\n', E'\\n258\\n') WHERE size = 257",
            [(257, "the checkpoint of 257 entries is one of 258")],
        ),
        (
            "UPDATE audit_checkpoints SET note = 'x' WHERE size = 257",
            [(257, "the checkpoint of 257 entries does not hold")],
        ),
        ("DELETE FROM audit_keys", [(1, "is signed by no key that the ledger had activated")]),
    ],
)
def test_each_change_is_found_where_it_was_made(database, signed, tamper, change, expected):
    tamper(change)
    found = problems(database)
    for seq, what in expected:
        assert any(at == seq and what in said for at, said in found), found
    if "600" in change or "257" in change:
        assert len(found) <= len(expected) + ("checkpoint" in change), found


def test_the_first_bad_entry_comes_first_and_all_are_told(database, signed, tamper):
    for seq in (1299, 40, 700):
        tamper(f"UPDATE audit_entries SET leaf = decode(repeat('00', 32), 'hex') WHERE seq = {seq}")
    assert [seq for seq, _ in problems(database)] == [40, 700, 1299]


def test_an_entry_that_is_there_twice_is_found(database, signed, tamper):
    tamper("ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_pkey")
    tamper("INSERT INTO audit_entries SELECT seq, canonical, leaf FROM audit_entries WHERE seq = 77")
    assert problems(database) == [(77, "entry 77 is there more than once")]


@pytest.mark.parametrize(("what", "searched"), [("1", "true"), ("true", "1"), ("1", "1.0"), ("0", "false")])
def test_what_is_searched_is_of_the_type_that_was_hashed(database, ledger, tamper, what, searched):
    value = {"1": 1, "0": 0, "true": True}[what]
    ledger.append(Entry(Kind.READ_REFUSED, "ana", details={"asked": [value], "other": {"n": 1, "yes": True}}))
    assert problems(database) == []
    tamper("ALTER TABLE audit_entries ALTER doc DROP EXPRESSION")
    tamper(f"UPDATE audit_entries SET doc = jsonb_set(doc, '{{details,asked,0}}', '{searched}')")
    assert problems(database) == [(1, "what is searched is not what was hashed")]


def cosign(tamper, witness, size, note):
    """What a gateway keeps once the witness has co-signed this note."""
    line = str(witness.sign(Note.parse(note.encode()).text, at=1_763_000_000))
    put = "INSERT INTO audit_cosignatures (size, witness, line, at) VALUES (%s, %s, %s, now())"
    tamper(put, (size, str(witness.verifier), line))


def test_a_cosignature_that_does_not_hold_is_found(database, signed, tamper):
    witness = Signer.make("witness.example/w", COSIGNED)
    for size in (512, 513):
        cosign(tamper, witness, size, notes(database)[512])
    ((seq, what),) = problems(database)
    assert (seq, what.partition(":")[0]) == (513, "a cosignature of the checkpoint of 513 entries does not hold")


def test_the_key_of_a_witness_is_enough_and_it_is_said_how_far_it_came(database, signed, tamper, tmp_path):
    one, other = (Signer.make(f"witness.example/{name}", COSIGNED) for name in "ab")
    told, key = notes(database), str(read(tmp_path / NAME).signers[0].verifier)
    for witness, size in ((one, 512), (one, 1024), (other, 1300)):
        cosign(tamper, witness, size, told[size])
    whole = verify(database.url(), keys=[one.verifier, other.verifier])
    assert (whole.problems, whole.signed, whole.by) == ((), 1300, str(other.verifier)), "its own word, and no other's"
    assert whole.witnessed == {str(one.verifier): 1024, str(other.verifier): 1300}
    kept = f"{told[1024]}{one.sign(Note.parse(told[1024].encode()).text, at=1_763_000_000)}"
    new = verify(database.url(), keys=[one.verifier], since=kept)
    assert (new.problems, new.signed, new.witnessed) == ((), 1024, {str(one.verifier): 1024})
    new = verify(database.url(), keys=[one.verifier, read(tmp_path / NAME).signers[0].verifier], since=kept)
    assert (new.problems, new.signed, new.by, new.witnessed) == ((), 1300, key, {str(one.verifier): 1024})


def rewritten(database, tamper, signers, since=0):
    """What an insider with every right does: change an entry, and hash and sign everything anew."""
    with psycopg.connect(database.url("owner")) as owner:
        texts = [text for (text,) in owner.execute("SELECT canonical FROM audit_entries ORDER BY seq")]
        sizes = [size for (size,) in owner.execute("SELECT size FROM audit_checkpoints ORDER BY size")]
        ((origin, stored),) = owner.execute("SELECT origin, size FROM audit_tree").fetchall()
    texts[599] = texts[599].replace("ana", "eve")
    leaves = [leaf_hash(text.encode()) for text in texts]
    tamper("UPDATE audit_entries SET canonical = %s, leaf = %s WHERE seq = 600", (texts[599], leaves[599]))
    tamper("UPDATE audit_head SET frontier = %s", (Frontier().extended(leaves).packed(),))
    edge, tiles = Edge().extended(leaves[:stored])
    for tile in tiles:
        tamper(
            "UPDATE audit_tiles SET hashes = %s WHERE level = %s AND index = %s", (tile.hashes, tile.level, tile.index)
        )
    tamper("UPDATE audit_tree SET edge = %s", (edge.packed(),))
    for size in sizes:
        text = str(Checkpoint(origin, size, Frontier().extended(leaves[:size]).root()))
        note = str(Note(text, tuple(signer.sign(text) for signer in signers)))
        tamper("UPDATE audit_checkpoints SET note = %s WHERE size = %s AND size > 599", (note, size))


def test_an_insider_without_the_key_who_hashes_everything_anew_is_found(database, signed, tamper, tmp_path):
    origin = read(tmp_path / NAME).origin
    rewritten(database, tamper, [Signer.make(origin, SIGNED)])
    assert (1024, "the checkpoint of 1,024 entries is signed by no key that the ledger had activated") in problems(
        database
    )


def test_an_insider_with_the_key_is_found_by_a_checkpoint_that_somebody_kept_and_by_nothing_else(
    database, signed, tamper, tmp_path
):
    kept = notes(database)[1024]
    keys = read(tmp_path / NAME)
    rewritten(database, tamper, keys.signers)
    key = [keys.signers[0].verifier]
    assert problems(database, keys=key) == []
    assert (1024, "the ledger did not grow out of the checkpoint of 1,024 entries") in problems(
        database, keys=key, since=kept
    )


def test_an_insider_with_the_key_is_found_by_the_key_of_a_witness(database, signed, tamper, tmp_path):
    witness, keys = Signer.make("witness.example/w", COSIGNED), read(tmp_path / NAME)
    cosign(tamper, witness, 1024, notes(database)[1024])
    rewritten(database, tamper, keys.signers)
    ((seq, what),) = problems(database)
    assert (seq, what.partition(":")[0]) == (1024, "a cosignature of the checkpoint of 1,024 entries does not hold")
    tamper("DELETE FROM audit_cosignatures")
    key = keys.signers[0].verifier
    assert problems(database, keys=[key]) == []
    found = [(1, f"no checkpoint is co-signed by `{witness.verifier}`")]
    assert problems(database, keys=[witness.verifier]) == problems(database, keys=[key, witness.verifier]) == found


@pytest.mark.parametrize(
    "is_told", [False, True], ids=["only in the table of keys", "in an old entry that was changed"]
)
def test_since_a_checkpoint_a_key_that_was_not_activated_under_it_signs_nothing(
    database, signed, tamper, tmp_path, is_told
):
    ledgers = read(tmp_path / NAME)
    kept, insider = notes(database)[257], Signer.make(ledgers.origin, SIGNED)
    if is_told:
        names = (str(ledgers.signers[0].verifier), str(insider.verifier))
        tamper("UPDATE audit_entries SET canonical = replace(canonical, %s, %s) WHERE seq = 1", names)
    rewritten(database, tamper, [insider])
    tamper("INSERT INTO audit_keys VALUES (%s, 'activated')", (str(insider.verifier),))
    what = "the checkpoint of 1,024 entries is signed by no key that the ledger had activated"
    assert (1024, what) in problems(database, since=kept)


def test_since_a_checkpoint_the_keys_of_all_gateways_count_that_the_ledger_had_activated(database, tmp_path):
    with grown(database.url(), tmp_path / "grown", Shape(2_300, gateways=3, rotations=1, looks=9, tail=5)):
        for _ in range(2):
            assert all(problems(database, since=note) == [] for note in notes(database).values())
            index(database.engine())


def test_since_a_checkpoint_only_what_is_new_is_read(database, signed, tamper):
    tamper("UPDATE audit_entries SET canonical = '[]' WHERE seq IN (3, 1100)")
    assert [seq for seq, _ in problems(database)] == [3, 3, 3, 1100, 1100, 1100]
    assert {seq for seq, _ in problems(database, since=notes(database)[1024])} == {1100}
    assert {seq for seq, _ in problems(database, since=notes(database)[257])} == {1100}
    assert problems(database, since=notes(database)[1300]) == []


def test_since_a_checkpoint_that_all_later_ones_are_gone_is_found(database, signed, tamper):
    kept = notes(database)[257]
    tamper("DELETE FROM audit_checkpoints WHERE size > 257")
    ((seq, what),) = problems(database, since=kept)
    assert what == "the stored tree does not end at the last checkpoint"
    tamper("DELETE FROM audit_checkpoints")
    assert (seq, what) in problems(database, since=kept)


def strangers(database, monkeypatch, keys, **more):
    """What is said of keys that nobody vouches for, once what they signed is not new any more."""
    assert problems(database, keys=keys, **more) == []
    with monkeypatch.context() as later:
        later.setattr("audit.verify.JUST_NOW", timedelta(0))
        return problems(database, keys=keys, **more)


@pytest.mark.parametrize(
    "voucher", ["none", "damaged", "of its own", "for another key", "of another ledger", "no text"]
)
def test_a_key_that_an_entry_names_signs_for_nobody_who_has_an_older_one_that_does_not_vouch_for_it(
    database, ledger, checkpointer, tamper, tmp_path, monkeypatch, voucher
):
    """With the gateway's role alone: an entry names the key, the gateway signs that; then what follows is rewritten."""
    checkpointer.look()
    (key,) = read(tmp_path / NAME).signers
    own, witness = key.verifier, Signer.make("witness.example/w", COSIGNED)
    insider, other, elsewhere = (Signer.make(name, SIGNED) for name in (own.name, own.name, "example.com/other"))
    vouchers = {
        "none": {},
        "damaged": {"voucher": LedgerKeys((insider, key)).voucher(insider)[:-8] + "AAAAAAA="},
        "of its own": {"voucher": LedgerKeys((insider, insider)).voucher(insider)},
        "for another key": {"voucher": LedgerKeys((other, key)).voucher(other)},
        "of another ledger": {"voucher": str(elsewhere.sign(vouching_for(insider.verifier)))[:-1]},
        "no text": {"voucher": [{"n": 1}]},
    }
    ledger.append(Entry(Kind.KEY_ACTIVATED, "remit", details={"vkey": str(insider.verifier), **vouchers[voucher]}))
    for size in (512, 1024, 1300):
        append(ledger, size - ledger.head().size)
        checkpointer.look()
    kept = notes(database)
    rewritten(database, tamper, [insider])
    tamper("INSERT INTO audit_keys VALUES (%s, 'activated')", (str(insider.verifier),))
    assert verify(database.url(), keys=[own]).signed == 512
    what = "entries 513 to 1300 are signed by no key that was given or that follows from one, only by"
    ((seq, found),) = strangers(database, monkeypatch, [own])
    assert (seq, found) == (513, f"{what} {insider.verifier}: if that is one of the ledger's, give it as well")
    assert strangers(database, monkeypatch, [own], since=kept[512]) == [(seq, found)]
    assert strangers(database, monkeypatch, [own, insider.verifier]) == [], "whoever believes it is told nothing"
    grown = "the ledger did not grow out of the checkpoint of 1,024 entries"
    assert (1024, grown) in problems(database, keys=[own], since=kept[1024])
    cosign(tamper, witness, 512, kept[512])
    assert strangers(database, monkeypatch, [witness.verifier]) == []
    alone = verify(database.url(), keys=[witness.verifier])
    assert (alone.signed, alone.by) == (512, str(witness.verifier)), "what it co-signed, and nothing that follows"
    assert strangers(database, monkeypatch, [own, witness.verifier]) == [(seq, found)]
    append(ledger)
    checkpointer.look()
    (refused,) = documents(database.url(), Kind.CHECKPOINT_REFUSED)
    assert refused["code"] == "ledger_changed"


def test_a_gateway_with_a_key_of_its_own_is_named_until_its_key_is_given(
    database, ledger, checkpointer, tmp_path, monkeypatch
):
    _, files = two(database, ledger, checkpointer, tmp_path)
    one, other = (read(file).signers[0].verifier for file in files)
    ((_, found),) = strangers(database, monkeypatch, [one])
    assert f"only by {other}: if that is one of the ledger's, give it as well" in found
    assert strangers(database, monkeypatch, [one, other]) == []
    append(ledger)
    checkpointer.look()
    assert strangers(database, monkeypatch, [one]) == [], "what the one signs covers what the other had signed"


def test_a_cosignature_is_checked_against_the_note_that_it_vouches_for(
    database, ledger, checkpointer, tamper, tmp_path, monkeypatch
):
    """A view tells the old note to whoever asks for cosignatures, and the insider's to whoever asks for notes."""
    checkpointer.look()
    own, witness = read(tmp_path / NAME).signers[0].verifier, Signer.make("witness.example/w", COSIGNED)
    insider = Signer.make(own.name, SIGNED)
    ledger.append(Entry(Kind.KEY_ACTIVATED, "remit", details={"vkey": str(insider.verifier)}))
    for size in (512, 1300):
        append(ledger, size - ledger.head().size)
        checkpointer.look()
    told = notes(database)
    cosign(tamper, witness, 1300, told[1300])
    tamper("CREATE TABLE told AS SELECT * FROM audit_checkpoints")
    rewritten(database, tamper, [insider])
    tamper("INSERT INTO audit_keys VALUES (%s, 'activated')", (str(insider.verifier),))
    tamper("ALTER TABLE audit_checkpoints RENAME TO own_checkpoints")
    tamper("""CREATE VIEW audit_checkpoints AS SELECT size, at, CASE
        WHEN current_query() LIKE '%audit_cosignatures%' THEN told.note ELSE own.note END AS note
        FROM own_checkpoints own JOIN told USING (size, at)""")
    tamper("GRANT SELECT ON audit_checkpoints TO PUBLIC")
    what = "a cosignature of the checkpoint of 1,300 entries does not hold"
    for keys in ([witness.verifier], [own, witness.verifier]):
        assert (1300, what) in [(seq, found.partition(":")[0]) for seq, found in problems(database, keys=keys)]
        assert verify(database.url(), keys=keys).signed < 600


def test_another_log_of_the_same_witness_is_not_the_ledger_whose_key_was_given(
    database, ledger, checkpointer, tamper, tmp_path
):
    """The witness's word is honest: that log grew. Its name is the database's word."""
    checkpointer.look()
    own, witness = read(tmp_path / NAME).signers[0].verifier, Signer.make("witness.example/w", COSIGNED)
    append(ledger, 100)
    checkpointer.look()
    with psycopg.connect(database.url()) as connection:
        texts = [text for (text,) in connection.execute("SELECT canonical FROM audit_entries ORDER BY seq")]
    other = "insider.example/log"
    tamper("UPDATE audit_tree SET origin = %s", (other,))
    for size in notes(database):
        leaves = [leaf_hash(text.encode()) for text in texts[:size]]
        text = str(Checkpoint(other, size, Frontier().extended(leaves).root()))
        told = str(Note(text, (read(tmp_path / NAME).signers[0].sign(text),)))
        tamper("UPDATE audit_checkpoints SET note = %s WHERE size = %s", (told, size))
        cosign(tamper, witness, size, told)
    found = [(1, f"this is the ledger `{other}`, and the key that was given is of `{own.name}`")]
    assert problems(database, keys=[own, witness.verifier]) == problems(database, keys=[own]) == found
    alone = verify(database.url(), keys=[witness.verifier])
    assert (alone.problems, alone.origin) == ((), other), "whoever has the witness's key alone is told of which ledger"


def two(database, ledger, checkpointer, tmp_path):
    """Two gateways, each with a key of its own that has signed, and the folders of their keys."""
    (tmp_path / "other").mkdir()
    other = Checkpointer(database.engine(), ledger, key=tmp_path / "other" / NAME, home=tmp_path / "other")
    for by in (checkpointer, other):
        append(ledger)
        by.look()
    return other, (tmp_path / NAME, tmp_path / "other" / NAME)


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("newest", [0, 1], ids=["newest by one", "newest by the other"])
def test_since_a_checkpoint_that_the_other_gateway_signed_the_keys_follow_as_in_all_of_it(
    database, ledger, checkpointer, tmp_path, monkeypatch, before, after, newest
):
    other, files = two(database, ledger, checkpointer, tmp_path)
    keys = [read(file).signers[0].verifier for file in files]

    def rotated(times):
        for _ in range(times):
            rotate(files[0])
            for _ in range(2):
                append(ledger)
                checkpointer.look()

    rotated(before)
    append(ledger)
    other.look()
    kept = notes(database)[max(notes(database))]
    rotated(after)
    append(ledger)
    (checkpointer, other)[newest].look()
    for since in ("", kept):
        assert strangers(database, monkeypatch, keys, since=since) == []
        assert verify(database.url(), keys=keys, since=since).signed == ledger.head().size
        assert problems(database, since=since) == []


def test_since_a_checkpoint_the_next_key_counts_where_one_that_signed_it_vouches_for_it(
    database, ledger, checkpointer, tmp_path, monkeypatch
):
    checkpointer.look()
    (first,) = read(tmp_path / NAME).signers
    rotate(tmp_path / NAME)
    append(ledger)
    checkpointer.look()
    ledger.append(Entry(Kind.KEY_ACTIVATED, "remit", details={"vkey": str(read(tmp_path / NAME).signers[0].verifier)}))
    checkpointer.look()
    kept = notes(database)[max(notes(database))]
    for _ in range(2):
        rotate(tmp_path / NAME)
        for _ in range(2):
            append(ledger)
            checkpointer.look()
    for since in ("", kept):
        assert strangers(database, monkeypatch, [first.verifier], since=since) == []
        assert verify(database.url(), keys=[first.verifier], since=since).signed == ledger.head().size


def test_a_key_that_was_retired_vouches_for_none_though_it_was_given(
    database, ledger, checkpointer, tamper, tmp_path, monkeypatch
):
    checkpointer.look()
    (first,) = read(tmp_path / NAME).signers
    for _ in range(2):
        rotate(tmp_path / NAME)
        append(ledger)
        checkpointer.look()
    third, insider = read(tmp_path / NAME).signers[0].verifier, Signer.make(first.name, SIGNED)
    append(ledger, 400 - ledger.head().size)
    checkpointer.look()
    kept = notes(database)[400]
    stolen = str(first.sign(vouching_for(insider.verifier))).strip()
    ledger.append(Entry(Kind.KEY_ACTIVATED, "remit", details={"vkey": str(insider.verifier), "voucher": stolen}))
    for size in (512, 1024, 1300):
        append(ledger, size - ledger.head().size)
        checkpointer.look()
    rewritten(database, tamper, [insider])
    tamper("INSERT INTO audit_keys VALUES (%s, 'activated')", (str(insider.verifier),))
    for since in ("", kept):
        ((seq, what),) = strangers(database, monkeypatch, [first.verifier, third], since=since)
        assert (seq, what.endswith(f"only by {insider.verifier}: if that is one of the ledger's, give it as well")) == (
            513,
            True,
        )


def test_what_was_new_when_it_was_read_may_wait_for_its_signature_however_long_the_rest_takes(
    database, ledger, checkpointer, tmp_path, monkeypatch
):
    two(database, ledger, checkpointer, tmp_path)
    later = []

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(hours=len(later))

    monkeypatch.setattr("audit.verify.datetime", Clock)
    key = read(tmp_path / NAME).signers[0].verifier
    assert problems(database, keys=[key], progress=lambda *_: later.append(1)) == []
    assert later
    assert len(problems(database, keys=[key])) == 1


def test_since_a_checkpoint_that_the_ledger_has_lost_is_a_problem(database, signed, checkpointer, tamper):
    checkpointer.look()
    kept = notes(database)[1301]
    tamper("DELETE FROM audit_checkpoints WHERE size > 1024")
    tamper("DELETE FROM audit_entries WHERE seq > 1024")
    tamper("DELETE FROM audit_tiles WHERE index > 3")
    with psycopg.connect(database.url()) as connection:
        leaves = [leaf for (leaf,) in connection.execute("SELECT leaf FROM audit_entries ORDER BY seq")]
    edge, _ = Edge().extended(leaves)
    tamper("UPDATE audit_head SET size = 1024, frontier = %s", (Frontier().extended(leaves).packed(),))
    tamper("UPDATE audit_tree SET size = 1024, edge = %s", (edge.packed(),))
    assert problems(database) == []
    what = "the checkpoint of 1,301 entries is not of this ledger, or the ledger has lost some of them"
    assert problems(database, since=kept) == [(1025, what)]


def test_a_checkpoint_to_go_on_from_has_to_be_signed_by_a_key_that_was_given(database, signed, tmp_path):
    other = Signer.make("example.com/other", SIGNED)
    with pytest.raises(NotProven, match="signed by none of the trusted keys"):
        verify(database.url(), keys=[other.verifier], since=notes(database)[1024])
    with pytest.raises(BadNote):
        verify(database.url(), since="nothing of the kind")


def test_a_key_that_was_given_has_to_have_signed(database, signed):
    other = Signer.make("example.com/other", SIGNED)
    what = "no checkpoint is signed by a key that was given, or by one that follows from it"
    assert problems(database, keys=[other.verifier]) == [(1, what)]


def test_whoever_trusts_the_first_key_trusts_those_that_followed_and_none_after_its_end(
    database, ledger, checkpointer, tmp_path, tamper
):
    checkpointer.look()
    first = read(tmp_path / NAME).signers[0]
    for _ in range(3):
        rotate(tmp_path / NAME)
        append(ledger)
        checkpointer.look()
    newest = {str(signer.verifier) for signer in read(tmp_path / NAME).signers}
    verdict = verify(database.url(), keys=[first.verifier])
    assert verdict.problems == ()
    assert verdict.by in newest
    text = Note.parse(notes(database)[max(notes(database))].encode()).text
    tamper(
        "UPDATE audit_checkpoints SET note = %s WHERE size = %s",
        (str(Note(text, (first.sign(text),))), ledger.head().size),
    )
    assert problems(database) == [
        (
            ledger.head().size,
            f"the checkpoint of {ledger.head().size} entries is signed by no key that the ledger had activated",
        )
    ]


def test_reads_fit_the_bundles_and_grants_that_were_in_force(database, ledger):
    def read_(number, **more):
        ledger.append(Entry(Kind.READ_AUTHORIZED, "ana", read=f"r-{number}", **more))
        ledger.append(Entry(Kind.READ_COMPLETED, "ana", read=f"r-{number}", **more))

    ledger.append(Entry(Kind.POLICY_ACTIVATED, "remit", digest="d-1"))
    read_(1, digest="d-1", grant="g-1")
    ledger.append(Entry(Kind.POLICY_ACTIVATED, "remit", digest="d-2"))
    ledger.append(Entry(Kind.POLICY_REFUSED, "remit", digest="d-0"))
    ledger.append(Entry(Kind.GRANT_SUSPENDED, "eve", grant="g-1"))
    ledger.append(Entry(Kind.GRANT_RESUMED, "eve", grant="g-1"))
    read_(2, digest="d-2", grant="g-1")
    assert problems(database) == []
    read_(3, digest="d-1", grant="g-2")
    read_(4, digest="d-3", grant="g-2")
    ledger.append(Entry(Kind.GRANT_REVOKED, "eve", grant="g-1"))
    read_(5, digest="d-2", grant="g-1")
    verdict = verify(database.url())
    assert verdict.integrity
    assert not verdict.completeness
    assert [(problem.seq, problem.what) for problem in verdict.problems] == [
        (10, "a read was authorised under a bundle that was not in force any more"),
        (12, "it names the bundle `d-3`, which was never activated"),
        (15, "a read was authorised under the grant `g-1`, which was revoked"),
    ]


def test_a_ledger_under_load_verifies(database, ledger, checkpointer):
    for _ in range(5):
        append(ledger, 300)
        checkpointer.look()
        append(ledger, 3)
        seen = []
        verdict = verify(database.url(), progress=lambda done, total, seen=seen: seen.append((done, total)))
        assert verdict.problems == ()
        assert seen[-1][0] == seen[-1][1] == verdict.size


def test_since_the_newest_checkpoint_nothing_is_new_and_its_key_still_vouches_for_it(database, signed, tmp_path):
    key = read(tmp_path / NAME).signers[0].verifier
    for size in (1300, 1024):  # in the middle of a span, and where one ends
        verdict = verify(database.url(), keys=[key], since=notes(database)[size])
        assert (verdict.problems, verdict.signed, verdict.by) == ((), 1300, str(key))


@pytest.mark.parametrize("size", [1024, 1300])
def test_since_the_newest_checkpoint_another_history_of_that_size_is_found(
    database, signed, checkpointer, tamper, tmp_path, size
):
    kept = notes(database)[size]
    tamper("DELETE FROM audit_checkpoints WHERE size > %s", (size,))
    tamper("DELETE FROM audit_entries WHERE seq > %s", (size,))
    tamper("UPDATE audit_tree SET size = %s", (size,))
    tamper("UPDATE audit_head SET size = %s", (size,))
    tamper("DELETE FROM audit_tiles WHERE level = 0 AND index >= %s", (size >> 8,))
    rewritten(database, tamper, read(tmp_path / NAME).signers)
    what = f"the ledger did not grow out of the checkpoint of {size:,} entries"
    assert (size, what) in problems(database, since=kept)


def test_since_a_checkpoint_entries_that_were_cut_off_before_it_are_found_though_the_stored_tree_stayed(
    database, signed, tamper
):
    kept = notes(database)[1300]
    with psycopg.connect(database.url()) as connection:
        leaves = [
            leaf for (leaf,) in connection.execute("SELECT leaf FROM audit_entries WHERE seq <= 1024 ORDER BY seq")
        ]
    tamper("DELETE FROM audit_entries WHERE seq > 1024")
    tamper("UPDATE audit_head SET size = 1024, frontier = %s", (Frontier().extended(leaves).packed(),))
    what = "the checkpoint of 1,300 entries is not of this ledger, or the ledger has lost some of them"
    assert (1025, what) in problems(database, since=kept)


def test_checkpoints_and_cosignatures_of_more_than_there_is_are_found(database, signed, tamper):
    tamper("INSERT INTO audit_checkpoints SELECT 5000, note, at FROM audit_checkpoints WHERE size = 1300")
    what = "more than these 1301 entries were signed: there are checkpoints or cosignatures of 5000 to 5000"
    assert problems(database) == [(1301, what)]


@pytest.mark.parametrize("value", ['["read.refused"]', '{"read.refused": 1}', "null", "7"])
def test_a_kind_that_is_no_text_is_found_and_no_fault(database, signed, tamper, value):
    put = 'UPDATE audit_entries SET canonical = replace(canonical, \'"kind":"read.refused"\', %s) WHERE seq = 600'
    tamper(put, (f'"kind":{value}',))
    assert (600, "its text is not what was hashed") in problems(database)


@pytest.mark.parametrize("seq", [700, 1301])
def test_what_is_too_deep_to_be_parsed_is_found_and_no_fault(database, signed, tamper, seq):
    tamper("ALTER TABLE audit_entries ALTER doc DROP EXPRESSION")
    for text in ("[" * 200_000, "[" * 200_000 + "]" * 200_000, '{"details":' * 200_000 + "1" + "}" * 200_000):
        leaf = leaf_hash(text.encode())
        tamper("UPDATE audit_entries SET canonical = %s, leaf = %s WHERE seq = %s", (text, leaf, seq))
        assert problems(database)[0][0] == seq
