"""Where rows go: a file that appears whole or not at all, in the format that its name ends in.

The rows come as an Arrow stream, whose end can be seen, and are encoded here by what the gateway encodes with: CSV has
the same guard against formulas, Parquet the same care for what a column brings along.
"""

import os
import secrets
import signal
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any, ClassVar

import pyarrow as pa
from pyarrow import ipc

from gateway.encoder import Encoder, Sink, Unencodable
from gateway.encodings import ArrowEncoder, CsvEncoder, NdjsonEncoder
from gateway.parquet import ParquetEncoder
from remit.errors import Misuse, RemitError

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a command without a word."""
_SHOW_CURSOR = b"\x1b[?25h"


class NotWritten(RemitError):
    """The file could not be written, and nothing of it is there."""


class ArrowFileEncoder:
    """Arrow's file format, which readers open at any place; also known as Feather."""

    content_type: ClassVar[str] = "application/vnd.apache.arrow.file"

    def __init__(self, schema: pa.Schema) -> None:
        self._sink = Sink()
        self._writer = ipc.new_file(pa.PythonFile(self._sink, mode="w"), schema)

    def begin(self) -> bytes:
        """The schema."""
        return self._sink.taken()

    def rows(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        """One message."""
        self._writer.write_batch(batch)
        yield self._sink.taken()

    def end(self) -> bytes:
        """Where each message is, without which no reader opens the file."""
        self._writer.close()
        return self._sink.taken()


@dataclass(frozen=True, slots=True)
class Format:
    """What makes the bytes of a file, and what they are compressed with, if anything."""

    encoder: Callable[[pa.Schema], Encoder]
    codec: str | None = None


_TEXTS: Mapping[str, Callable[[pa.Schema], Encoder]] = {
    ".csv": CsvEncoder,
    ".ndjson": NdjsonEncoder,
    ".jsonl": NdjsonEncoder,
}
_CODECS = {"": None, ".gz": "gzip", ".zst": "zstd"}
FORMATS: Mapping[str, Format] = {
    ".parquet": Format(ParquetEncoder),
    ".arrow": Format(ArrowFileEncoder),
    ".feather": Format(ArrowFileEncoder),
    ".arrows": Format(ArrowEncoder),
    **{text + end: Format(encoder, codec) for text, encoder in _TEXTS.items() for end, codec in _CODECS.items()},
}
"""By the end of a file's name. As Arrow registered them: `.arrow` is its file format, `.arrows` its stream."""


def format_of(path: Path) -> Format:
    """What writes a file of this name; asked before anything is read, for a read costs budget."""
    name = path.name.lower()
    fitting = [end for end in FORMATS if name.endswith(end) and name != end]
    if not fitting:
        raise Misuse(f"`{path}` ends in no format that is known; end it in one of {', '.join(FORMATS)}")
    return FORMATS[max(fitting, key=len)]


def check_place(path: Path) -> Path:
    """The file that will be replaced, links followed; refused where it is a device, a folder or lies in none."""
    place = path.resolve()
    if place.exists() and not stat.S_ISREG(place.stat().st_mode):
        raise Misuse(f"`{path}` is no ordinary file; name one that can be replaced")
    if not place.parent.is_dir():
        raise Misuse(f"there is no folder `{place.parent}`; make it first")
    return place


@contextmanager
def appearing(place: Path, codec: str | None = None) -> Iterator[IO[bytes]]:
    """A file that is at `place` once the block has ended well, durable and for its owner only; else nothing is.

    Raises `NotWritten` where the system does not take it. Killed outright, it leaves a hidden `.part` beside `place`.
    """
    # named before it is made, so that no signal finds a file that nobody knows of
    part = place.with_name(f".remit-{secrets.token_hex(8)}.part")
    try:
        with _leaving_nothing(part):
            with _made(part) as file:
                with _compressed(file, codec) as inner:
                    yield inner
                file.flush()
                os.fsync(file.fileno())
            part.replace(place)
    except OSError as error:
        raise NotWritten(
            f"`{place}` could not be written: {error.strerror or error}; nothing of it is there: make room, or name "
            "another place, and read again"
        ) from error
    except Unencodable as error:
        raise NotWritten(f"{error}; leave the column out, or name a file that ends in .arrow") from error
    _fsync_folder(place.parent)


def _made(part: Path) -> IO[bytes]:
    return os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


@contextmanager
def _compressed(file: IO[bytes], codec: str | None) -> Iterator[IO[bytes]]:
    if codec is None:
        yield file
        return
    # of its own, for it is closed with the compression, and the file has to be synced after that
    with os.fdopen(os.dup(file.fileno()), "wb") as own, pa.output_stream(own, compression=codec) as compressed:
        yield compressed


@contextmanager
def _leaving_nothing(part: Path) -> Iterator[None]:
    """However it ends, `part` is gone; a signal that ends the command ends it within, as the signal does.

    Not by an exception: Python drops one that is raised while it clears an object away, and the command would go on.
    """

    def stop(number: int, _: FrameType | None) -> None:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        with suppress(OSError):
            if os.isatty(2) and os.environ.get("TERM") != "dumb":
                os.write(2, _SHOW_CURSOR)  # a progress bar hides it
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        os._exit(128 + number)  # the first process of a container, which no signal ends by itself

    # what is ignored stays so: `nohup` asked for it
    heeded = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
    before: dict[signal.Signals, Any] = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        part.unlink(missing_ok=True)
        for number, handler in before.items():
            signal.signal(number, handler)


def _fsync_folder(folder: Path) -> None:
    # without this a power cut could take the name back although the command said that the file is there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
