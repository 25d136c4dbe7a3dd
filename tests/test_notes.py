"""Signed notes, keys and checkpoints: what others signed is believed, and nothing that two could read differently."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import BadNote, KeyUnfit, NotProven
from audit.keyfiles import kept, read
from audit.merkle import EMPTY_ROOT
from audit.notes import COSIGNED, LARGEST_NOTE, SIGNED, Checkpoint, Note, Signature, Signer, Verifier, decimal

# The example of the Go package golang.org/x/mod/sumdb/note, where the format comes from.
GO_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

# A checkpoint of a public log of certificates, as its witnesses co-signed it.
PUBLIC = (Path(__file__).parent / "data" / "checkpoint.note").read_bytes()
PUBLIC_LOG = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
PUBLIC_WITNESS = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"

LOG = Signer("log.example/remit", SIGNED, b"l" * 32)
WITNESS = Signer("witness.example/w1", COSIGNED, b"w" * 32)
TEXT = str(Checkpoint("log.example/remit", 3, b"r" * 32))


def test_the_example_of_the_first_implementation_is_made_byte_for_byte() -> None:
    signer = Signer.parse(GO_SECRET)
    assert signer.text() == GO_SECRET
    assert str(signer.verifier) == GO_KEY
    assert str(signer.sign(GO_TEXT)) == GO_LINE
    assert Note.parse(f"{GO_TEXT}\n{GO_LINE}".encode()).verified([Verifier.parse(GO_KEY)]) == (signer.verifier,)


def test_what_a_public_log_and_its_witness_signed_holds() -> None:
    keys = (Verifier.parse(PUBLIC_LOG), Verifier.parse(PUBLIC_WITNESS))
    note = Note.parse(PUBLIC)
    assert note.verified(keys) == keys
    assert Checkpoint.parse(note.text).size == 1432088532
    assert str(note).encode() == PUBLIC


@pytest.mark.parametrize("key", [PUBLIC_LOG, PUBLIC_WITNESS])
def test_another_size_in_a_signed_checkpoint_shows(key: str) -> None:
    note = Note.parse(PUBLIC.replace(b"1432088532", b"1432088533"))
    with pytest.raises(NotProven):
        note.verified([Verifier.parse(key)])


def test_every_byte_of_a_signed_note_counts() -> None:
    whole = f"{TEXT}\n{LOG.sign(TEXT)}{WITNESS.sign(TEXT, at=1_700_000_000)}".encode()
    keys = (LOG.verifier, WITNESS.verifier)
    assert Note.parse(whole).verified(keys) == keys
    for at in range(len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        try:
            assert Note.parse(changed).verified(keys) != keys
        except (BadNote, NotProven):
            continue


def test_a_cosignature_says_when_and_is_no_signature_of_the_log() -> None:
    signature = WITNESS.sign(TEXT, at=1_700_000_000)
    assert signature.at == 1_700_000_000
    moved = Signature(signature.name, signature.id, (1_700_000_001).to_bytes(8) + signature.value[8:])
    with pytest.raises(NotProven):
        WITNESS.verifier.check(TEXT, moved.value)
    same_key = Signer(WITNESS.name, SIGNED, WITNESS.secret)
    with pytest.raises(NotProven):
        same_key.verifier.check(TEXT, signature.value)
    assert same_key.verifier.id != WITNESS.verifier.id


def test_signatures_of_unknown_keys_are_passed_over() -> None:
    other = Signer("stranger.example", SIGNED, b"s" * 32)
    note = Note.parse(f"{TEXT}\n{other.sign(TEXT)}{LOG.sign(TEXT)}".encode())
    assert note.verified([LOG.verifier]) == (LOG.verifier,)
    assert note.verified([WITNESS.verifier]) == ()


def test_a_key_that_signed_twice_counts_once() -> None:
    note = Note.parse(f"{TEXT}\n{WITNESS.sign(TEXT, at=1)}{WITNESS.sign(TEXT, at=2)}".encode())
    assert note.verified([WITNESS.verifier, WITNESS.verifier]) == (WITNESS.verifier,)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n\n",
        TEXT.encode(),
        f"{TEXT}{GO_LINE}".encode(),
        f"{TEXT}\n{GO_LINE}".encode()[:-1],
        f"{TEXT}\n{GO_LINE}\n".encode(),
        f"{TEXT}\n{GO_LINE}x\n".encode(),
        f"{TEXT}\n{GO_LINE}".replace("\n", "\r\n").encode(),
        f"a\tb\n\n{GO_LINE}".encode(),
        f"{TEXT}\n{GO_LINE}".encode() + b"\xff",
        f"{TEXT}\n{GO_LINE.replace('—', '-')}".encode(),
        f"{TEXT}\n{GO_LINE.replace(' x08', '  x08')}".encode(),
        f"{TEXT}\n{GO_LINE.replace('=', '')}".encode(),
        f"{TEXT}\n{GO_LINE.replace('AM=', 'AN=')}".encode(),
        f"{TEXT}\n— PeterNeumann AAAA\n".encode(),
        f"{TEXT}\n— a+b {GO_LINE.split()[2]}\n".encode(),
        f"{TEXT}\n{GO_LINE * 101}".encode(),
        b"x" * LARGEST_NOTE + f"\n\n{GO_LINE}".encode(),
    ],
)
def test_what_is_no_signed_note_is_refused(note: bytes) -> None:
    with pytest.raises(BadNote):
        Note.parse(note)


def test_a_note_of_sixteen_large_signatures_is_read() -> None:
    large = str(Signature("witness.example/ml-dsa", b"1234", b"x" * 2428))
    assert len(Note.parse(f"{TEXT}\n{large * 16}".encode()).signatures) == 16


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_note_or_refused(data: bytes) -> None:
    try:
        note = Note.parse(data)
    except BadNote:
        return
    assert str(note).encode() == data


@pytest.mark.parametrize(
    "key",
    [
        "",
        "PeterNeumann",
        GO_KEY[:-1],
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY.replace("c74f20a3", "C74F20A3"),
        GO_KEY.replace("PeterNeumann", "Peter Neumann"),
        GO_KEY.replace("PeterNeumann", ""),
        GO_KEY + "=",
        GO_KEY.replace("ARpc", "Ahpc"),
        "x" * 256 + GO_KEY[12:],
    ],
)
def test_a_key_that_is_damaged_or_of_another_kind_is_refused(key: str) -> None:
    with pytest.raises(BadNote):
        Verifier.parse(key)
    with pytest.raises(BadNote):
        Signer.parse("PRIVATE+KEY+" + key)


def test_a_signing_key_is_never_shown() -> None:
    secret = base64.b64encode(b"l" * 32).decode()
    assert secret not in repr(LOG) + str(LOG.verifier)
    assert LOG.text()[:-1] not in repr(LOG)


@pytest.mark.parametrize("secret", [GO_SECRET[:-1], GO_SECRET.replace("c74f", "c75f"), GO_SECRET[12:]])
def test_a_damaged_signing_key_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(BadNote) as refused:
        Signer.parse(secret)
    assert secret[40:60] not in str(refused.value)


@given(st.text("abc/.-é", min_size=1), st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_is_read_as_it_was_written(origin: str, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin, size, root if size else EMPTY_ROOT)
    assert Checkpoint.parse(str(checkpoint)) == checkpoint


def test_lines_that_another_version_adds_to_a_checkpoint_are_kept() -> None:
    assert Checkpoint.parse(f"{TEXT}more\n").extensions == ("more",)
    assert str(Checkpoint.parse(f"{TEXT}more\n")) == f"{TEXT}more\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT + "\n",
        "\n" + TEXT,
        TEXT.replace("\n3\n", "\n03\n"),
        TEXT.replace("\n3\n", "\n+3\n"),
        TEXT.replace("\n3\n", "\n-3\n"),
        TEXT.replace("\n3\n", "\n3 \n"),
        TEXT.replace("\n3\n", "\n٣\n"),
        TEXT.replace("\n3\n", "\n9223372036854775808\n"),
        TEXT.replace("\n3\n", "\n0\n"),
        TEXT.replace("\n3\n", "\n\n3\n"),
        "log\n3\n" + base64.b64encode(b"r" * 31).decode() + "\n",
        "l" * 256 + TEXT[17:],
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        Checkpoint.parse(text)


def test_numbers_have_one_way_to_be_written() -> None:
    assert [decimal("0"), decimal("10"), decimal(str(2**63 - 1))] == [0, 10, 2**63 - 1]


def test_a_key_file_is_made_once_for_its_user_only_and_never_made_by_reading(tmp_path: Path) -> None:
    path = tmp_path / "home" / "log.key"
    with pytest.raises(KeyUnfit):
        read(path)
    assert kept(path, lambda: b"first") == b"first"
    assert kept(path, lambda: b"second") == read(path) == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(KeyUnfit, match="chmod 600"):
        read(path)
