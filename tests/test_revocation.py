"""What one gateway takes back is taken back in all of them: by the order of the ledger, and in running streams."""

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pyarrow as pa
import pytest
from conftest import Database
from service import Service, serving
from test_streams import drained, end_of, streaming

READERS = 4


@pytest.fixture(scope="module")
def two(module_database: Database, folder: Path) -> Iterator[tuple[Service, Service]]:
    """Two gateways on one ledger, each a process, with files of its own that say the same."""
    places = [Path(tempfile.mkdtemp(dir=folder)) for _ in range(2)]
    with (
        serving(places[0], module_database.url()) as one,
        serving(places[1], module_database.url(), REMIT_OIDC_ISSUER=one.provider.url) as other,
    ):
        other.provider = one.provider
        yield one, other


def read_until_refused(service: Service, grant: str, begun: threading.Barrier) -> str:
    """Read again and again; waits once for everybody else's first read. The code of the refusal."""
    assert service.read(grant=grant, limit=1).status_code == 200
    begun.wait()
    while True:
        # One that was let in just before breaks off.
        with contextlib.suppress(httpx2.HTTPError):
            if (response := service.read(grant=grant, limit=1)).status_code != 200:
                return str(response.json()["code"])


@pytest.mark.parametrize("revoking", [0, 1])
def test_no_read_is_authorised_after_the_revocation_in_any_process(two: tuple[Service, Service], revoking: int) -> None:
    """By the ledger's own order, while readers ask both gateways as fast as they can."""
    grant = two[0].grant(columns=["x"])
    begun = threading.Barrier(READERS + 1)
    with ThreadPoolExecutor(READERS) as threads:
        works = [threads.submit(read_until_refused, two[number % 2], grant, begun) for number in range(READERS)]
        begun.wait()
        revoked = two[revoking].call("POST", f"/v1/grants/{grant}:revoke", "eve", json={"why": "a test"})
        assert revoked.status_code == 200
    assert [work.result() for work in works] == ["revoked"] * READERS
    seqs: dict[str, list[int]] = {}
    for entry in two[0].entries(grant=grant, limit=1000):
        seqs.setdefault(entry["kind"], []).append(entry["seq"])
    assert len(seqs["read.authorized"]) >= READERS
    assert max(seqs["read.authorized"]) < seqs["grant.revoked"][0] < min(seqs["read.refused"])


@pytest.mark.parametrize(("what", "ended_by"), [("revoke", "revoked"), ("suspend", "suspended")])
def test_a_stream_of_one_gateway_ends_with_an_entry_when_another_takes_its_grant_back(
    two: tuple[Service, Service], what: str, ended_by: str
) -> None:
    one, other = two
    grant = one.grant(dataset="long", columns=["who", "x"])
    with streaming(other, grant=grant) as response:
        chunks = response.iter_bytes()
        next(chunks)
        assert one.call("POST", f"/v1/grants/{grant}:{what}", "eve", json={"why": "a test"}).status_code == 200
        _, whole = drained(chunks)
    assert not whole
    end = end_of(one, response.headers["Remit-Read"])
    assert (end["kind"], end["details"]["ended_by"]) == ("read.interrupted", ended_by)
    assert end["details"]["subjects"] == 200


def rows_of(service: Service, grant: str) -> list[int] | str:
    """The rows, or the code of the refusal, or that the stream broke."""
    try:
        response = service.read(grant=grant)
    except httpx2.HTTPError:
        return "broken"
    if response.status_code != 200:
        return str(response.json()["code"])
    return list(pa.ipc.open_stream(response.content).read_all()["x"].to_pylist())


def test_ten_readers_at_two_gateways_get_the_rows_of_no_more_people_than_the_grant_is_for(
    two: tuple[Service, Service],
) -> None:
    grant = two[0].grant(columns=["x"], max_subjects=2)
    with ThreadPoolExecutor(10) as threads:
        got = list(threads.map(rows_of, [*two] * 5, [grant] * 10))
    assert {one for one in got if isinstance(one, str)} <= {"broken", "beyond_budget"}
    assert {x % 3 for one in got if isinstance(one, list) for x in one} <= {0, 1}
    mine = {each["id"]: each for each in two[0].call("GET", "/v1/grants").json()["items"]}[grant]
    assert mine["subjects_used"] == 2
    assert rows_of(two[1], grant) == "beyond_budget"
