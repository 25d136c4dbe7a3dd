"""`remit audit export` and `check-export`: entries to take away, with the proof that they are what was signed."""

import getpass
import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remit.errors import Misuse

from . import options, terminal
from .verifying import keys_of, ledger

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from audit.export import Export

Database = Annotated[str | None, typer.Option(metavar="URL", help="Else REMIT_DATABASE_URL, else REMIT_HOME.")]
Keys = Annotated[
    list[str],
    typer.Option(
        "--key", metavar="KEY", help="The ledger's key, or several of which one signed; each witness's has to."
    ),
]


def export(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder for the entries and their proof.")],
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="2026-11-21T08:00:00Z, for one.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to this time.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Also as CSV, which no spreadsheet executes.")] = False,
    database: Database = None,
    as_json: options.Json = False,
) -> None:
    """Writes entries as Parquet, with the proof of them.

    It proves that they are what was signed. That it was done is an entry."""
    from audit.engines import engine_for
    from audit.export import exported, reading
    from gateway.settings import witnesses

    quorum = witnesses(os.environ)
    first, end = options.instant(since, "--from"), options.instant(until, "--to")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Misuse(f"`{out}` is there already; name a new folder")
    with ledger(database) as url:
        engine = engine_for(url)
        try:
            _record(engine, {"from": since, "to": until})
            with reading(engine) as connection:
                found = exported(connection, quorum, first, end)
                if found is None:
                    raise Misuse("no entries of that time are under a checkpoint that counts; wait for the next one")
                _write(found, out, csv=csv)
        finally:
            engine.dispose()
    proof = found.proof
    if as_json:
        terminal.print_json({"first": proof.first, "last": proof.last, "folder": str(out)})
    else:
        terminal.say(f"entries {proof.first:,} to {proof.last:,} are in {out}")


def check_export(
    folder: Annotated[Path, typer.Argument(help="What `remit audit export` wrote.")],
    keys: Keys,
    as_json: options.Json = False,
) -> None:
    """Checks exported entries, without database or service.

    Exits with 1 where they are not what these keys signed."""
    from audit.export import check
    from audit.notes import Checkpoint

    proof = check(folder, keys_of(keys))
    _check_csv(folder)
    size = Checkpoint.parse(proof.note.text).size
    if as_json:
        terminal.print_json({"first": proof.first, "last": proof.last, "size": size, "holds": True})
    else:
        terminal.say(f"entries {proof.first:,} to {proof.last:,} of {size:,} are what was signed, all of them")


def _record(engine: "Engine", asked: dict[str, str | None]) -> None:
    """Looking at the trail is an entry, also for whoever has the database: first written, then looked."""
    from audit.entries import Entry, Kind
    from audit.ledger import Ledger

    ledger = Ledger(engine, gateway=f"export-{os.getpid()}", clock=lambda: datetime.now(UTC))
    try:
        details = {"asked": {"exported": {name: value for name, value in asked.items() if value}}}
        ledger.append(Entry(Kind.AUDIT_READ, f"user:{getpass.getuser()}", dataset="remit.audit", details=details))
    finally:
        ledger.close()


def _write(found: "Export", out: Path, *, csv: bool) -> None:
    import pyarrow.parquet as pq

    from audit.export import CSV, ENTRIES, PROOF, SCHEMA
    from gateway.encodings import CsvEncoder

    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    encoder = CsvEncoder(SCHEMA)
    with ExitStack() as stack:
        parquet = stack.enter_context(pq.ParquetWriter(out / ENTRIES, SCHEMA, compression="zstd"))
        text = stack.enter_context(open(out / CSV, "wb")) if csv else None
        if text:
            text.write(encoder.begin())
        for batch in found.batches():
            parquet.write_batch(batch)
            if text:
                text.writelines(encoder.rows(batch))
    # The proof comes last: a folder without it was not finished.
    (out / PROOF).write_bytes(bytes(found.proof))


def _check_csv(folder: Path) -> None:
    """The CSV, if there is one, says what the proven entries say."""
    import pyarrow.parquet as pq

    from audit.errors import NotProven
    from audit.export import CSV, ENTRIES, SCHEMA
    from gateway.encodings import CsvEncoder

    if not (folder / CSV).exists():
        return
    encoder = CsvEncoder(SCHEMA)

    def pieces() -> Iterator[bytes]:
        yield encoder.begin()
        with pq.ParquetFile(folder / ENTRIES) as file:
            for batch in file.iter_batches():
                yield from encoder.rows(batch)

    with open(folder / CSV, "rb") as text:
        if not all(text.read(len(piece)) == piece for piece in pieces()) or text.read(1):
            raise NotProven(f"`{CSV}` does not say what the proven entries say")
