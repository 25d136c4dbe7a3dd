"""Ways past the gate that were tried once and must stay shut."""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pyarrow as pa
import pytest
from conftest import Database
from opentelemetry import trace
from service import STAFF, Service, make_data, prepared, serving
from starlette.types import ASGIApp
from test_streams import end_of, streaming

from audit.ledger import Ledger
from gateway.app import make_app
from gateway.logs import where_it_broke
from gateway.server import _listen, _open
from gateway.settings import BadSetting, Settings
from gateway.wiring import started
from remit.demo.provider import Provider


def deepest_filter() -> str:
    """A valid filter as deep as the language allows, and wide at every level."""
    text = "x = 1"
    for level in range(62):
        word = " and " if level % 2 else " or "
        text = "(" + word.join([f"x = {n}" for n in range(4)] + [text] + [f"x > {n}" for n in range(4)]) + ")"
    return text


def test_the_deepest_filter_reads_and_leaves_its_end(service: Service) -> None:
    grant = service.grant(columns=["x"], rows=deepest_filter())
    response = service.read(grant=grant, rows=deepest_filter())
    assert response.status_code == 200, response.text
    assert end_of(service, response.headers["Remit-Read"])["kind"] == "read.completed"
    assert "characters" in response.headers["Remit-Rows"]


def test_a_fault_is_logged_without_its_message_and_variables() -> None:
    secret = "Bearer of bad news"
    try:
        raise ValueError(secret)
    except ValueError as fault:
        logged = where_it_broke(None, "error", {"event": "fault", "exc_info": fault})
    assert logged["fault"] == "ValueError"
    assert secret not in str(logged)
    assert "test_hardening.py" in str(logged["frames"])


class Told(trace.TracerProvider):
    """Everything that is traced, as whoever runs a gateway could have it sent away."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        names = self.names

        class Tracer(trace.NoOpTracer):
            def start_span(self, name: str, *args: Any, **named: Any) -> trace.Span:
                names.append(name)
                return super().start_span(name, *args, **named)

        return Tracer()


def test_the_framework_tells_nobody_of_requests(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: told)
    place = Path(tempfile.mkdtemp(dir=folder))
    make_data(place)
    with Provider(people=STAFF) as provider:
        settings = Settings.from_environment(prepared(place, database.url(), provider).settings)
        with started(settings) as parts:
            assert asyncio.run(_status(make_app(parts), "/v1/grants?limit=1")) == 401
    assert told.names == []


async def _status(app: ASGIApp, path: str) -> int:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://gateway") as client:
        return (await client.get(path)).status_code


def test_a_time_beyond_the_calendar_is_a_clear_error(service: Service) -> None:
    response = service.call("GET", "/v1/audit/entries", "sam", params={"from": "0001-01-01T00:00:00+01:00"})
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")


@pytest.fixture
def two(database: Database, folder: Path) -> Iterator[tuple[Service, Service]]:
    """Two gateways on one ledger, each with files of its own that say the same."""
    places = [Path(tempfile.mkdtemp(dir=folder)) for _ in range(2)]
    with serving(places[0], database.url()) as one, serving(places[1], database.url()) as other:
        for name in ("REMIT_OIDC_ISSUER",):
            other.settings[name] = one.settings[name]
        other.provider = one.provider
        other.stop()
        other.start()
        yield one, other


def test_a_bundle_that_one_gateway_puts_in_force_stops_the_others_until_they_have_it(
    two: tuple[Service, Service],
) -> None:
    one, other = two
    grant = one.grant(columns=["x"])
    assert other.read(grant=grant).status_code == 200
    narrower = (one.folder / "policies.conf").read_text().replace("trained, clear, allow", "trained, hidden, allow")
    (one.folder / "policies.conf").write_text(narrower)
    assert one.call("POST", "/v1/policy:reload", "eve").status_code == 200
    refused = other.read(grant=grant)
    assert (refused.status_code, refused.json()["code"]) == (503, "not_recorded")
    (other.folder / "policies.conf").write_text(narrower)
    until = time.monotonic() + 20
    while (response := other.read(grant=grant)).status_code != 200:
        assert time.monotonic() < until, response.text
        time.sleep(0.1)
    assert set(pa.ipc.open_stream(response.content).read_all()["x"].to_pylist()) == {None}


def test_a_revocation_in_one_gateway_holds_in_the_other_at_once(two: tuple[Service, Service]) -> None:
    one, other = two
    grant = one.grant(columns=["x"])
    for _ in range(5):
        assert other.read(grant=grant).status_code == 200
    one.call("POST", f"/v1/grants/{grant}:revoke", "eve", json={"why": "a test"})
    assert other.read(grant=grant).json()["code"] == "revoked"


def test_a_client_that_does_not_read_is_cut_off_when_its_grant_is_revoked(own_service: Service) -> None:
    grant = own_service.grant(dataset="long", columns=["who", "x"])
    with stalled(own_service, grant) as connection:
        own_service.call("POST", f"/v1/grants/{grant}:revoke", "eve", json={"why": "a test"})
        until = time.monotonic() + 20
        while not (ended := own_service.entries(kind="read.interrupted")):
            assert time.monotonic() < until
            time.sleep(0.1)
        assert ended[0]["details"]["ended_by"] == "revoked"
        assert not everything(connection).endswith(b"0\r\n\r\n")


@contextlib.contextmanager
def stalled(service: Service, grant: str) -> Iterator[socket.socket]:
    """A read whose client takes the first bytes and then nothing any more."""
    host, port = service.url.removeprefix("http://").split(":")
    body = f'{{"dataset": "long", "grant": "{grant}"}}'.encode()
    head = (
        f"POST /v1/reads HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {service.token('ana')}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body)
        connection.recv(100)
        time.sleep(1)
        yield connection


def everything(connection: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(1 << 20):
            got = piece
    return got


def test_small_reads_go_on_beside_a_long_one_of_the_same_budget(service: Service) -> None:
    grant = service.grant(dataset="long", columns=["x"], max_rows=2_000_000)
    with streaming(service, dataset="long", grant=grant, limit=1_500_000, columns=["x"]) as response:
        next(response.iter_bytes())
        for _ in range(5):
            assert service.rows("long", grant=grant, limit=5).num_rows == 5


def test_a_spent_budget_is_refused_with_an_entry_also_when_it_was_spent_just_now(service: Service) -> None:
    grant = service.grant(columns=["x"], max_rows=1000)
    token = service.token("ana")

    def read(_: int) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        answer = service.call("POST", "/v1/reads", None, headers=headers, json={"dataset": "events", "grant": grant})
        return 200 if answer.status_code == 200 else {"beyond_budget": 403}[answer.json()["code"]]

    with ThreadPoolExecutor(6) as readers:
        answers = list(readers.map(read, range(6)))
    assert answers.count(200) == 1
    refused = [each for each in service.entries(grant=grant, kind="read.refused") if each["code"] == "beyond_budget"]
    assert len(refused) == 5


def test_filters_that_were_understood_are_never_recorded_under_a_hash_that_can_be_guessed(service: Service) -> None:
    grant = service.grant(columns=["x"])
    refused = service.read(grant=grant, rows="who = 'e1'").json()
    assert refused["code"] == "beyond_columns"
    (entry,) = service.entries(read=refused["read"])
    assert entry["details"]["asked_rows"].startswith("who = 'hmac:")


def test_a_head_of_a_request_that_never_ends_is_cut_off(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 5_000_000)
        with contextlib.suppress(ConnectionError):
            assert connection.recv(100).startswith(b"HTTP/1.1 4")


def test_health_answers_while_the_ledger_is_stuck(own_service: Service, database: Database) -> None:
    grant = own_service.grant(columns=["x"])

    def read() -> None:
        # A gateway that cannot confirm for two seconds what is in force breaks its streams, rightly.
        with contextlib.suppress(httpx2.HTTPError):
            own_service.read(grant=grant)

    with database.engine("owner").connect() as connection:
        connection.exec_driver_sql("SELECT * FROM audit_head FOR UPDATE")
        stuck = [threading.Thread(target=read) for _ in range(140)]
        for each in stuck:
            each.start()
        time.sleep(1)
        assert httpx2.get(f"{own_service.url}/healthz", timeout=60, trust_env=False).status_code == 200
        # The lock was held all the while: nobody can have waited for it.
        connection.exec_driver_sql("SELECT 1")
        connection.rollback()
    for each in stuck:
        each.join()


def test_every_refused_token_is_counted_also_at_a_stop(own_service: Service) -> None:
    for _ in range(15):
        own_service.call("GET", "/v1/datasets", None, headers={"Authorization": "Bearer nonsense"})
    own_service.stop(signal.SIGTERM)
    own_service.start()
    counted = [each["details"].get("refused") for each in own_service.entries(kind="identity.refused")]
    assert counted.count(5) == 1
    assert len(counted) == 11


def test_an_end_that_was_written_is_the_last_word(service: Service) -> None:
    """Rows that would leave after their end was written are never counted, charged or given out."""
    from authz.stream import GovernedStream, StreamEnded

    ends: list[tuple[Any, ...]] = []
    stream = GovernedStream(
        permit=SimpleNamespace(  # type: ignore[arg-type]
            plan=SimpleNamespace(
                grant=SimpleNamespace(id="g", scope=SimpleNamespace(max_rows=None, ends=1)), limit=None, limited_by=None
            ),
            recorded=SimpleNamespace(epoch=1),
        ),
        rows=SimpleNamespace(  # type: ignore[arg-type]
            fetch=lambda epoch: (stream.interrupt("stopping"), epoch)[1], close=lambda: None, settle=dict
        ),
        guard=None,  # type: ignore[arg-type]
        control=SimpleNamespace(is_confirmed=True, state=SimpleNamespace(epoch=1)),  # type: ignore[arg-type]
        grants=None,  # type: ignore[arg-type]
        endings=SimpleNamespace(end=lambda *given, **how: ends.append((given, how))),  # type: ignore[arg-type]
        clock=lambda: 0,  # type: ignore[arg-type,return-value]
        on_end=lambda _: None,
    )
    with pytest.raises(StreamEnded):
        stream.next_batch()
    assert [how["rows"] for _, how in ends] == [0]


def test_an_end_that_is_tried_again_is_never_written_twice(database: Database) -> None:
    """The answer to the first try is lost after the entry was written; the second finds the read closed."""
    from audit.entries import Entry, Kind
    from audit.errors import NotRecorded
    from audit.trail import Query, search
    from authz.endings import Endings

    class LosesOneAnswer(Ledger):
        lost = False

        def append(self, entry: Entry, *, epoch: int | None = None) -> Any:
            recorded = super().append(entry, epoch=epoch)
            if entry.kind is Kind.READ_COMPLETED and not self.lost:
                self.lost = True
                raise NotRecorded("the answer was lost")
            return recorded

    ledger = LosesOneAnswer(database.engine(), gateway="one", clock=lambda: datetime.now(UTC))
    ledger.append(Entry(Kind.READ_AUTHORIZED, "ana", read="r-1"))
    permit = SimpleNamespace(
        read="r-1",
        digest="d",
        principal=SimpleNamespace(name="ana", teams=()),
        plan=SimpleNamespace(dataset=SimpleNamespace(name="events"), purpose="p", grant=SimpleNamespace(id="g")),
    )
    with Endings(ledger, None) as endings:  # type: ignore[arg-type]
        endings.end(permit, Kind.READ_COMPLETED, rows=1, ended_by="end")  # type: ignore[arg-type]
        until = time.monotonic() + 10
        while endings.waiting:
            assert time.monotonic() < until
            time.sleep(0.01)
    kinds = [line.doc["kind"] for line in search(database.engine(), Query(read="r-1")).lines]
    ledger.close()
    assert kinds == ["read.completed", "read.authorized"]


def test_a_gateway_that_lost_its_sessions_and_streams_on_is_not_taken_for_dead(
    own_service: Service, database: Database
) -> None:
    """The database throws every session out; another gateway that starts then leaves the running read alone."""
    grant = own_service.grant(dataset="long", columns=["who", "x"])
    with stalled(own_service, grant):
        with database.engine("owner").connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        time.sleep(1)
        another = Ledger(database.engine(), gateway="another", clock=lambda: datetime.now(UTC))
        missing = another.missing()
        another.close()
    assert not missing


def test_readiness_says_when_the_clock_is_behind_and_so_does_the_answer(
    own_service: Service, database: Database
) -> None:
    grant = own_service.grant(columns=["x"])
    with database.engine("owner").begin() as connection:
        connection.exec_driver_sql("UPDATE audit_head SET at = now() + interval '5 minutes'")
    time.sleep(1.1)
    ready = own_service.call("GET", "/readyz", None)
    assert (ready.status_code, ready.json()["ledger"]) == (503, False)
    refused = own_service.read(grant=grant)
    assert (refused.status_code, refused.json()["code"]) == (503, "not_recorded")
    assert "clock" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REMIT_ALERT_URLS", "foo"),
        ("REMIT_ESCALATION", "nowhere"),
        ("REMIT_ATTRIBUTE_CLAIMS", "a b"),
        ("REMIT_LISTEN", None),
    ],
)
def test_what_stops_a_start_is_said_with_its_setting(own_service: Service, name: str, value: str | None) -> None:
    """Without a value: the address is taken, by the gateway that runs."""
    command = [sys.executable, "-m", "remit", "serve"]
    changed = {name: value, "REMIT_LISTEN": "127.0.0.1:0"} if value else {}
    environment = own_service.environment | changed
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_that_another_gateway_takes_while_this_one_starts_is_said_with_its_setting() -> None:
    with _listen(("127.0.0.1", 0)) as first:
        host, port = first.getsockname()
        with _listen((host, port)) as second:
            first.listen()
            with pytest.raises(BadSetting, match=f"`REMIT_LISTEN` {host}:{port}: address already in use; name another"):
                _open(second, (host, port))


def test_a_misspelt_parameter_never_shows_the_whole_trail(service: Service) -> None:
    for query, said in (("actr=ana", "actor"), ("actor=ana&actor=sam", "twice"), ("bogus=1", "bogus")):
        response = service.call("GET", f"/v1/audit/entries?{query}", "sam")
        assert response.status_code == 400
        assert said in response.text


def test_a_parameter_that_is_not_understood_is_told_with_how_it_is_written(service: Service) -> None:
    told = service.call("GET", "/v1/audit/entries?from=yesterday", "sam").json()
    assert told["detail"] == "`from`: a time is written out, like 2026-11-01T00:00:00Z"
    assert told["help"] == "write it, as /openapi.json describes it"


def test_a_filter_of_too_many_comparisons_is_refused_before_it_keeps_anybody_waiting(service: Service) -> None:
    grant = service.grant(columns=["x"])
    for rows in ("x = 1 or " * 5000 + "x = 1", f"x in ({', '.join(map(str, range(6000)))})"):
        response = service.read(grant=grant, rows=rows)
        assert (response.status_code, response.json()["code"]) == (422, "bad_rows")


def test_a_dataset_that_cannot_be_read_is_refused_with_its_line_in_the_catalog(own_service: Service) -> None:
    (own_service.folder / "data/events/part.parquet").write_bytes(b"no parquet at all")
    response = own_service.call("POST", "/v1/policy:reload", "eve")
    assert response.status_code == 400
    assert "catalog.toml line" in response.json()["detail"]
