"""What a witness co-signed last, of each log: one file that is replaced whole, under a lock that processes share."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from audit.errors import BadNote
from audit.notes import Checkpoint, Note, decimal
from audit.submissions import address

TIME = b"time "


class MemoryUnfit(Exception):
    """What was kept cannot be read, so nothing may be co-signed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A checkpoint with its log's signatures, and when it was co-signed, in seconds since 1970."""

    note: Note
    at: int

    @property
    def checkpoint(self) -> Checkpoint:
        """What the log said."""
        return Checkpoint.parse(self.note.text)


class Memory:
    """The files of one folder. Faults of the disk are `OSError`; a damaged file is `MemoryUnfit`, never forgotten."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def held(self, origin: str) -> Iterator[None]:
        """Nobody else decides about this log meanwhile, in no thread and no process; a crash lets go of it."""
        with open(self._path(origin, "lock"), "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def latest(self, origin: str) -> Seen | None:
        """What was kept last; None where nothing ever was."""
        path = self._path(origin, "note")
        try:
            time, _, note = path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        try:
            seen = Seen(Note.parse(note), decimal(time.removeprefix(TIME).decode("ascii")))
            known = seen.checkpoint.origin == origin and time.startswith(TIME)
        except (BadNote, UnicodeDecodeError) as fault:
            raise MemoryUnfit(f"`{path}` is damaged; restore its newest version, or start with a new key") from fault
        if not known:
            raise MemoryUnfit(f"`{path}` is not of this log; restore its newest version, or start with a new key")
        return seen

    def keep(self, seen: Seen) -> None:
        """Durable when this returns; a crash anywhere in it leaves what was there before, or all of this."""
        origin = seen.checkpoint.origin
        draft = self._path(origin, "draft")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(TIME + b"%d\n" % seen.at + str(seen.note).encode())
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, self._path(origin, "note"))
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            # Without this a power cut could bring the old name back, and with it the right to sign another history.
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, origin: str, ending: str) -> Path:
        return self._folder / f"{address(origin)}.{ending}"
