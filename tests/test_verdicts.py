"""A ledger that somebody verified, and that does not hold, calls on-call."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from conftest import Database
from receivers import wait_until
from service import Service

from audit.spans import Problem
from audit.verify import Verdict
from remit.cli import telling

VERDICT = {"size": 1, "root": "", "integrity": False, "completeness": True, "problems": 1}
FLIPPED = "UPDATE audit_entries SET leaf = set_byte(leaf, 0, get_byte(leaf, 0) # 1) WHERE seq = 1"


@contextmanager
def flipped(database: Database) -> Iterator[None]:
    """One bit of the first entry's hash is another, long after it was signed."""
    with psycopg.connect(database.url("owner"), autocommit=True) as owner:
        owner.execute("ALTER TABLE audit_entries DISABLE TRIGGER ALL")
        owner.execute(FLIPPED)
        yield
        owner.execute(FLIPPED)


def verified(service: Service, database: Database, who: str, *options: str, **set_: str) -> tuple[int, str]:
    """`remit audit verify` as somebody with the database's own URL: how it ended, and what it noted."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REMIT_")}
    command = [sys.executable, "-m", "remit", "audit", "verify", "--database", database.url("owner"), *options]
    settings = clean | {"REMIT_TOKEN": service.token(who), "REMIT_URL": service.url} | set_
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_a_verification_that_fails_calls_on_call_in_the_name_of_whoever_verified(
    own_service: Service, database: Database
) -> None:
    wait_until(lambda: own_service.call("GET", "/v1/audit/checkpoint", "sam").status_code == 200)
    assert verified(own_service, database, "sam") == (0, "")
    with flipped(database):
        status, notes = verified(own_service, database, "sam")
        assert status == 1
        assert "on-call is called: entry" in notes
    (said,) = own_service.entries(kind="verify.failed")
    assert (said["actor"], said["code"], said["details"]["integrity"]) == ("sam", "verify_failed", False)
    assert said["details"]["why"].startswith("entry 1: ")
    assert "it is named" not in said["details"]["why"]
    wait_until(lambda: [alert for alert in own_service.alerts() if alert["code"] == "verify_failed"])
    (alert,) = (alert for alert in own_service.alerts() if alert["code"] == "verify_failed")
    assert (alert["severity"], alert["actor"], alert["evidence"]["asked"]) == (1, "sam", said["details"]["why"])


def test_a_verdict_stands_where_nobody_can_be_told(own_service: Service, database: Database) -> None:
    with flipped(database):
        for who, options, set_, note in (
            ("ana", (), {}, "the gateway did not take it"),  # who may not read the trail tells nothing of it
            ("sam", (), {"REMIT_URL": "http://127.0.0.1:1"}, "the gateway did not take it"),
            ("sam", (), {"REMIT_URL": ""}, "nobody was called: tell on-call yourself"),
            ("sam", ("--no-tell",), {}, ""),
        ):
            status, notes = verified(own_service, database, who, *options, **set_)
            assert status == 1
            assert note in notes
    assert own_service.entries(kind="verify.failed") == []
    held = VERDICT | {"ledger": "x", "integrity": True, "first": [{"seq": 1, "what": "x"}]}
    assert own_service.call("POST", "/v1/audit/verdicts", "sam", json=held).json()["code"] == "bad_request"
    assert own_service.entries(kind="verify.failed") == []


def test_whatever_stands_in_a_changed_ledger_can_be_told(own_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMIT_URL", own_service.url)
    monkeypatch.setenv("REMIT_TOKEN", own_service.token("sam"))
    problems = tuple(Problem(2**62 - n, f"\0\ud800{n}" + 1_000 * "x") for n in range(30))
    telling.tell(Verdict(2**62, b"", problems, integrity=False, completeness=False, origin="\0" * 999))
    (said,) = own_service.entries(kind="verify.failed")
    assert (said["details"]["problems"], len(said["details"]["first"])) == (30, 20)


def test_a_verdict_of_another_ledger_says_so(own_service: Service) -> None:
    told = VERDICT | {"ledger": "copy", "first": [{"seq": 3, "what": "it is gone"}]}
    assert own_service.call("POST", "/v1/audit/verdicts", "sam", json=told).status_code == 201
    (said,) = own_service.entries(kind="verify.failed")
    assert "it is named `copy` there" in said["details"]["why"]
