"""The rows of one read, as `pyarrow` knows them, with the receipt that the gateway gave for it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import ipc

from .connection import ArrowBody
from .errors import GatewayFault, Misuse, NotInstalled

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the gateway said before the rows: the read's id, its grant, its entry in the ledger.

    `rows` is the filter that was applied, `limit` the number of rows at which a limit or the budget cuts,
    `limit_subjects` how many people more than the grant has met may come; before the first row of one more it is cut.
    """

    read: str | None
    grant: str | None
    entry: int | None
    rows: str | None
    limit: str | None
    limit_subjects: str | None = None


class RowReader(ipc.RecordBatchStreamReader):  # type: ignore[misc]
    """A `pyarrow.RecordBatchReader` over rows that arrive while it is read, once; memory stays flat.

    Whatever takes such a reader takes this one: `duckdb.from_arrow(reader)`, `polars.DataFrame(reader)`,
    `pyarrow.dataset.write_dataset(reader, …)`. Raises `remit.BrokenStream` from whichever call meets the end of a
    stream that is not complete; a library that reads it from its own code raises an error of its own that quotes it.
    Closing it early ends the read at the gateway.

    >>> with client.read("events", columns=["x"], rows="x < 500") as reader:
    ...     reader.schema.names, sum(batch.num_rows for batch in reader)
    (['x'], 500)
    """

    receipt: Receipt

    def __init__(self, body: ArrowBody) -> None:
        self._body = body
        try:
            super().__init__(body)
        except pa.ArrowInvalid as error:
            body.close()
            raise GatewayFault("what arrived is not an Arrow stream; check the address in REMIT_URL") from error
        self._begun_at = body.taken
        self.receipt = _receipt_of(body)

    def batches(self, size: int, *, drop_last: bool = False) -> Iterator[pa.RecordBatch]:
        """Record batches of `size` rows each, for a training loop; only the last may have fewer.

        With `drop_last` there is no such last one. Raises `BrokenStream` before a batch that the break cut short.

        >>> reader = client.read("events", columns=["x"])
        >>> [batch.num_rows for batch in reader.batches(300)]
        [300, 300, 300, 100]
        """
        if size < 1:
            raise Misuse(f"a batch of `{size}` rows is none; name a number from 1")
        return _resized(self, size, drop_last=drop_last)

    def to_pandas(self, **options: Any) -> Any:
        """Everything, as a pandas DataFrame. `options` are those of `pyarrow.Table.to_pandas`.

        Raises `NotInstalled` where pandas is missing, `Misuse` where rows have been taken already.

        >>> client.read("events", columns=["x"], limit=3).to_pandas().shape
        (3, 1)
        """
        self._check_whole("pandas", "to_pandas")
        return self.read_all().to_pandas(**options)

    def to_polars(self) -> "pl.DataFrame":
        """Everything, as a polars DataFrame.

        Raises `NotInstalled` where polars is missing, `Misuse` where rows have been taken already.

        >>> client.read("events", columns=["x"], limit=3).to_polars().shape
        (3, 1)
        """
        self._check_whole("polars", "to_polars")
        import polars as pl

        return pl.DataFrame(self.read_all())

    def close(self) -> None:
        """Ends the read; rows that have not arrived yet are given up."""
        super().close()
        self._body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        said = self.receipt
        columns = ", ".join(f"{field.name}: {field.type}" for field in self.schema)
        return f"<remit.RowReader of read {said.read} under grant {said.grant}, entry {said.entry} ({columns})>"

    def _check_whole(self, library: str, method: str) -> None:
        """Refuse now what would give a part of the rows, or cost the rows for nothing."""
        if self._body.taken > self._begun_at:
            raise Misuse(f"rows of this read were taken already, and `{method}` gives all of them; read again")
        try:
            import_module(library)
        except ImportError as error:
            way = f"run `pip install {library}`, or take `.read_all()`, a pyarrow.Table"
            raise NotInstalled(f"`{method}` needs {library}, which is not installed; {way}") from error


def _resized(batches: Iterable[pa.RecordBatch], size: int, *, drop_last: bool) -> Iterator[pa.RecordBatch]:
    waiting: list[pa.RecordBatch] = []
    missing = size
    for batch in batches:
        at = 0
        while batch.num_rows - at >= missing:
            yield _joined([*waiting, batch.slice(at, missing)])
            at, waiting, missing = at + missing, [], size
        if at < batch.num_rows:
            waiting.append(batch.slice(at))
            missing -= batch.num_rows - at
    if waiting and not drop_last:
        yield _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _receipt_of(body: ArrowBody) -> Receipt:
    said = body.headers
    entry = said.get("remit-entry", "")
    return Receipt(
        read=said.get("remit-read"),
        grant=said.get("remit-grant"),
        entry=int(entry) if entry.isascii() and entry.isdigit() else None,
        rows=unquote(said.get("remit-rows", "")) or None,
        limit=said.get("remit-limit"),
        limit_subjects=said.get("remit-limit-subjects"),
    )
