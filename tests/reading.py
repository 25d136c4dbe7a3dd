"""Plans, permits and Parquet files for the tests of the reader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.parquet as pq

from audit.ledger import Recorded
from authz.doors import Doors
from authz.keys import Keys
from authz.permit import Permit, seal
from authz.reader import Reader, RowStream
from authz.treatments import can_name
from policy.catalog import Catalog
from policy.decision import Allow, PlannedColumn
from policy.rows import parse
from policy.values import (
    Column,
    Dataset,
    DatasetScope,
    Grant,
    Principal,
    ReadRequest,
    Scope,
    Sensitivity,
    Store,
    Treatment,
)

KEYS = Keys(b"k" * 32)
NOW = datetime(2026, 11, 21, tzinfo=UTC)

NOBODYS = "whose"
"""The column of subjects of files that have nothing else which could name somebody."""

Shown = Mapping[str, Treatment]


@dataclass
class Shelf:
    """A folder of Parquet files and a reader over it; `coarse` and `classes` are the catalog's, by column."""

    folder: Path
    location: str = "data/*.parquet"
    reader: Reader = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.reader = Reader(catalog_folder=self.folder, keys=KEYS)

    def put(self, table: pa.Table | Mapping[str, object], name: str = "data/part.parquet", **options: object) -> Path:
        """Write one file. Where nothing in it could name anybody, it gets a column of nobodies."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table = table if isinstance(table, pa.Table) else pa.table(table)
        if not any(map(can_name, table.schema.types)):
            table = table.append_column(NOBODYS, pa.nulls(table.num_rows, pa.string()))
        pq.write_table(table, path, **options)
        return path

    def dataset(
        self, coarse: Mapping[str, float | int | str] | None = None, only: Sequence[str] | None = None
    ) -> Dataset:
        """The dataset as a catalog that names every column of the store would have it."""
        with_doors = Doors(self.folder)
        found = with_doors.door(self.location).columns
        with_doors.close()
        columns = {
            name: Column(name, f"user.{name}", one.type, (coarse or {}).get(name))
            for name, one in found.items()
            if only is None or name in {*only, NOBODYS}
        }
        subject = next(name for name in columns if can_name(found[name].arrow))
        return Dataset("things", "team", "files", self.location, subject, columns=MappingProxyType(columns))

    def permit(
        self,
        columns: Shown | Sequence[str],
        *,
        rows: str = "",
        scope: str = "",
        limit: int | None = None,
        grant: str = "g-1",
        dataset: Dataset | None = None,
    ) -> Permit:
        """A permit as the guard would make it; columns without a treatment are clear."""
        treatments = columns if isinstance(columns, Mapping) else dict.fromkeys(columns, Treatment.CLEAR)
        dataset = dataset or self.dataset()
        plan = Allow(
            dataset,
            granted(grant, tuple(treatments), scope),
            "train",
            tuple(PlannedColumn(dataset.columns[name], one) for name, one in treatments.items()),
            parse(scope) if scope else None,
            parse(rows) if rows else None,
            limit,
            None,
            (),
            (),
            Sensitivity.LOW,
        )
        return seal("r-1", Principal("ana"), ReadRequest("things"), plan, "sha256:0", Recorded(1, NOW, 1))

    def open(self, columns: Shown | Sequence[str], batch_rows: int = 65_536, **asked: object) -> RowStream:
        """Open a read of these columns."""
        return self.reader.open(self.permit(columns, **asked), batch_rows)  # type: ignore[arg-type]

    def read(self, columns: Shown | Sequence[str], **asked: object) -> pa.Table:
        """All rows of such a read."""
        return drained(self.open(columns, **asked))  # type: ignore[arg-type]


def drained(stream: RowStream) -> pa.Table:
    """Everything that a stream gives out."""
    try:
        return pa.Table.from_batches(iter(stream.read_next, None), stream.schema)
    finally:
        stream.close()


def granted(id_: str, columns: tuple[str, ...], rows: str) -> Grant:
    """A grant of one dataset."""
    return Grant(
        id_, Scope("train", NOW, NOW.replace(year=2027), "because", (DatasetScope("things", columns, rows),), "ana")
    )


def catalog_of(*datasets: Dataset) -> Catalog:
    """A catalog of one store of files."""
    return Catalog({"files": Store("files", "duckdb")}, {one.name: one for one in datasets})
