"""How soon what is taken back is taken back, with two gateways of one ledger, as their clients see it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from json import dumps
from selectors import EVENT_READ, DefaultSelector
from statistics import median, quantiles
from urllib.parse import urlsplit

from service import Service, serving

from .contest import Contest, Goal
from .place import Place
from .scale import Scale

BOUND = 0.010
"""Seconds from the answer to a revocation to the first refusal, in 99 of 100."""


def contests(place: Place, scale: Scale) -> Iterator[Contest]:
    """To a refusal in the other gateway, in both at once, to a reader's who never stops, and to the end of a stream."""
    with two(place) as (one, other):
        yield Contest(
            what="revocation to the first refusal in the other gateway, p99",
            against=f"the {BOUND * 1000:.0f} ms of the design",
            goal=Goal("time", 1),
            unit="revocations",
            how=f"{scale.revocations} revocations in each round, in either gateway in turn; at its answer a read that "
            "is made up beforehand is sent to the other one, over a connection that read before; from the answer to "
            "the first byte of the refusal",
            cause="As for both at the same moment",
            ours=lambda: _p99(_refusals(one, other, scale.revocations, both_asked=False)),
            theirs=lambda: BOUND,
        )
        yield Contest(
            what="revocation to the first refusal in both gateways, asked at the same moment, p99",
            against=f"the {BOUND * 1000:.0f} ms of the design",
            goal=Goal("time", 1),
            unit="revocations",
            how="the same with a read sent to each gateway; to the first byte of the later of the two refusals",
            cause="The median is 6 ms: 2 until the gateway decides, 1 for the grants, 2 for a durable entry, 1 until "
            "the client has the answer. Both gateways and the database need 12 ms of processor for it, and share two "
            "cores in that moment. The slowest are those that meet a look for alerts, a checkpoint that is being "
            "signed, or a disk that takes 5 ms for once",
            ours=lambda: _p99(_refusals(one, other, scale.revocations, both_asked=True)),
            theirs=lambda: BOUND,
        )
        yield Contest(
            what="revocation to the first refusal of a reader who asks again and again, p99",
            against=f"{BOUND * 1000:.0f} ms",
            goal=Goal("time", None),
            unit="revocations",
            how="the same with a reader of each gateway who reads without a pause: a permitted read that was under way "
            "has to be answered first",
            ours=lambda: _p99(_refusals_without_pause(one, other, scale.revocations)),
            theirs=lambda: BOUND,
        )
        yield Contest(
            what="revocation to the end of a running stream, median",
            against=f"{BOUND * 1000:.0f} ms",
            goal=Goal("time", None),
            unit="revocations",
            how=f"{scale.streams} streams in each round, each revoked in the other gateway; until the client's "
            "connection breaks, after what was on its way",
            ours=lambda: median(_endings(one, other, scale.streams)),
            theirs=lambda: BOUND,
        )


@contextmanager
def two(place: Place) -> Iterator[tuple[Service, Service]]:
    """Two gateways, each a process, on one ledger."""
    url = place.database("revocations").url()
    with (
        serving(place.subfolder("one"), url) as one,
        serving(place.subfolder("other"), url, REMIT_OIDC_ISSUER=one.provider.url) as other,
    ):
        other.provider = one.provider
        yield one, other


def _p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100, method="inclusive")[98]


def _refusals(one: Service, other: Service, rounds: int, *, both_asked: bool) -> list[float]:
    both, token, taken = (one, other), one.token("ana"), []
    for number in range(rounds):
        grant = one.grant(columns=["x"])
        asked = both if both_asked else (both[1 - number % 2],)
        connections = [_connected(service) for service in asked]
        assert all(_small(connection, token, grant) for connection in connections)
        asks = [_ask(connection, token, grant) for connection in connections]
        answered = _revoke(both[number % 2], grant)
        for connection, ask in zip(connections, asks, strict=True):
            connection.sock.sendall(ask)
        taken.append(_refused(connections) - answered)
    return taken


def _ask(connection: HTTPConnection, token: str, grant: str) -> bytes:
    """A small read as its bytes."""
    body = dumps({"dataset": "events", "grant": grant, "limit": 1})
    lines = [
        "POST /v1/reads HTTP/1.1",
        f"Host: {connection.host}:{connection.port}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", body]).encode()


def _refused(connections: list[HTTPConnection]) -> float:
    """Closes the connections; when the later of the refusals had come."""
    with DefaultSelector() as waiting:
        for connection in connections:
            waiting.register(connection.sock, EVENT_READ, connection)
        while waiting.get_map():
            for ready, _ in waiting.select():
                came, connection = time.perf_counter(), ready.data
                waiting.unregister(connection.sock)
                assert connection.sock.recv(2**16).startswith(b"HTTP/1.1 403 "), "a read after the revocation was given"
                connection.close()
    return came


def _refusals_without_pause(one: Service, other: Service, rounds: int) -> list[float]:
    """As before, with readers that read again and again, each in a thread of its own."""
    both, token, taken = (one, other), one.token("ana"), []
    with ThreadPoolExecutor(2) as threads:
        for number in range(rounds):
            grant = one.grant(columns=["x"])
            connections = [_connected(service) for service in both]
            assert all(_small(connection, token, grant) for connection in connections)
            waiting = [threads.submit(_until_refused, connection, token, grant) for connection in connections]
            answered = _revoke(both[number % 2], grant)
            taken.append(max(0.0, *(each.result() - answered for each in waiting)))
            for connection in connections:
                connection.close()
    return taken


def _until_refused(connection: HTTPConnection, token: str, grant: str) -> float:
    """When the first refusal had come."""
    while True:
        try:
            if not _small(connection, token, grant):
                return time.perf_counter()
        except HTTPException:
            connection.close()


def _small(connection: HTTPConnection, token: str, grant: str) -> bool:
    """Whether a small read was given, and not refused. Raises `HTTPException` where it breaks off."""
    body = dumps({"dataset": "events", "grant": grant, "limit": 1})
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/reads", body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status == 200


def _endings(one: Service, other: Service, rounds: int) -> list[float]:
    taken, token = [], one.token("ana")
    for _ in range(rounds):
        grant = one.grant(dataset="long", columns=["who", "x"])
        connection = _connected(other)
        try:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            connection.request("POST", "/v1/reads", dumps({"dataset": "long", "grant": grant}), headers)
            answer = connection.getresponse()
            answer.read(1)
            answered = _revoke(one, grant)
            try:
                while answer.read(2**20):
                    pass
            except HTTPException:
                taken.append(time.perf_counter() - answered)
        finally:
            connection.close()
    assert taken, "every stream was over before its grant was revoked"
    return taken


def _revoke(service: Service, grant: str) -> float:
    """When the answer to the revocation had come."""
    answer = service.call("POST", f"/v1/grants/{grant}:revoke", "eve", json={"why": "a measurement"})
    answered = time.perf_counter()
    assert answer.status_code == 200, answer.text
    return answered


def _connected(service: Service) -> HTTPConnection:
    address = urlsplit(service.url)
    assert address.hostname
    return HTTPConnection(address.hostname, address.port, timeout=60)
