"""Streams that end early: each breaks visibly, and each leaves its end in the ledger."""

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pyarrow as pa
import pytest
from service import HTTP, LONG_ROWS, Service

END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


@contextlib.contextmanager
def streaming(service: Service, **body: object) -> Iterator[httpx2.Response]:
    headers = {"Authorization": f"Bearer {service.token('ana')}"}
    body = {"dataset": "long", **body}
    with HTTP.stream("POST", f"{service.url}/v1/reads", headers=headers, json=body) as response:
        assert response.status_code == 200, response.read()
        yield response


def drained(chunks: Iterator[bytes]) -> tuple[bytes, bool]:
    """Everything that still comes, and whether it ended as HTTP says it must."""
    got: list[bytes] = []
    try:
        got.extend(chunks)
    except httpx2.HTTPError:
        return b"".join(got), False
    return b"".join(got), True


def end_of(service: Service, read: str) -> dict[str, Any]:
    until = time.monotonic() + 20
    while True:
        ends = [each for each in service.entries(read=read) if each["kind"] != "read.authorized"]
        if ends:
            (end,) = ends
            return end
        assert time.monotonic() < until, service.entries(read=read)
        time.sleep(0.05)


def test_a_whole_stream_is_well_formed_and_ends_with_its_entry(service: Service) -> None:
    grant = service.grant(dataset="long", columns=["who", "x"])
    with streaming(service, grant=grant) as response:
        got, whole = drained(response.iter_bytes())
    assert whole
    assert got.endswith(END_OF_STREAM)
    assert pa.ipc.open_stream(got).read_all().num_rows == LONG_ROWS
    details = end_of(service, response.headers["Remit-Read"])["details"]
    assert (details["rows"], details["ended_by"], details["subjects"]) == (LONG_ROWS, "end", 200)


@pytest.mark.parametrize("what", ["revoke", "suspend", "pause", "rule"])
def test_what_is_taken_back_ends_a_running_stream_which_never_looks_whole(own_service: Service, what: str) -> None:
    grant = own_service.grant(dataset="long", columns=["who", "x"])
    with streaming(own_service, grant=grant) as response:
        chunks = response.iter_bytes()
        next(chunks)
        match what:
            case "pause":
                body = {"kind": "dataset", "target": "long", "reason": "an incident"}
                changed, ended_by = own_service.call("POST", "/v1/pauses", "olga", json=body), "paused"
            case "rule":
                file = own_service.folder / "policies.conf"
                file.write_text(file.read_text().replace("trained, pseudonym, allow", "trained, hidden, allow"))
                changed, ended_by = own_service.call("POST", "/v1/policy:reload", "eve"), "rules_changed"
            case _:
                path = f"/v1/grants/{grant}:{what}"
                changed = own_service.call("POST", path, "eve", json={"why": "a test"})
                ended_by = {"revoke": "revoked", "suspend": "suspended"}[what]
        assert changed.status_code in (200, 201), changed.text
        got, whole = drained(chunks)
    assert not whole
    assert not got.endswith(END_OF_STREAM)
    end = end_of(own_service, response.headers["Remit-Read"])
    assert (end["kind"], end["details"]["ended_by"]) == ("read.interrupted", ended_by)


def test_a_stream_ends_with_its_grant(service: Service) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=3)
    grant = service.grant(dataset="long", columns=["who", "x"], ends=ends.isoformat())
    with streaming(service, grant=grant) as response:
        chunks = response.iter_bytes()
        next(chunks)
        time.sleep(3)
        _, whole = drained(chunks)
    assert not whole
    end = end_of(service, response.headers["Remit-Read"])
    assert (end["kind"], end["details"]["ended_by"]) == ("read.interrupted", "expired")


def test_a_client_that_hangs_up_leaves_an_interrupted_read_and_gets_its_budget_back(service: Service) -> None:
    grant = service.grant(dataset="long", columns=["who", "x"], max_rows=4_000_000)
    with streaming(service, grant=grant) as response:
        next(response.iter_bytes())
    end = end_of(service, response.headers["Remit-Read"])
    assert (end["kind"], end["details"]["ended_by"]) == ("read.interrupted", "client")
    (mine,) = [each for each in service.call("GET", "/v1/grants").json()["items"] if each["id"] == grant]
    assert mine["rows_used"] == end["details"]["rows"] < 4_000_000


def test_a_graceful_stop_ends_every_stream_with_its_entry(own_service: Service) -> None:
    grant = own_service.grant(dataset="long", columns=["who", "x"])
    with streaming(own_service, grant=grant) as response:
        chunks = response.iter_bytes()
        next(chunks)
        own_service.process.send_signal(signal.SIGTERM)
        _, whole = drained(chunks)
        assert own_service.process.wait(timeout=60) == 0
    assert not whole
    own_service.start()
    end = end_of(own_service, response.headers["Remit-Read"])
    assert (end["kind"], end["details"]["ended_by"]) == ("read.interrupted", "stopping")


def test_a_gateway_that_read_and_was_stopped_has_written_nothing_but_its_log(own_service: Service) -> None:
    own_service.rows(grant=own_service.grant(columns=["x"]), rows="x < 5")
    assert own_service.stop() == 0
    assert [line for line in own_service.log().splitlines() if not line.startswith("{")] == []


def test_a_read_that_a_crash_cut_off_is_closed_at_the_next_start_and_keeps_its_charge(own_service: Service) -> None:
    grant = own_service.grant(dataset="long", columns=["who", "x"], max_rows=4_000_000)
    with streaming(own_service, grant=grant) as response:
        chunks = response.iter_bytes()
        next(chunks)
        own_service.stop(signal.SIGKILL)
        _, whole = drained(chunks)
    assert not whole
    own_service.start()
    end = end_of(own_service, response.headers["Remit-Read"])
    assert (end["kind"], end["details"]["ended_by"]) == ("read.interrupted", "lost")
    (mine,) = [each for each in own_service.call("GET", "/v1/grants").json()["items"] if each["id"] == grant]
    assert mine["rows_used"] > 0


def test_two_hundred_readers_at_once_each_get_their_rows_and_their_entries(service: Service) -> None:
    grant = service.grant(columns=["x"], rows="x < 100")
    token = service.token("ana")

    def reads_of(*kinds: str) -> list[str]:
        return [entry["read"] for entry in service.entries(grant=grant, limit=1000) if entry["kind"] in kinds]

    def read(_: int) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        body = {"dataset": "events", "grant": grant}
        while True:  # a machine too busy to know in time that nothing was taken back ends a read before its rows
            with contextlib.suppress(httpx2.RemoteProtocolError), httpx2.Client(timeout=120, trust_env=False) as client:
                response = client.post(f"{service.url}/v1/reads", headers=headers, json=body)
                if response.status_code != 503:
                    assert response.status_code == 200, response.text
                    return pa.ipc.open_stream(response.content).read_all().num_rows

    with ThreadPoolExecutor(200) as readers:
        assert list(readers.map(read, range(200))) == [100] * 200
    until = time.monotonic() + 20
    while sorted(reads_of("read.authorized")) != sorted(reads_of("read.completed", "read.interrupted")):
        assert time.monotonic() < until, service.entries(grant=grant, limit=1000)
        time.sleep(0.05)
    assert len(reads_of("read.completed")) == 200


def test_ten_readers_of_one_budget_never_get_more_than_it_holds(service: Service) -> None:
    grant = service.grant(dataset="long", columns=["x"], max_rows=1_000_000)

    def read(_: int) -> int:
        with contextlib.suppress(AssertionError), streaming(service, grant=grant, limit=400_000) as response:
            got, whole = drained(response.iter_bytes())
            rows = 0
            with contextlib.suppress(pa.ArrowInvalid, OSError):
                for batch in pa.ipc.open_stream(got):
                    rows += batch.num_rows
            return rows if whole else -rows
        return 0

    with ThreadPoolExecutor(10) as readers:
        rows = list(readers.map(read, range(10)))
    (mine,) = [each for each in service.call("GET", "/v1/grants").json()["items"] if each["id"] == grant]
    assert 400_000 <= sum(map(abs, rows)) <= mine["rows_used"] <= 1_000_000


def test_a_slow_client_does_not_keep_a_stream_beyond_a_stop(own_service: Service) -> None:
    grant = own_service.grant(dataset="long", columns=["who", "x"])
    host, port = own_service.url.removeprefix("http://").split(":")
    body = f'{{"dataset": "long", "grant": "{grant}"}}'.encode()
    head = (
        f"POST /v1/reads HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {own_service.token('ana')}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body)
        connection.recv(100)
        time.sleep(1)  # the buffers are full now, and nobody reads
        assert own_service.stop() == 0
    own_service.start()
    (entry,) = own_service.entries(kind="read.interrupted")
    assert entry["details"]["ended_by"] == "stopping"
