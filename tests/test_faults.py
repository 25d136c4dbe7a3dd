"""What breaks on the way of a read: no rows, a clear answer, nothing half done, and it mends itself."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx2
import pyarrow as pa
import pytest
from service import POLICIES, Service, scope_of, serving
from test_streams import drained, end_of, streaming

from audit.verify import verify


@pytest.fixture
def embedded(folder: Path) -> Iterator[Service]:
    """A gateway with an embedded PostgreSQL of its own, which may be killed."""
    place = Path(tempfile.mkdtemp(dir=folder))
    place.chmod(0o711)
    with serving(place, "") as running:
        yield running


def kill_database(service: Service) -> None:
    data = (service.folder / "home" / "postgresql").resolve()
    os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


def test_a_database_that_dies_means_no_rows_and_reading_goes_on_when_it_is_back(embedded: Service) -> None:
    grant = embedded.grant(columns=["x"])
    kill_database(embedded)
    answers = []
    until = time.monotonic() + 60
    while not answers or answers[-1].status_code != 200:
        answers.append(embedded.read(grant=grant))
        assert time.monotonic() < until, [answer.text for answer in answers]
        time.sleep(0.1)
    refused = [answer.json()["code"] for answer in answers[:-1]]
    assert refused
    assert set(refused) == {"not_recorded"}
    assert pa.ipc.open_stream(answers[-1].content).read_all().num_rows == 1000


def test_a_database_that_dies_in_the_middle_of_a_read_still_gets_its_end(embedded: Service) -> None:
    grant = embedded.grant(dataset="long", columns=["who", "x"])
    with streaming(embedded, grant=grant) as response:
        chunks = response.iter_bytes()
        next(chunks)
        kill_database(embedded)
        drained(chunks)
    read = response.headers["Remit-Read"]
    until = time.monotonic() + 60
    while embedded.call("GET", "/v1/audit/entries", "sam").status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert end_of(embedded, read)["kind"] in {"read.interrupted", "read.completed"}


def test_a_dataset_whose_file_vanishes_is_a_clear_fault_with_its_end_and_no_rows(own_service: Service) -> None:
    grant = own_service.grant(columns=["x"])
    place = own_service.folder / "data/events/part.parquet"
    place.rename(place.with_suffix(".away"))
    response = own_service.read(grant=grant)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (503, "store_failed")
    assert str(own_service.folder) not in response.text
    assert end_of(own_service, problem["read"])["details"] == {
        "rows": 0,
        "ended_by": "store_failed",
        "subjects": 0,
    }
    place.with_suffix(".away").rename(place)
    assert own_service.read(grant=grant).status_code == 200


def test_a_dataset_that_lost_a_column_is_a_clear_fault_and_never_wrong_data(own_service: Service) -> None:
    grant = own_service.grant(columns=["x", "at"])
    place = own_service.folder / "data/events/part.parquet"
    place.unlink()
    duckdb.sql(f"COPY (SELECT 'text' AS x, 1 AS who) TO '{place}' (FORMAT parquet)")
    place.chmod(0o600)
    response = own_service.read(grant=grant)
    assert (response.status_code, response.json()["code"]) == (503, "store_failed")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("policies.conf", "research.ml, train_ai_system, user.behavior.pointer", "research.ml", "policies.conf line"),
        ("policies.conf", "user.behavior.pointer, read", "user.behavior.pionter, read", "did you mean"),
        ("catalog.toml", 'subject = "who"', 'subject = "whom"', "catalog.toml line"),
        ("catalog.toml", "data/long/", "data/gone/", "catalog.toml line"),
        ("catalog.toml", "[stores.files]", "[stores.files", "catalog.toml line"),
    ],
)
def test_a_bundle_that_is_not_understood_is_refused_whole_and_the_last_good_one_stays(
    own_service: Service, file: str, old: str, new: str, said: str
) -> None:
    grant = own_service.grant(columns=["x"])
    digest = own_service.entries(kind="policy.activated")[0]["digest"]
    place = own_service.folder / file
    good = place.read_text()
    place.write_text(good.replace(old, new, 1))
    response = own_service.call("POST", "/v1/policy:reload", "eve")
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")
    assert said in response.json()["detail"]
    (refused,) = own_service.entries(kind="policy.refused")
    assert refused["digest"] == digest
    assert said in str(refused["details"]["problems"])
    assert own_service.read(grant=grant).status_code == 200
    place.write_text(good + "\n# a comment more\n")
    own_service.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 30
    while own_service.entries(kind="policy.activated")[0]["digest"] == digest:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_bundle_that_is_not_understood_stops_the_start_with_its_line(own_service: Service) -> None:
    own_service.stop()
    place = own_service.folder / "policies.conf"
    place.write_text(POLICIES.replace("trail   = security", "trail   = Security!"))
    own_service.start(wait=False)
    assert own_service.process.wait(timeout=60) == 1
    assert "policies.conf line" in own_service.log()


@pytest.mark.parametrize(
    ("name", "value"),
    [("REMIT_LISTEN", "nowhere"), ("REMIT_OIDC_ISSUER", "http://example.com"), ("REMIT_DATABSE_URL", "x")],
)
def test_a_setting_that_is_not_understood_stops_the_start_with_its_name(
    own_service: Service, name: str, value: str
) -> None:
    own_service.stop()
    own_service.settings[name] = value
    own_service.start(wait=False)
    assert own_service.process.wait(timeout=60) == 2
    assert name in own_service.log()


STOPPED_WHILE_AN_OBJECT_IS_CLEARED_AWAY = """
import signal, weakref
import gateway.server
from remit.cli import main

make_app = gateway.server.make_app

def stopped(parts):
    class Thing: pass
    thing = Thing()
    weakref.finalize(thing, signal.raise_signal, signal.SIGTERM)
    del thing
    return make_app(parts)

gateway.server.make_app = stopped
main(["serve"])
"""


def test_a_signal_that_meets_the_start_of_a_gateway_ends_it_wherever_it_meets_it(own_service: Service) -> None:
    own_service.stop()
    command = [sys.executable, "-c", STOPPED_WHILE_AN_OBJECT_IS_CLEARED_AWAY]
    done = subprocess.run(
        command, env=own_service.environment, cwd=own_service.folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert '"serving"' in done.stdout + done.stderr, "what the signal raised was dropped"


BODIES = [
    (b'{"dataset": "events", "rows": "' + b"x" * 1_000_000 + b'"}', 413),
    (b'{"dataset": "events", "dataset": "long"}', 400),
    (b'{"dataset": "ev\\u0000ents"}', 400),
    (b'{"dataset": "\\ud800"}', 400),
    (b'{"dataset": "events", "limit": 0}', 400),
    (b'{"dataset": "events", "limit": 1.5}', 400),
    (b'{"dataset": "events", "limit": 1e400}', 400),
    (b'{"dataset": "events", "limit": "1"}', 400),
    (b'{"dataset": "events", "colums": ["x"]}', 400),
    (b'{"dataset": 7}', 400),
    (b"[" * 100_000, 413),
    (b"[" * 30_000, 400),
    (b'["events"]', 400),
    (b"\xff\xfe", 400),
    (b"", 400),
    (b'{"dataset": "events", "rows": "' + b"(" * 30_000 + b'"}', 422),
    (b'{"dataset": "events", "rows": "' + b"not " * 10_000 + b'x = 1"}', 422),
]


@pytest.mark.parametrize(("body", "status"), BODIES, ids=range(len(BODIES)))
def test_a_body_that_is_not_understood_is_a_clear_error(service: Service, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    response = service.call("POST", "/v1/reads", "ana", content=body, headers=headers)
    assert response.status_code == status, response.text
    assert response.json()["detail"]
    assert len(response.text) < 3000


@pytest.mark.parametrize(
    "path", ["/v1/datasets/%00", "/v1/datasets/%ff", "/v1/alerts/x", "/v1/nothing", "/v1/alerts/0"]
)
def test_an_address_that_leads_nowhere_is_a_problem_document(service: Service, path: str) -> None:
    response = service.call("GET", path, "olga")
    assert response.status_code in (400, 404)
    assert response.headers["content-type"] == "application/problem+json"


def test_mutated_tokens_over_http_are_never_let_in_and_never_a_fault(service: Service) -> None:
    good = service.token("ana")
    with httpx2.Client(trust_env=False) as client:
        for place in range(0, len(good), 7):
            bad = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
            answer = client.get(f"{service.url}/v1/datasets", headers={"Authorization": f"Bearer {bad}"})
            assert answer.status_code == 401, bad


def test_ten_refused_tokens_a_minute_are_entries_and_the_rest_is_counted(own_service: Service) -> None:
    for _ in range(25):
        own_service.call("GET", "/v1/datasets", None, headers={"Authorization": "Bearer nonsense"})
    assert len(own_service.entries(kind="identity.refused")) == 10


def test_a_scope_that_is_not_understood_is_refused_with_what_is_wrong(service: Service) -> None:
    for wrong, said in (
        ({"purpose": "train_ai_sistem"}, "did you mean"),
        ({"columns": ["z"]}, "`z`"),
        ({"dataset": "evnts"}, "events"),
        ({"rows": "x = 'a'"}, "x"),
        ({"max_subjects": 0}, "max_subjects"),
        ({"team": "research.ml", "principal": "ana"}, "principal"),
        ({"ends": "yesterday"}, "ends"),
        ({"surprise": 1}, "surprise"),
    ):
        response = service.call("POST", "/v1/grants", "eve", json=scope_of(**wrong))
        assert response.status_code == 400, wrong
        assert said in response.json()["detail"], wrong


def test_secrets_never_reach_the_logs_or_the_ledger(service: Service) -> None:
    grant = service.grant(columns=["x"])
    planted = "s3cr3t" * 5
    service.read(grant=grant, rows=f"x = '{planted}'")
    service.read(planted, grant=planted, purpose=planted, columns=[planted])
    service.read(grant=grant, columns=[planted])
    service.read(grant=grant, purpose=planted)
    service.call("GET", f"/v1/{planted}", "ana")
    service.call("GET", "/v1/datasets", None, headers={"Authorization": f"Bearer {planted}"})
    token = service.token("ana")
    assert planted not in service.log()
    assert token.split(".")[2] not in service.log()
    trail = str([service.entries(actor="ana", limit=1000), service.entries(kind="identity", limit=1000)])
    assert planted not in trail


def test_a_connection_that_says_nothing_does_not_keep_others_waiting(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    quiet = [socket.create_connection((host, int(port))) for _ in range(50)]
    assert service.call("GET", "/healthz", None).status_code == 200
    for connection in quiet:
        connection.close()


def test_after_all_of_this_the_ledger_still_verifies(embedded: Service) -> None:
    grant = embedded.grant(columns=["x"])
    for _ in range(3):
        kill_database(embedded)
        until = time.monotonic() + 60
        while embedded.read(grant=grant).status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.1)
    embedded.stop(signal.SIGKILL)
    embedded.start()
    assert verify is not None
