"""A file that holds one key: made at first use, mode 0600, and refused where anybody else could have read it."""

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import KeyUnfit

LARGEST = 4096
"""Bytes that are read of a key's file."""


def kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """What the file holds; where there is none, what `make` gives is put there first, durably. Raises `KeyUnfit`."""
    try:
        if not os.path.lexists(path):
            _make(path, make())
        return _read(path)
    except OSError as fault:
        raise _unfit(path, fault) from fault


def read(path: Path) -> bytes:
    """What the file holds. Raises `KeyUnfit`, also where there is none."""
    try:
        return _read(path)
    except OSError as fault:
        raise _unfit(path, fault) from fault


def replace(path: Path, content: bytes) -> None:
    """Put `content` in the place of what the file holds, mode 0600, durably, whole or not at all. Raises `OSError`."""
    with _drafted(path, content) as draft:
        draft.replace(path)


def _make(path: Path, key: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A link appears whole or not at all, and never replaces a key that another process made meanwhile.
    with _drafted(path, key) as draft, suppress(FileExistsError):
        os.link(draft, path)


@contextmanager
def _drafted(path: Path, content: bytes) -> Iterator[Path]:
    """A file beside `path` with `content`, flushed; gone afterwards, and the folder is flushed too."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unfit(path: Path, fault: OSError) -> KeyUnfit:
    if fault.errno == errno.ELOOP:
        return KeyUnfit(f"`{path}` is a link: name the file that it leads to")
    return KeyUnfit(f"`{path}`: {fault.strerror}; it must be readable by this user only")


def _read(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise KeyUnfit(f"`{path}` must be a file that belongs to the user who runs remit")
        if found.st_mode & 0o077:
            raise KeyUnfit(f"`{path}` can be reached by other users: `chmod 600` it, and replace it if it was read")
        return file.read(LARGEST)
