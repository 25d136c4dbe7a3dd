"""Real gateways to measure: one in a process of its own, one in this process, and the same data without any."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from socket import create_connection
from urllib.parse import urlsplit

import duckdb
from ports import free_port
from service import Service, scope_of, serving

from authz.permit import Permitted
from gateway.parts import Parts
from gateway.settings import Settings
from gateway.wiring import started, utc_now
from policy.scopes import scope_from_json
from policy.values import Principal

from .place import Place
from .scale import Scale

ANA = Principal("ana", teams=("research.ml",), attributes=(("privacy_training", "current"), ("region", "eu")))
EVE = Principal("eve", teams=("administration",))
HERE = Path(__file__).parent
CATALOG = """\
[datasets.{name}]
owner = "collection.mci"
store = "files"
location = "data/{name}/*.parquet"
subject = "who"
occurred_at = "at"
audience = [{{ team = "research.ml", purpose = "train_ai_system" }}]
[datasets.{name}.columns]
who = "user.unique_id"
at = "user.behavior.pointer"
x = "user.behavior.pointer"
y = "user.behavior.pointer"
{last} = "user.behavior.pointer"
"""
FILES = {"wide": "", "bare": ", DICTIONARY_SIZE_LIMIT 1"}
"""The datasets of these rows, and how their files are written: `bare` has no dictionaries."""
GROUPED = "grouped"
"""One more: the same, but a thousand rows of one person after the other."""
PROMPTS = "prompts"
"""And one of a twentieth as many rows, each with a text of about a thousand characters instead of a button."""
DATASETS = {**FILES, GROUPED: "", PROMPTS: ""}
MIXED, IN_TURN = "i * 7919 % 5000", "i // 1000"
BUTTON = "CASE i % 3 WHEN 0 THEN 'left' WHEN 1 THEN 'right' ELSE 'none' END"
PROMPT = " || ".join(f"md5((i * 1000 + {number})::VARCHAR)" for number in range(32))
ROWS = """
    SELECT 'employee-' || ({who}) AS who, TIMESTAMP '2026-11-01' + to_milliseconds(i) AS at,
    (i * 7919 % 1920)::INTEGER AS x, (i * 104729 % 1080)::INTEGER AS y, {value} AS {last} FROM range({rows}) numbers (i)
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """One who keeps a connection open and asks again and again."""

    connection: HTTPConnection
    headers: Mapping[str, str]

    def post(self, path: str, body: bytes) -> int:
        """The bytes of the answer, all of which were read and thrown away."""
        self.connection.request("POST", path, body, {"Content-Type": "application/json", **self.headers})
        answer = self.connection.getresponse()
        buffer, size = bytearray(2**20), 0
        while got := answer.readinto(buffer):
            size += got
        assert answer.status == 200, bytes(buffer[:size])
        return size


def caller(url: str, headers: Mapping[str, str]) -> Caller:
    """A caller of a server that speaks HTTP at `url`."""
    address = urlsplit(url)
    assert address.hostname
    return Caller(HTTPConnection(address.hostname, address.port, timeout=60), headers)


@contextmanager
def gateway(place: Place, database: str, scale: Scale) -> Iterator[Service]:
    """A gateway with datasets of `scale.rows` rows beside those of the tests, and a grant for each to ana."""
    folder = place.subfolder(database)
    with serving(folder, place.database(database).url()) as service:
        for name, option in DATASETS.items():
            file = file_of(service, name)
            file.parent.mkdir()
            duckdb.sql(f"COPY ({_rows(name, scale)}) TO '{file}' (FORMAT parquet{option})")
            file.chmod(0o600)
            with (folder / "catalog.toml").open("a") as catalog:
                catalog.write(CATALOG.format(name=name, last=_last(name)))
        reloaded = service.call("POST", "/v1/policy:reload", "eve")
        assert reloaded.status_code == 200, reloaded.text
        for name in DATASETS:
            service.grant(dataset=name, columns=_columns(name), max_rows=10**12)
        service.grant(dataset="events", columns=["who", "at", "x"], max_rows=10**12)
        yield service


def file_of(service: Service, name: str) -> Path:
    """The file that a dataset of ours lies in."""
    return service.folder / "data" / name / "part.parquet"


def _last(name: str) -> str:
    return "prompt" if name == PROMPTS else "button"


def _columns(name: str) -> list[str]:
    return ["who", "at", "x", "y", _last(name)]


def _rows(name: str, scale: Scale) -> str:
    who = IN_TURN if name == GROUPED else MIXED
    if name == PROMPTS:
        return ROWS.format(rows=scale.rows // 20, who=who, value=PROMPT, last=_last(name))
    return ROWS.format(rows=scale.rows, who=who, value=BUTTON, last=_last(name))


def without_group_commit(service: Service) -> None:
    """Starts the gateway again as one that writes each entry in a transaction of its own."""
    service.stop()
    command = [sys.executable, str(HERE / "one_at_a_time.py"), "serve"]
    with (service.folder / "service.log").open("ab") as log:
        service.process = subprocess.Popen(command, env=service.environment, cwd=service.folder, stdout=log, stderr=log)
    _wait_for(service.url, service.process)
    while service.call("GET", "/readyz").status_code != 200:
        time.sleep(0.05)


@contextmanager
def gateway_here(place: Place, service: Service, name: str = "here") -> Iterator[Parts]:
    """A whole gateway but for HTTP in this process, on a database of its own and the data of `service`."""
    settings = {"REMIT_HOME": str(place.folder / name), "REMIT_DATABASE_URL": place.database(name).url()}
    with started(Settings.from_environment({**service.settings, **settings})) as parts:
        state = parts.control.state
        for name in DATASETS:
            scope = scope_from_json(scope_of(dataset=name, columns=_columns(name), max_rows=10**12))
            under = Permitted(state.bundle, ("grants",), parts.control.refresh().epoch)
            parts.grants.add(scope, by=EVE, at=utc_now(), under=under, records=parts.records)
        yield parts


@contextmanager
def ungoverned(file: Path) -> Iterator[str]:
    """The URL of a server that answers any POST of SQL with its rows, and asks nobody."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(HERE / "ungoverned.py"), str(file), str(port)])
    try:
        _wait_for(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    address = urlsplit(url)
    while True:
        assert process.poll() is None, f"{process.args} ended"
        try:
            create_connection((address.hostname, address.port), timeout=5).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
