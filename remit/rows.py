"""The rows of one read, as `pyarrow` knows them, with the receipt that the gateway gave for it."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import ipc

from .connection import ArrowBody
from .errors import GatewayFault


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the gateway said before the rows: the read's id, its grant, its entry in the ledger.

    `rows` is the filter that was applied, `limit` the number of rows at which a limit or the budget cuts.
    """

    read: str | None
    grant: str | None
    entry: int | None
    rows: str | None
    limit: str | None


class RowReader(ipc.RecordBatchStreamReader):  # type: ignore[misc]
    """A `pyarrow.RecordBatchReader` over rows that arrive while it is read.

    Raises `remit.BrokenStream` from whichever call meets the end of a stream that is not complete. Closing it early
    ends the read at the gateway.
    """

    receipt: Receipt

    def __init__(self, body: ArrowBody) -> None:
        self._body = body
        try:
            super().__init__(body)
        except pa.ArrowInvalid as error:
            body.close()
            raise GatewayFault("what arrived is not an Arrow stream; check the address in REMIT_URL") from error
        self.receipt = _receipt_of(body)

    def to_pandas(self, **options: Any) -> Any:
        """Everything, as a pandas DataFrame; needs pandas. `options` are those of `pyarrow.Table.to_pandas`."""
        return self.read_all().to_pandas(**options)

    def to_polars(self) -> Any:
        """Everything, as a polars DataFrame; needs polars."""
        import polars as pl  # type: ignore[import-not-found, unused-ignore]

        return pl.from_arrow(self.read_all())

    def close(self) -> None:
        """Ends the read; rows that have not arrived yet are given up."""
        super().close()
        self._body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _receipt_of(body: ArrowBody) -> Receipt:
    said = body.headers
    entry = said.get("remit-entry", "")
    return Receipt(
        read=said.get("remit-read"),
        grant=said.get("remit-grant"),
        entry=int(entry) if entry.isascii() and entry.isdigit() else None,
        rows=unquote(said.get("remit-rows", "")) or None,
        limit=said.get("remit-limit"),
    )
