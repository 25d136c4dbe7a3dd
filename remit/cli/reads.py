"""`remit check`, `remit read`: what you would get, and the rows."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer
from pyarrow import ipc
from pydantic import TypeAdapter
from rich.progress import BarColumn, FileSizeColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from gateway.encoder import Unencodable
from gateway.encodings import NdjsonEncoder
from policy.amounts import amount
from remit.answers import Check, Problem
from remit.errors import Misuse
from remit.rows import RowReader

from . import options, terminal
from .outfile import Format, appearing, check_place, format_of

PEEK = 20
"""How many rows a person is shown; a table of more is no longer read."""
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
Advance = Callable[[int, int], None]


def check(
    dataset: options.DatasetName,
    columns: options.Columns = None,
    rows: options.Rows = None,
    limit: options.Limit = None,
    purpose: options.Purpose = None,
    grant: options.GrantId = None,
    as_json: options.Json = False,
) -> None:
    """Says what a read would get, and why; nothing is read.

    Exits with 1 where the read would be refused."""
    with options.gateway() as gateway:
        answer = gateway.check(
            dataset, columns=options.names(columns), rows=rows, limit=limit, purpose=purpose, grant=grant
        )
    if as_json:
        terminal.print_json(answer, TypeAdapter(Check))
    elif answer.decision == "allow":
        _show_allowed(dataset, answer)
    if answer.decision == "refuse":
        if not as_json:
            terminal.problem(_problem_of(answer))
        raise typer.Exit(1)


def read(
    dataset: options.DatasetName,
    columns: options.Columns = None,
    rows: options.Rows = None,
    limit: options.Limit = None,
    purpose: options.Purpose = None,
    grant: options.GrantId = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write to this file, in the format of its ending: .parquet, .arrow, .csv, .ndjson …"),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Reads rows into a file, a pipe or a short table.

    With --out the file appears whole or not at all, for you only, in the place of one that is there. After .csv,
    .ndjson and .jsonl may stand .gz or .zst; .arrows is Arrow's stream. A terminal gets a table of the first rows, a
    pipe an Arrow stream, --json one object for each row."""
    target = None if out is None else (check_place(out), format_of(out))
    peeks = target is None and not as_json and sys.stdout.isatty()
    # one row more than is shown tells whether there are more, and spends hardly any budget
    asked = min(limit, PEEK + 1) if peeks and limit is not None else PEEK + 1 if peeks else limit
    with (
        options.gateway() as gateway,
        gateway.read(
            dataset, columns=options.names(columns), rows=rows, limit=asked, purpose=purpose, grant=grant
        ) as reader,
    ):
        if target is not None:
            _to_file(reader, *target, as_json=as_json)
        elif as_json:
            _to_json_lines(reader)
        elif peeks:
            _to_table(reader)
        else:
            _to_pipe(reader, sys.stdout.buffer)


def _to_file(reader: RowReader, place: Path, format: Format, *, as_json: bool) -> None:
    rows = 0
    with appearing(place, format.codec) as file, _progress() as advance:
        encoder = format.encoder(reader.schema)
        file.write(bytes(encoder.begin()))
        for batch in reader:
            for piece in encoder.rows(batch):
                file.write(bytes(piece))
            rows += batch.num_rows
            advance(batch.num_rows, batch.nbytes)
        file.write(bytes(encoder.end()))
    receipt = reader.receipt
    size = place.stat().st_size
    if as_json:
        said = {"file": str(place), "rows": rows, "bytes": size, "read": receipt.read, "grant": receipt.grant}
        said |= {"entry": receipt.entry, "filter": receipt.rows, "limit": receipt.limit}
        terminal.print_json(said | {"limit_subjects": receipt.limit_subjects})
        return
    terminal.note(f"{amount(rows, 'row')} ({amount(size, 'byte')}) in `{place}`")
    _note_receipt(reader)
    if receipt.limit == str(rows):
        terminal.note("cut there, by the limit or by what is left of the budget")


def _to_pipe(reader: RowReader, pipe: IO[bytes]) -> None:
    writer = ipc.new_stream(pipe, reader.schema)
    for batch in reader:
        writer.write_batch(batch)
    # not a `with`: closing writes the end of the stream, and one that broke must not look complete
    writer.close()
    pipe.flush()


def _to_table(reader: RowReader) -> None:
    found = reader.read_all()
    lines = [list(line.values()) for line in found.slice(0, PEEK).to_pylist()]
    terminal.table(reader.schema.names, lines, empty="no rows")
    if found.num_rows > PEEK:
        terminal.note(f"the first {PEEK} rows; --out FILE gets all of them")
    _note_receipt(reader)


def _to_json_lines(reader: RowReader) -> None:
    """As the gateway's NDJSON has them, in ASCII: what somebody typed does not drive a terminal."""
    try:
        encoder = NdjsonEncoder(reader.schema)
    except Unencodable as error:
        raise Misuse(f"{error}; leave the column out, or read into a file that ends in .arrow") from error
    for batch in reader:
        for lines in encoder.rows(batch):
            sys.stdout.write(_NOT_ASCII.sub(_escaped, lines.decode()))


def _escaped(char: re.Match[str]) -> str:
    return json.dumps(char[0])[1:-1]


@contextmanager
def _progress() -> Iterator[Advance]:
    console = terminal.notes()
    columns = (TextColumn("{task.fields[rows]:,} rows"), BarColumn(), FileSizeColumn(), TransferSpeedColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task, rows = bar.add_task("", total=None, rows=0), 0

        def advance(more_rows: int, more_bytes: int) -> None:
            nonlocal rows
            rows += more_rows
            bar.update(task, advance=more_bytes, rows=rows)

        yield advance


def _note_receipt(reader: RowReader) -> None:
    said = reader.receipt
    terminal.note(f"read {said.read} under grant {said.grant}, entry {said.entry} of the ledger")
    if said.rows:
        terminal.note(f"narrowed to {said.rows}")
    if said.limit_subjects:
        more = f"at most {said.limit_subjects} more people may come in it"
        terminal.note(f"{more}; `remit grants show {said.grant}` says whether it was cut there")


def _show_allowed(dataset: str, answer: Check) -> None:
    terminal.say(f"allow: `{dataset}` under grant `{answer.grant}` for {answer.purpose}")
    lines = [(column.name, column.data_class, column.treatment) for column in answer.columns]
    terminal.table(("column", "data class", "you get"), lines, empty="no columns")
    terminal.fields([("rows", answer.rows), ("limit", answer.limit), ("rules", answer.rules)], terminal.out())
    terminal.fields([("lacked", answer.lacked), ("entry", answer.entry)], terminal.out())


def _problem_of(answer: Check) -> Problem:
    return Problem(
        code=answer.code or "refused",
        detail=answer.detail or "",
        entry=answer.entry,
        excess=answer.excess,
        rules=answer.rules,
        help=answer.help or "",
    )
