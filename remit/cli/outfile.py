"""Where rows go: a file that appears whole or not at all, in the format that its name ends in, or a pipe."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import csv, ipc, parquet

from remit.errors import Misuse

Opens = Callable[[IO[bytes], pa.Schema], Any]
FORMATS: Mapping[str, Opens] = {
    "": ipc.new_stream,
    ".arrow": ipc.new_stream,
    ".arrows": ipc.new_stream,
    ".parquet": parquet.ParquetWriter,
    ".csv": csv.CSVWriter,
}
"""What a file's name ends in, and what writes it; Arrow files are streams, as the gateway sends them."""


def format_of(path: Path) -> Opens:
    """What writes a file of this name; asked before anything is read, for a read costs budget."""
    opens = FORMATS.get(path.suffix.lower())
    if opens is None:
        known = ", ".join(filter(None, FORMATS))
        raise Misuse(f"`{path}` ends in no format that is known; end it in one of {known}")
    return opens


def check_place(path: Path) -> Path:
    """The file that will be replaced, links followed; refused where it is a device, a folder or lies in none."""
    place = path.resolve()
    if place.exists() and not stat.S_ISREG(place.stat().st_mode):
        raise Misuse(f"`{path}` is no ordinary file; name one that can be replaced")
    if not place.parent.is_dir():
        raise Misuse(f"there is no folder `{place.parent}`; make it first")
    return place


@contextmanager
def appearing(place: Path) -> Iterator[IO[bytes]]:
    """A file that is at `place` once the block has ended well, durable and for its owner only; else nothing is."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{place.name[:100]}.", suffix=".part", dir=place.parent)
    except OSError as error:
        raise Misuse(f"`{place.parent}` cannot be written to: {error.strerror}") from error
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _fsync_folder(place.parent)


def _fsync_folder(folder: Path) -> None:
    # without this a power cut could take the name back although the command said that the file is there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
