"""Entries to take away: Parquet with the proof that they are what was signed, checked without a database.

`canonical` is what was hashed; every other column is made of it, for reading, and has to be exactly that.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from .cosignatures import Quorum, counted_note
from .errors import NotProven, NotReadable
from .handed import signed_by
from .head import Session
from .merkle import leaf_hash
from .notes import Checkpoint, Note, Verifier
from .ranges import RangeProof
from .tilestore import StoredTree
from .trail import first_since

ENTRIES, PROOF, CSV = "entries.parquet", "proof", "entries.csv"
ENTRIES_AT_ONCE = 10_000
ROWS = """
    COPY (SELECT seq, canonical FROM audit_entries WHERE seq BETWEEN {} AND {} ORDER BY seq)
    TO STDOUT (FORMAT BINARY)
"""
UNHURRIED = text(
    "SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)"
)
TEXTS = ("kind", "actor", "purpose", "dataset", "grant", "code", "excess", "read", "digest", "gateway")
SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("at", pa.timestamp("us", "UTC")),
        *((name, pa.string()) for name in TEXTS),
        ("teams", pa.list_(pa.string())),
        ("details", pa.string()),
        ("canonical", pa.string()),
        ("leaf", pa.binary(32)),
    ]
)


@dataclass(frozen=True, slots=True)
class Export:
    """What can be taken away: the proof names the entries, `open` reads them."""

    proof: RangeProof
    session: Session

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The entries as they stand in the table, from first to last. Raises `NotReadable` where one is missing."""
        seq, texts = self.proof.first, list[str]()
        with self.session.cursor().copy(ROWS.format(self.proof.first, self.proof.last)) as copy:
            copy.set_types(("int8", "text"))
            for found, canonical in copy.rows():
                if found != seq + len(texts):
                    raise NotReadable(f"entry {seq + len(texts)} is missing; run `remit audit verify`")
                texts.append(canonical)
                if len(texts) == ENTRIES_AT_ONCE:
                    yield batch_of(seq, texts)
                    seq, texts = seq + len(texts), []
        if texts:
            yield batch_of(seq, texts)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection to export from; what the database says is wrong is `NotReadable`."""
    try:
        with engine.connect() as connection:
            yield connection
    except (SQLAlchemyError, psycopg.Error) as fault:
        raise NotReadable(f"the ledger cannot be read: {type(fault).__name__}") from fault


def exported(connection: Connection, quorum: Quorum, since: datetime | None, until: datetime | None) -> Export | None:
    """The signed entries with `since` ≤ time < `until`; None where there are none. Faults are the database's.

    Only what is under a checkpoint that counts can be proven, so what is newer is not exported.
    """
    # An export may take its time: it holds nothing that anybody waits for.
    connection.execute(UNHURRIED)
    counted = counted_note(connection, quorum)
    if counted is None:
        return None
    note = Note.parse(counted.encode())
    size = Checkpoint.parse(note.text).size
    first = 1 if since is None else first_since(connection, since)
    last = size if until is None else min(first_since(connection, until) - 1, size)
    if first > last:
        return None
    session = cast(Session, connection.connection.driver_connection)
    tree = StoredTree.read(session)
    return Export(tree.work(session, lambda node: RangeProof.made(first, last, note, node)), session)


def batch_of(first: int, canonical: Sequence[str]) -> pa.RecordBatch:
    """Entries that follow each other from `first` on, made of their canonical texts alone."""
    documents = [_document(text) for text in canonical]
    columns: dict[str, list[Any]] = {name: [document.get(name) for document in documents] for name in TEXTS}
    columns |= {
        "seq": list(range(first, first + len(canonical))),
        "at": [datetime.fromisoformat(document["at"]) for document in documents],
        "teams": [document.get("teams") for document in documents],
        "details": [json.dumps(document.get("details", {}), ensure_ascii=False) for document in documents],
        "canonical": list(canonical),
        "leaf": [leaf_hash(text.encode()) for text in canonical],
    }
    return pa.RecordBatch.from_pydict(columns, SCHEMA)


def check(folder: Path, keys: Sequence[Verifier]) -> RangeProof:
    """What the export in `folder` proves, if those of `keys` signed it that have to. Raises `NotProven` and `BadNote`.

    Not looked at is anything else in the folder.
    """
    proof = RangeProof.parse(_read(folder / PROOF))
    signed_by(proof.note, Checkpoint.parse(proof.note.text), keys)
    proof.check(_leaves(folder / ENTRIES, proof.first))
    return proof


def _leaves(path: Path, first: int) -> Iterator[bytes]:
    """The leaves of the entries in a file, whose every column says what was hashed."""
    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(SCHEMA):
                raise NotProven(f"`{path.name}` has other columns than an export")
            for batch in file.iter_batches(ENTRIES_AT_ONCE):
                expected = batch_of(first, batch["canonical"].to_pylist())
                if not batch.equals(expected):
                    raise NotProven(f"`{path.name}`: {_differing(batch, expected)}")
                first += len(batch)
                yield from expected["leaf"].to_pylist()
    except (OSError, pa.ArrowException) as fault:
        raise NotProven(f"`{path}` cannot be read as Parquet: {type(fault).__name__}") from fault


def _differing(batch: pa.RecordBatch, expected: pa.RecordBatch) -> str:
    for name in SCHEMA.names:
        for seq, is_, was in zip(
            expected["seq"].to_pylist(), batch[name].to_pylist(), expected[name].to_pylist(), strict=True
        ):
            if is_ != was:
                return f"`{name}` of entry {seq} is not what was hashed"
    return "it is not what was hashed"


def _document(text: str | None) -> dict[str, Any]:
    try:
        document = json.loads(text or "")
        if isinstance(document, dict) and datetime.fromisoformat(document["at"]).tzinfo:
            return document
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise NotProven("an entry's text is none that the ledger writes") from fault
    raise NotProven("an entry's text is none that the ledger writes")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise NotProven(f"`{path}` cannot be read: {(fault.strerror or str(fault)).lower()}") from fault
