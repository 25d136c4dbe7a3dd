"""How soon what is taken back is taken back, with two gateways of one ledger, as their clients see it."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from json import dumps
from statistics import median, quantiles
from urllib.parse import urlsplit

from service import Service, serving

from .contest import Contest, Goal
from .place import Place
from .scale import Scale

BOUND = 0.010
"""Seconds from the answer to a revocation to the first refusal, in 99 of 100."""


def contests(place: Place, scale: Scale) -> Iterator[Contest]:
    """Two: to the first refusal in either gateway, and to the end of a stream that runs in the other."""
    with two(place) as (one, other):
        yield Contest(
            what="revocation to the first refusal, p99",
            against=f"the {BOUND * 1000:.0f} ms of the design",
            goal=Goal("time", 1),
            unit="revocations",
            how=f"{scale.revocations} revocations in each round, in either gateway in turn, while a reader of each "
            "asks again and again; from the answer to the revocation to the later of the two first refusals",
            cause="A read that was sent before the revocation has to be answered first",
            ours=lambda: quantiles(_refusals(one, other, scale.revocations), n=100, method="inclusive")[98],
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


def _refusals(one: Service, other: Service, rounds: int) -> list[float]:
    both, token = (one, other), one.token("ana")
    with ThreadPoolExecutor(2) as threads:
        taken = []
        for number in range(rounds):
            grant = one.grant(columns=["x"])
            begun = threading.Barrier(3)
            readers = [threads.submit(_until_refused, service, token, grant, begun) for service in both]
            begun.wait()
            answered = _revoke(both[number % 2], grant)
            taken.append(max(0.0, *(reader.result() - answered for reader in readers)))
    return taken


def _until_refused(service: Service, token: str, grant: str, begun: threading.Barrier) -> float:
    """Reads again and again; when the first refusal had come."""
    connection = _connected(service)
    try:
        _small(connection, token, grant)
        begun.wait()
        while True:
            try:
                is_read = _small(connection, token, grant)
            except HTTPException:
                connection.close()
                continue
            if not is_read:
                return time.perf_counter()
    finally:
        connection.close()


def _small(connection: HTTPConnection, token: str, grant: str) -> bool:
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
