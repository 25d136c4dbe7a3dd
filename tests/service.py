"""A real gateway for tests: `remit serve` in a process of its own, with a provider, data and a database."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx2
import pyarrow as pa
from nursery import Copied, Nursery
from ports import free_port

from remit.demo.provider import PEOPLE, Person, Provider

NOW = datetime.now(UTC)
HTTP = httpx2.Client(timeout=60, trust_env=False)

POLICIES = """\
[request_definition]
r = principal, purpose, dataset, data_class, action
[policy_definition]
p = team, purpose, data_class, action, condition, treatment, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = member(r.principal, p.team) && within(r.purpose, p.purpose, p.eft) && within(r.data_class, p.data_class, p.eft) \
&& r.action == p.action && holds(p.condition, p.eft, r.principal, r.dataset)
[data_classes]
user.unique_id             = moderate, identifier
user.behavior.pointer      = low
user.behavior.keystrokes   = high
user.content.screen        = critical
user.workplace.performance = critical
[purposes]
train_ai_system.computer_use = train a model to operate a computer
[conditions]
trained = principal.privacy_training == "current"
[rules]
pointer = research.ml, train_ai_system, user.behavior.pointer, read, trained, clear, allow
who     = research.ml, train_ai_system, user.unique_id, read, trained, pseudonym, allow
keys    = research.ml, train_ai_system, user.behavior.keystrokes, read, trained, coarse, allow
reviews_never = *, train_ai_system, user.workplace.performance, read, -, hidden, deny
trail   = security, oversight, remit.audit, read, -, clear, allow
erases  = privacy, oversight, remit.audit, administer, -, clear, allow
alerts  = security, oversight, remit.alerts, read, -, clear, allow
sees    = on_call, oversight, remit.alerts, read, -, clear, allow
acts    = on_call, oversight, remit.alerts, respond, -, clear, allow
grants  = administration, oversight, remit.grants, administer, -, clear, allow
reload  = administration, oversight, remit.policy, administer, -, clear, allow
sees_grants = security, oversight, remit.grants, read, -, clear, allow
privacy_approves  = privacy, *, user, approve, -, clear, allow
security_approves = security, *, user, approve, -, clear, allow
"""

CATALOG = """\
[stores.files]
driver = "duckdb"
[datasets.events]
owner = "collection.mci"
store = "files"
location = "data/events/*.parquet"
subject = "who"
occurred_at = "at"
audience = [{ team = "research.ml", purpose = "train_ai_system" }]
[datasets.events.columns]
who = "user.unique_id"
at = "user.behavior.pointer"
x = { class = "user.behavior.pointer", coarse = 100 }
key_ms = { class = "user.behavior.keystrokes", coarse = 25 }
screen = "user.content.screen"
review = "user.workplace.performance"
[datasets.long]
owner = "collection.mci"
store = "files"
location = "data/long/*.parquet"
subject = "who"
audience = [{ team = "research.ml", purpose = "train_ai_system" }]
[datasets.long.columns]
who = "user.unique_id"
x = "user.behavior.pointer"
[datasets.nobodys]
owner = "privacy"
store = "files"
location = "data/events/*.parquet"
subject = "who"
[datasets.nobodys.columns]
who = "user.unique_id"
x = "user.behavior.pointer"
"""

EVENTS = """
    SELECT 'e' || (i % 3) AS who, TIMESTAMP '2026-11-02 08:00:00' + INTERVAL (i) SECOND AS at, i::INTEGER AS x,
    (i * 7)::INTEGER AS key_ms, 'screen ' || i AS screen, 'review ' || i AS review, i AS forgotten
    FROM range(1000) numbers (i)
"""
LONG_ROWS = 5_000_000
LONG = f"SELECT 'e' || (i % 200) AS who, i AS x FROM range({LONG_ROWS}) numbers (i)"

STAFF: Mapping[str, Person] = dict(PEOPLE) | {
    "otto": Person(("collection.mci",)),
    "oona": Person(("collection.mci", "privacy")),
    "pia": Person(("privacy",)),
    "bob": Person(("sales",)),
    "una": Person(("research.ml",)),
    "max": Person(("research.ml",), {"privacy_training": "current"}),
    "lea": Person(("research.ml",), {"privacy_training": "current"}),
    "oda": Person(("on_call",)),
    "odo": Person(("on_call",)),
    "kim": Person(("research.ml",), {"privacy_training": "current"}),
    "nia": Person(("research.ml",), {"privacy_training": "current"}),
    "val": Person(("research.ml.vision",), {"privacy_training": "current"}),
    "vic": Person(("research.ml.vision",), {"privacy_training": "current"}),
}
"""ana, max, lea, kim and nia are trained researchers, val and vic too, of a team in theirs; una lacks the attribute,
bob is an outsider; otto and oona own most data, pia and oona are of privacy, the others oversee."""


def make_data(folder: Path) -> None:
    """Writes the policies, the catalog, and the Parquet files that only their owner can read."""
    (folder / "policies.conf").write_text(POLICIES)
    (folder / "catalog.toml").write_text(CATALOG)
    for name, query in {"events": EVENTS, "long": LONG}.items():
        place = folder / "data" / name / "part.parquet"
        place.parent.mkdir(parents=True)
        duckdb.sql(f"COPY ({query}) TO '{place}' (FORMAT parquet)")
        place.chmod(0o600)


@dataclass
class Service:
    """A running gateway; `call` speaks HTTP as one of the staff."""

    folder: Path
    url: str
    provider: Provider
    settings: dict[str, str]
    nursery: Nursery | None = None
    process: "subprocess.Popen[bytes] | Copied" = field(init=False)

    def start(self, wait: bool = True) -> None:
        """Start it, and wait until it is ready."""
        self.process = self._born() if self.nursery is None else self.nursery.born(self.environment, self.folder)
        while wait and not self.is_ready():
            assert self.process.poll() is None, self.log()
            time.sleep(0.05)

    def _born(self) -> "subprocess.Popen[bytes]":
        with (self.folder / "service.log").open("ab") as log:
            command = [sys.executable, "-m", "remit", "serve"]
            return subprocess.Popen(command, env=self.environment, cwd=self.folder, stdout=log, stderr=log)

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("REMIT_")}
        return clean | self.settings

    def is_ready(self) -> bool:
        try:
            return HTTP.get(f"{self.url}/readyz").status_code == 200
        except httpx2.HTTPError:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def log(self) -> str:
        return (self.folder / "service.log").read_text()

    def token(self, who: str, **claims: object) -> str:
        person = STAFF[who]
        return self.provider.issue(who, person.groups, **(dict(person.claims) | claims))

    def call(self, method: str, path: str, who: str | None = "ana", **more: Any) -> httpx2.Response:
        """One request; `who` None sends no token."""
        headers = {} if who is None else {"Authorization": f"Bearer {self.token(who)}"}
        headers |= more.pop("headers", {})
        return HTTP.request(method, self.url + path, headers=headers, **more)

    def read(self, dataset: str = "events", who: str = "ana", **body: object) -> httpx2.Response:
        """`POST /v1/reads`."""
        return self.call("POST", "/v1/reads", who, json={"dataset": dataset, **body})

    def rows(self, dataset: str = "events", who: str = "ana", **body: object) -> pa.Table:
        """The rows of a read that must be permitted."""
        response = self.read(dataset, who, **body)
        assert response.status_code == 200, response.text
        return pa.ipc.open_stream(response.content).read_all()

    def grant(self, **scope: Any) -> str:
        """Put a grant in as an administrator; what is not given is a scope on `events` for ana."""
        response = self.call("POST", "/v1/grants", "eve", json=scope_of(**scope))
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def entries(self, **sought: object) -> list[dict[str, Any]]:
        """The trail as security sees it, newest first."""
        response = self.call("GET", "/v1/audit/entries", "sam", params=sought)
        assert response.status_code == 200, response.text
        return list(response.json()["items"])

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts as on-call sees them now: what was written a moment ago may not be among them yet."""
        response = self.call("GET", "/v1/alerts", "olga")
        assert response.status_code == 200, response.text
        return list(response.json()["items"])


def scope_of(**given: Any) -> dict[str, Any]:
    """A scope as JSON, good for a day around now; `columns` and `rows` are those of dataset `dataset`."""
    dataset = {"columns": given.pop("columns", ["who", "at", "x"])}
    if "rows" in given:
        dataset["rows"] = given.pop("rows")
    scope: dict[str, Any] = {
        "principal": "ana",
        "purpose": "train_ai_system.computer_use",
        "starts": (NOW - timedelta(hours=12)).isoformat(),
        "ends": (NOW + timedelta(hours=12)).isoformat(),
        "justification": "pointer paths for the computer-use model",
        "datasets": {given.pop("dataset", "events"): dataset},
    }
    if "team" in given:
        del scope["principal"]
    return scope | given


@contextmanager
def serving(folder: Path, database_url: str, **settings: str) -> Iterator[Service]:
    """A gateway over fresh data in `folder`, on `database_url` (empty: embedded), until the end of the `with`."""
    make_data(folder)
    with Provider(people=STAFF) as provider:
        service = prepared(folder, database_url, provider, **settings)
        service.start()
        try:
            yield service
        finally:
            if service.process.poll() is None:
                service.stop()


def prepared(
    folder: Path, database_url: str, provider: Provider, nursery: Nursery | None = None, **settings: str
) -> Service:
    """A gateway over the data in `folder`, to be started."""
    address = f"127.0.0.1:{free_port()}"
    own = {
        "REMIT_HOME": str(folder / "home"),
        "REMIT_DATABASE_URL": database_url,
        "REMIT_POLICIES": str(folder / "policies.conf"),
        "REMIT_CATALOG": str(folder / "catalog.toml"),
        "REMIT_LISTEN": address,
        "REMIT_OIDC_ISSUER": provider.url,
        "REMIT_ATTRIBUTE_CLAIMS": "privacy_training,region",
    }
    return Service(folder, f"http://{address}", provider, own | settings, nursery)
