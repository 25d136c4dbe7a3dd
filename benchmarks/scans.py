"""Scans: what a governed read costs beside the same rows from plain DuckDB, in the process and through HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

from service import Service

from authz.guard import Refused
from gateway.parts import Parts
from policy.values import ReadRequest

from .contest import Contest, Goal, Measure, timed
from .gateways import ANA, FILES, caller, file_of, gateway_here, ungoverned
from .place import Place
from .plain import adbc_batches, batches, connect, connect_adbc
from .scale import Scale

HALF = "x < 960"
WHOLE = "decided, recorded, charged to a budget and its end recorded"
FIXED = (
    "The rows themselves come nearly as fast (51 ms against 46 for the filter's); around them are the permission (3), "
    "six charges to the budget (9), whose rows they are (8) and that it is recorded (2), and the end (3). The longer a "
    "scan, the less of that counts; here it takes a twentieth of a second"
)
CLEAR = ("at", "x", "y", "button")
QUOTED = ", ".join(f'"{name}"' for name in CLEAR)


def contests(place: Place, service: Service, scale: Scale) -> Iterator[Contest]:
    """Five: filter beside both of DuckDB's readers, pseudonym with and without dictionaries, and through HTTP."""
    with gateway_here(place, service) as parts:
        yield _filter(parts, file_of(service, "wide"), scale)
        yield _filter_adbc(parts, file_of(service, "wide"), scale)
        for name in FILES:
            yield _pseudonym(parts, name, file_of(service, name), scale)
    yield from _through_http(service, file_of(service, "wide"), scale)


def _filter(parts: Parts, file: Path, scale: Scale) -> Contest:
    return Contest(
        what="governed scan, filter",
        against="plain DuckDB, same output columns",
        goal=Goal("speed", 0.95),
        unit="rows",
        how=f"half of {scale.rows:,} rows, {len(CLEAR)} of 5 columns, as a lazy Arrow stream; ours is {WHOLE}; the "
        "opponent is DuckDB's own Arrow reader, which uses every core",
        cause=FIXED,
        ours=governed(parts, ReadRequest("wide", CLEAR, HALF), scale),
        theirs=plain(_half(file), scale),
    )


def _filter_adbc(parts: Parts, file: Path, scale: Scale) -> Contest:
    connection, sql = connect_adbc(), _half(file)
    return Contest(
        what="governed scan, filter, beside ADBC",
        against="plain DuckDB through its ADBC driver, same output columns",
        goal=Goal("speed", None),
        unit="rows",
        how="the same; the opponent is the reader that Remit used before: in order too, but on one thread",
        ours=governed(parts, ReadRequest("wide", CLEAR, HALF), scale),
        theirs=lambda: timed(
            lambda: sum(batch.num_rows for _ in range(scale.scans) for batch in adbc_batches(connection, sql))
        ),
    )


def _half(file: Path) -> str:
    return f"SELECT {QUOTED} FROM read_parquet('{file}') WHERE {HALF}"


def _pseudonym(parts: Parts, name: str, file: Path, scale: Scale) -> Contest:
    is_bare = name == "bare"
    return Contest(
        what=f"governed scan, pseudonym{', file without dictionaries' if is_bare else ''}",
        against="plain DuckDB with SQL `sha256`",
        goal=Goal("speed", None if is_bare else 2),
        unit="rows",
        how=f"{scale.rows:,} rows of 5,000 people, 2 columns; ours is HMAC-SHA-256 under the grant's key, {WHOLE}"
        + ("; here DuckDB has to hash each row" if is_bare else ""),
        cause=FIXED,
        ours=governed(parts, ReadRequest(name, ("who", "x")), scale),
        theirs=plain(f"SELECT sha256('a key' || who) AS who, x FROM read_parquet('{file}')", scale),
    )


def governed(parts: Parts, request: ReadRequest, scale: Scale) -> Measure:
    """Whole reads: guard, ledger, reader, budget, ledger."""

    def read() -> int:
        permit = parts.guard.authorize(request, ANA)
        assert not isinstance(permit, Refused), permit
        stream = parts.stream(permit)
        rows = sum(batch.num_rows for batch in iter(stream.next_batch, None))
        stream.complete()
        return rows

    return lambda: timed(lambda: sum(read() for _ in range(scale.scans)))


def plain(sql: str, scale: Scale) -> Measure:
    """The same rows without Remit."""
    connection = connect()
    return lambda: timed(lambda: sum(batch.num_rows for _ in range(scale.scans) for batch in batches(connection, sql)))


def _through_http(service: Service, file: Path, scale: Scale) -> Iterator[Contest]:
    body = json.dumps({"dataset": "wide", "columns": CLEAR, "rows": HALF}).encode()
    reader = caller(service.url, {"Authorization": f"Bearer {service.token('ana')}"})
    sql = f"SELECT {QUOTED} FROM wide WHERE {HALF}".encode()
    with ungoverned(file) as url:
        anybody = caller(url, {})
        assert 0.99 < anybody.post("/", sql) / reader.post("/v1/reads", body) < 1.01  # messages are cut elsewhere
        yield Contest(
            what="governed scan through HTTP",
            against="the same Arrow bytes through HTTP, not governed",
            goal=Goal("speed", 0.9),
            unit="bytes",
            how=f"half of {scale.rows:,} rows, {len(CLEAR)} columns, from a process of its own; the opponent is "
            "uvicorn with the same query on plain DuckDB and messages of the same size",
            cause="As for the filter; and each message takes two steps one after the other: a thread fetches it and "
            "asks whether it may leave, the loop sends it",
            ours=lambda: timed(lambda: sum(reader.post("/v1/reads", body) for _ in range(scale.scans))),
            theirs=lambda: timed(lambda: sum(anybody.post("/", sql) for _ in range(scale.scans))),
        )
