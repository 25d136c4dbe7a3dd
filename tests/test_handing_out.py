"""Proofs go out over HTTP and are checked by whoever has them, with a key, and nothing else of Remit's."""

import json
import os
import subprocess
import sys
import time
from base64 import b64decode
from pathlib import Path

import psycopg
import pytest

from audit.handed import check_proof
from audit.ledger_keys import is_vouched_for, read
from audit.merkle import leaf_hash
from audit.notes import COSIGNED, SIGNED, Checkpoint, Note, Signer
from audit.proofs import Proof, check_consistency
from audit.verify import verify


def remit(*arguments, folder, **environment):
    """The command line in a process of its own, without a gateway or database in its environment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REMIT_")}
    command = [sys.executable, "-m", "remit", *map(str, arguments)]
    return subprocess.run(command, env=clean | environment, cwd=folder, capture_output=True, text=True, check=False)


def key_of(service):
    return read(Path(service.settings["REMIT_HOME"]) / "ledger.key").signers[0].verifier


def covering(service, seq):
    """The newest checkpoint, once it covers entry `seq`: at most a second later."""
    while True:
        response = service.call("GET", "/v1/audit/checkpoint", "sam")
        if response.status_code == 200:
            note = Note.parse(response.content)
            if (found := Checkpoint.parse(note.text)).size >= seq:
                assert note.verified([key_of(service)])
                return found, response.text
        time.sleep(0.05)


def test_a_proof_is_checked_with_the_key_alone_and_brings_its_entry(service, tmp_path):
    entry = service.entries(limit=1)[0]
    covering(service, entry["seq"])
    response = service.call("GET", f"/v1/audit/proof/{entry['seq']}", "sam")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    proven = check_proof(response.content, [key_of(service)])
    assert proven.seq == entry["seq"]
    assert json.loads(proven.entry) | {"seq": proven.seq} == entry
    (tmp_path / "proof").write_bytes(response.content)
    done = remit("audit", "check-proof", "proof", "--key", key_of(service), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"proven: this is entry {proven.seq:,} of the ledger\n" in done.stdout
    assert json.loads(done.stdout.splitlines()[2]) == json.loads(proven.entry)


def test_a_proof_of_another_entry_or_under_another_key_proves_nothing(service, tmp_path):
    entry = service.entries(limit=1)[0]
    covering(service, entry["seq"])
    text = service.call("GET", f"/v1/audit/proof/{entry['seq']}", "sam").content
    proof = Proof.parse(text)
    (tmp_path / "proof").write_bytes(text)
    (tmp_path / "entry").write_bytes(proof.extra)
    (tmp_path / "other").write_bytes(proof.extra.replace(b"sam", b"eve"))
    (tmp_path / "moved").write_bytes(bytes(Proof(proof.index - 1, proof.path, proof.checkpoint, proof.extra)))
    key, stranger = key_of(service), Signer.make(key_of(service).name, SIGNED).verifier
    witness = Signer.make("witness.example/w", COSIGNED).verifier
    check = lambda name, *more: remit("audit", "check-proof", name, *more, folder=tmp_path)  # noqa: E731
    assert check("proof", "--key", key, "--entry", "entry").returncode == 0
    for ended in (
        check("proof", "--key", key, "--entry", "other"),
        check("moved", "--key", key),
        check("proof", "--key", stranger),
        check("proof", "--key", key, "--key", witness),
        check("proof", "--key", witness),
        check("entry", "--key", key),
    ):
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "not proven: " in ended.stderr
    # Each gateway of a ledger has a key of its own, and whichever was next has signed.
    several = check("proof", "--key", stranger, "--key", key, "--json")
    assert json.loads(several.stdout)["signed_by"] == [str(key)]
    for ended in (check("proof"), check("proof", "--key", "nonsense"), check("nothing", "--key", key)):
        assert (ended.returncode, ended.stdout) == (2, "")


def test_two_checkpoints_are_consistent_over_http(service):
    first, _ = covering(service, 1)
    second, _ = covering(service, service.entries(limit=1)[0]["seq"])
    sizes = {"from": first.size, "to": second.size}
    answer = service.call("GET", "/v1/audit/consistency", "sam", params=sizes).json()
    hashes = [b64decode(hash) for hash in answer.pop("hashes")]
    assert answer == sizes
    check_consistency(first.size, second.size, first.root, second.root, hashes)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("proof/999999999", 404),
        ("proof/0", 400),
        ("proof/x", 400),
        ("consistency?from=1&to=99999999", 404),
        ("consistency?from=2&to=1", 404),
        ("consistency?from=1", 400),
        ("checkpoint?size=1", 400),
    ],
)
def test_what_is_not_there_cannot_be_proven(service, path, status):
    response = service.call("GET", f"/v1/audit/{path}", "sam")
    assert response.status_code == status, response.text


@pytest.mark.parametrize("path", ["checkpoint", "proof/1", "consistency?from=1&to=1", "keys"])
def test_proofs_need_a_rule_and_every_look_is_in_the_trail(service, path):
    assert service.call("GET", f"/v1/audit/{path}", "bob").status_code == 403
    assert service.call("GET", f"/v1/audit/{path}", None).status_code == 401
    service.call("GET", f"/v1/audit/{path}", "sam")
    told = service.entries(kind="audit.read", actor="sam", limit=2)[1]["details"]["asked"]
    assert path.partition("/")[0].partition("?")[0].removesuffix("s") in str(told)


def test_the_command_line_fetches_checkpoint_proof_and_keys_and_verifies_since_them(service, database, tmp_path):
    as_sam = {"REMIT_URL": service.url, "REMIT_TOKEN": service.token("sam")}
    seq = service.entries(limit=1)[0]["seq"]
    proof = remit("audit", "prove", seq, folder=tmp_path, **as_sam)
    assert proof.returncode == 0, proof.stderr
    assert check_proof(proof.stdout.encode(), [key_of(service)]).seq == seq
    kept = remit("audit", "checkpoint", folder=tmp_path, **as_sam)
    (tmp_path / "kept").write_text(kept.stdout)
    keys = remit("audit", "key", "list", "--json", folder=tmp_path, **as_sam)
    assert {"vkey": str(key_of(service)), "status": "activated"} in json.loads(keys.stdout)["keys"]
    url = service.settings["REMIT_DATABASE_URL"]
    verified = remit("audit", "verify", "--database", url, "--key", key_of(service), "--since", "kept", folder=tmp_path)
    assert verified.returncode == 0, verified.stdout
    assert f"by {key_of(service)}" in verified.stdout
    believed = remit("audit", "verify", "--database", url, folder=tmp_path)
    assert "which proves less" in believed.stdout
    told = json.loads(remit("audit", "verify", "--database", url, "--json", folder=tmp_path).stdout)
    assert (told["integrity"], told["completeness"], told["key_given"]) == (True, True, False)
    stranger = Signer.make("example.com/other", 1).verifier
    refused = remit("audit", "verify", "--database", url, "--key", stranger, "--since", "kept", folder=tmp_path)
    assert refused.returncode == 1
    assert "not verified" in refused.stderr
    (tmp_path / "kept").write_text("")  # as a shell leaves it where the checkpoint was refused
    empty = remit("audit", "verify", "--database", url, "--since", "kept", folder=tmp_path)
    assert (empty.returncode, empty.stdout, "`kept` is empty" in empty.stderr) == (1, "", True)


def test_a_running_gateway_takes_up_a_rotated_key_and_says_so(own_service, tmp_path):
    first = key_of(own_service)
    home = own_service.settings["REMIT_HOME"]
    done = remit("audit", "key", "rotate", folder=tmp_path, REMIT_HOME=home)
    assert done.returncode == 0, done.stderr
    second = key_of(own_service)
    assert done.stdout.strip() == str(second) != str(first)
    while own_service.entries(kind="ledger.key_activated", limit=1)[0]["details"]["vkey"] != str(second):
        time.sleep(0.05)
    seq = own_service.entries(limit=1)[0]["seq"]
    note = Note.parse(covering(own_service, seq)[1].encode())
    assert set(note.verified([first, second])) == {first, second}
    shown = remit("audit", "key", "show", folder=tmp_path, REMIT_HOME=home)
    assert (shown.returncode, shown.stdout) == (0, f"{second}\n{first}\n")
    told = remit("audit", "key", "show", "--json", folder=tmp_path, REMIT_HOME=home)
    assert json.loads(told.stdout) == {"keys": [str(second), str(first)]}
    assert "PRIVATE" not in shown.stdout + told.stdout
    (entry,) = own_service.entries(kind="ledger.key_activated", limit=1)
    assert is_vouched_for(str(second), entry["details"]["voucher"], [str(first)])


def test_keys_are_not_shown_where_there_are_none(tmp_path):
    shown = remit("audit", "key", "show", folder=tmp_path, REMIT_HOME=str(tmp_path))
    assert (shown.returncode, shown.stdout) == (3, "")
    assert "ledger.key" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_gateway_whose_ledger_was_changed_is_not_ready_and_calls_on_call(own_service, database):
    covering(own_service, 1)
    with psycopg.connect(database.url("owner"), autocommit=True) as owner:
        owner.execute("ALTER TABLE audit_tree DISABLE TRIGGER ALL")
        owner.execute("UPDATE audit_tree SET edge = decode(repeat('00', octet_length(edge)), 'hex')")
    own_service.entries(limit=1)
    while (answer := own_service.call("GET", "/readyz", None)).status_code == 200:
        time.sleep(0.05)
    assert not answer.json()["checkpoints"]
    while not (found := [each for each in own_service.alerts() if each["code"] == "ledger_changed"]):
        time.sleep(0.05)
    assert [each["severity"] for each in found] == [1]
    assert not verify(database.url()).integrity


def test_a_gateway_whose_key_was_retired_elsewhere_is_not_ready(own_service, database):
    covering(own_service, 1)
    with psycopg.connect(database.url("owner"), autocommit=True) as owner:
        owner.execute("INSERT INTO audit_keys (vkey, became) VALUES (%s, 'retired')", (str(key_of(own_service)),))
    own_service.entries(limit=1)
    while (answer := own_service.call("GET", "/readyz", None)).status_code == 200:
        time.sleep(0.05)
    assert [name for name, is_there in answer.json().items() if not is_there] == ["checkpoints"]


def test_a_proof_of_what_is_not_written_yet_is_asked_for_a_few_times_only(service, tmp_path):
    environment = {"REMIT_URL": service.url, "REMIT_TOKEN": service.token("sam")}
    done = remit("audit", "prove", 987_654_321, folder=tmp_path, **environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert "entry 987654321 is under no checkpoint yet" in done.stderr
    asked = [each["details"]["asked"] for each in service.entries(kind="audit.read", actor="sam", limit=50)]
    assert asked.count({"proof_of": "987654321"}) == 4


def test_two_gateways_on_one_ledger_keep_one_tree_and_neither_closes_the_others_reads(own_service, database, folder):
    from service import serving

    place = folder / "second_gateway"
    place.mkdir(mode=0o700)
    with serving(place, database.url()) as second:
        for gateway in (own_service, second) * 5:
            gateway.entries(limit=1)
        seq = second.entries(limit=1)[0]["seq"]
        both = [key_of(own_service), key_of(second)]
        assert str(both[0]) != str(both[1])
        while Checkpoint.parse(Note.parse(second.call("GET", "/v1/audit/checkpoint", "sam").content).text).size < seq:
            time.sleep(0.05)
        verdict = verify(database.url(), keys=both)
        assert verdict.problems == ()
        assert verdict.signed >= seq
    with psycopg.connect(database.url()) as session:
        rows = session.execute("SELECT seq, canonical, leaf FROM audit_entries ORDER BY seq").fetchall()
    assert [seq for seq, _, _ in rows] == list(range(1, len(rows) + 1))
    assert all(leaf == leaf_hash(canonical.encode()) for _, canonical, leaf in rows)
    assert verify(database.url(), keys=both).problems == ()
