"""Read what you were granted, from Python: `remit.connect(url, token=…).read("pointer_events")`."""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from pydantic import TypeAdapter

from .alerts import Alert
from .answers import Accepted, Check, Dataset, Grant, LedgerKeys, Line, Page, Pause, Reloaded, Told, Whoami
from .connection import Connection, Token, canonical
from .errors import Misuse
from .granted import Granted
from .requests import Requests
from .rows import RowReader
from .subjects import Subjects

DEFAULT_URL = "http://127.0.0.1:8470"
_ALERT, _ALERTS = TypeAdapter(Alert), TypeAdapter(Page[Alert])
_CHECK, _RELOADED = TypeAdapter(Check), TypeAdapter(Reloaded)
_ACCEPTED = TypeAdapter(Accepted)
_PAUSE, _PAUSES = TypeAdapter(Pause), TypeAdapter(Page[Pause])
_TOLD = TypeAdapter(Told)
_LEDGER_KEYS = TypeAdapter(LedgerKeys)
_DATASET, _DATASETS = TypeAdapter(Dataset), TypeAdapter(Page[Dataset])
_GRANT, _GRANTS = TypeAdapter(Grant), TypeAdapter(Page[Grant])
_ENTRIES = TypeAdapter(Page[Line])
_EXPOSURE = TypeAdapter(dict[str, Any])
_WHOAMI = TypeAdapter(Whoami)


def connect(url: str | None = None, *, token: str | None = None, timeout: float = 120.0) -> "Client":
    """A client of the gateway at `url` (else REMIT_URL, else this machine) for the owner of `token`.

    Without `token` it is REMIT_TOKEN, else what `remit login` has kept for this gateway, renewed when it has to be.
    `timeout` is the number of seconds without a byte after which an answer counts as lost. Nothing is sent yet;
    raises `Misuse` where the address or the token cannot be used, `LoginFailed` where a kept login cannot be.

    >>> import remit
    >>> with remit.connect(url, token=token) as client:
    ...     client.read("events", columns=["who", "x"], rows="x < 500").read_all().num_rows
    500
    """
    address = gateway_url(url)
    return Client(Connection(address, token or os.environ.get("REMIT_TOKEN") or _kept(address), timeout))


def gateway_url(url: str | None = None) -> str:
    """`url`, else REMIT_URL, else this machine; raises `Misuse` where it is no address of a gateway."""
    return canonical(url or os.environ.get("REMIT_URL") or DEFAULT_URL)


def _kept(gateway: str) -> Token | None:
    # imported here: whoever brings a token needs none of it
    from .login.renewing import kept_login

    return kept_login(gateway)


class Client:
    """What one principal can ask of one gateway; may be shared between threads, not between processes.

    Every method raises `Refused` where the gateway says no, `Unreachable` where nothing answers and `GatewayFault`
    where the gateway cannot do it. Where no connection came about it is tried twice more, and so is a question that
    changes nothing whose connection broke. A read is never asked again: it may have charged a budget unheard.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.requests = Requests(connection)
        """Scopes that are asked for, and what is decided on them."""
        self.subjects = Subjects(connection)
        """People whose rows were read, and who can be forgotten."""
        self.granted = Granted(connection)
        """What became of grants, and what they were used for."""

    def read(
        self,
        dataset: str,
        *,
        columns: Sequence[str] | None = None,
        rows: str | None = None,
        limit: int | None = None,
        purpose: str | None = None,
        grant: str | None = None,
    ) -> RowReader:
        """The rows, as a `pyarrow.RecordBatchReader`; columns left out are all of the grant's.

        `rows` is a filter in the row language, `limit` the most rows to read, `purpose` the grant's where it is left
        out, `grant` the first of the caller's that permits it. A stream that ends early raises `BrokenStream` from
        the reader.

        >>> reader = client.read("events", columns=["who", "x"], rows="x < 500", limit=10)
        >>> reader.read_all().num_rows
        10
        >>> client.read("events", columns=["screen"])
        Traceback (most recent call last):
        remit.errors.Refused: beyond_columns: columns outside the scope: screen; ...
        """
        asked = _ask(dataset, columns, rows, limit, purpose, grant)
        return RowReader(self._connection.stream("/v1/reads", asked))

    def check(
        self,
        dataset: str,
        *,
        columns: Sequence[str] | None = None,
        rows: str | None = None,
        limit: int | None = None,
        purpose: str | None = None,
        grant: str | None = None,
    ) -> Check:
        """What `read` would get, and why; nothing is read, and that it was asked is recorded.

        >>> found = client.check("events", columns=["who", "x"], rows="x < 500")
        >>> found.decision, [(column.name, column.treatment) for column in found.columns]
        ('allow', [('who', 'pseudonym'), ('x', 'clear')])
        >>> client.check("events", columns=["screen"]).code
        'beyond_columns'
        """
        return self._connection.post("/v1/reads:check", _ask(dataset, columns, rows, limit, purpose, grant), _CHECK)

    def whoami(self) -> Whoami:
        """Who the gateway takes the caller for, and when the token ends."""
        return self._connection.get("/v1/whoami", _WHOAMI)

    def datasets(self) -> Iterator[Dataset]:
        """Every dataset of the catalogue, with what the caller would get of each column.

        >>> [dataset.name for dataset in client.datasets()]
        ['events', 'long', 'nobodys']
        """
        return self._connection.every("/v1/datasets", _DATASETS)

    def dataset(self, name: str) -> Dataset:
        """One dataset of the catalogue.

        >>> [(column.name, column.treatment) for column in client.dataset("events").columns][:2]
        [('who', 'pseudonym'), ('at', 'clear')]
        """
        return self._connection.get(f"/v1/datasets/{_segment(name)}", _DATASET)

    def grants(self, *, everybody: bool = False) -> Iterator[Grant]:
        """The caller's grants, newest first; everybody's, for who may administer them, with `everybody`.

        >>> [(grant.status, list(grant.datasets), grant.max_rows) for grant in client.grants()]
        [('active', ['events'], 100000)]
        """
        return self._connection.every("/v1/grants", _GRANTS, everybody="true" if everybody else None)

    def add_grant(self, scope: Mapping[str, object]) -> Grant:
        """Grants a declared scope: the shape of a scope file, times in RFC 3339."""
        return self._connection.post("/v1/grants", scope, _GRANT)

    def revoke_grant(self, grant: str, why: str) -> Grant:
        """Ends a grant for good; no read is authorised under it from now on. `why` stands in the ledger."""
        return self._connection.post(f"/v1/grants/{_segment(grant)}:revoke", {"why": why}, _GRANT)

    def entries(
        self,
        *,
        actor: str | None = None,
        team: str | None = None,
        dataset: str | None = None,
        purpose: str | None = None,
        code: str | None = None,
        kind: str | None = None,
        grant: str | None = None,
        read: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Line]:
        """Entries of the ledger that match all that is given, newest first, fetched as they are taken."""
        wanted = {"actor": actor, "team": team, "dataset": dataset, "purpose": purpose, "code": code}
        wanted |= {"kind": kind, "grant": grant, "read": read}
        times = {"from": _instant(since, "since"), "to": _instant(until, "until")}
        return self._connection.every("/v1/audit/entries", _ENTRIES, **wanted, **times)

    def entries_after(self, seq: int) -> Page[Line]:
        """The next entries after number `seq`, oldest first, and the number to go on from; none where none is new."""
        return self._connection.get("/v1/audit/entries", _ENTRIES, after=seq)

    def checkpoint(self) -> str:
        """The newest signed statement of the ledger's size and root: a C2SP signed note."""
        return self._connection.text("/v1/audit/checkpoint")

    def proof(self, seq: int) -> str:
        """That entry `seq` is in the ledger, to hand out: a C2SP tlog-proof, which `remit audit check-proof` checks."""
        return self._connection.text(f"/v1/audit/proof/{seq}")

    def ledger_keys(self) -> LedgerKeys:
        """The ledger's name and public keys, as the gateway tells them: compare them over another channel."""
        return self._connection.get("/v1/audit/keys", _LEDGER_KEYS)

    def tell_verdict(self, verdict: Mapping[str, object]) -> Told:
        """Tells on-call that a verified ledger does not hold, which is a SEV1; what the verdict says is in the API."""
        return self._connection.post("/v1/audit/verdicts", verdict, _TOLD)

    def exposure(
        self,
        dataset: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        alert: int | str | None = None,
    ) -> dict[str, Any]:
        """Who could read a dataset from `since` until `until` (now, where left out), and who did: the report as JSON.

        With `alert` it is that alert's dataset, from a day before its first entry, where they are left out.
        """
        times = {"from": _instant(since, "since"), "to": _instant(until, "until")}
        asked = {"dataset": dataset, "alert": None if alert is None else str(alert), **times}
        return self._connection.get("/v1/reports/exposure", _EXPOSURE, **asked)

    def alerts(self) -> Iterator[Alert]:
        """Every alert, newest first."""
        return self._connection.every("/v1/alerts", _ALERTS)

    def alert(self, alert: int | str) -> Alert:
        """One alert with its evidence."""
        return self._connection.get(f"/v1/alerts/{_segment(str(alert))}", _ALERT)

    def acknowledge(self, alert: int | str, why: str) -> Alert:
        """Takes an alert on, in the caller's name."""
        return self._connection.post(f"/v1/alerts/{_segment(str(alert))}:acknowledge", {"why": why}, _ALERT)

    def contain(self, alert: int | str, why: str, *, what: str | None = None, target: str = "") -> Alert:
        """Suspends or pauses what an alert is about; `what` and `target` left out are what it proposes first."""
        asked: dict[str, object] = {"why": why, "target": target}
        asked |= {"what": what} if what else {}
        return self._connection.post(f"/v1/alerts/{_segment(str(alert))}:contain", asked, _ALERT)

    def resolve(self, alert: int | str, why: str) -> Alert:
        """Says that an alert is over; refused while what it was about is still open."""
        return self._connection.post(f"/v1/alerts/{_segment(str(alert))}:resolve", {"why": why}, _ALERT)

    def accept_open(self, alert: int | str, digest: str, why: str) -> Accepted:
        """Accepts by its digest what would be open of what an alert closed; two people have to."""
        asked = {"digest": digest, "why": why}
        return self._connection.post(f"/v1/alerts/{_segment(str(alert))}:accept", asked, _ACCEPTED)

    def pauses(self) -> Iterator[Pause]:
        """Every pause in force."""
        return self._connection.every("/v1/pauses", _PAUSES)

    def lift(self, pause: str, why: str) -> Pause:
        """Proposes to lift a pause, or lifts it where somebody else proposed that; `lifted` says which."""
        return self._connection.post(f"/v1/pauses/{_segment(pause)}:lift", {"why": why}, _PAUSE)

    def accept_policy(self, digest: str, why: str) -> Accepted:
        """Accepts by its digest a bundle that would open what was closed; two people have to."""
        return self._connection.post("/v1/policy:accept", {"digest": digest, "why": why}, _ACCEPTED)

    def reload_policy(self) -> Reloaded:
        """Makes the gateway load its files again; one that is not understood is refused and the last one stays."""
        return self._connection.post("/v1/policy:reload", {}, _RELOADED)

    def close(self) -> None:
        """Closes every connection, also those of readers that are still open."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __repr__(self) -> str:
        return f"<remit.Client of {self._connection.url}>"

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _ask(
    dataset: str,
    columns: Sequence[str] | None,
    rows: str | None,
    limit: int | None,
    purpose: str | None,
    grant: str | None,
) -> dict[str, object]:
    if isinstance(columns, str):
        raise Misuse(f'columns are a list of names; write columns=["{columns}"]')
    asked: dict[str, object] = {"dataset": dataset, "rows": rows, "limit": limit, "purpose": purpose, "grant": grant}
    asked["columns"] = None if columns is None else list(columns)
    return {name: value for name, value in asked.items() if value is not None}


def _segment(name: str) -> str:
    """`name` as one segment of a path, which it cannot leave."""
    if name in ("", ".", ".."):
        raise Misuse(f"`{name}` is no name; give one, or leave it out where it may be")
    return quote(name, safe="", errors="replace")


def _instant(time: datetime | None, name: str) -> str | None:
    if time is None:
        return None
    if time.tzinfo is None:
        raise Misuse(f"`{name}` has no time zone; write it like 2026-11-21T08:00:00Z")
    return time.isoformat()
