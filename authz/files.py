"""The files that a dataset lies in, pinned as they were found: what is read later is these, or nothing."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from policy.catalog import files_of

from .errors import StoreFailed

MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class File:
    """A file by its real path, and what tells it from one that was put or written in its place."""

    path: str
    device: int
    inode: int
    size: int
    modified: int
    changed: int

    def is_unchanged(self) -> bool:
        """Whether the same file with the same content is still there, as far as a look at it tells."""
        try:
            return _pinned(self.path) == self
        except OSError:
            return False


def root_of(location: str, folder: Path) -> Path:
    """The real folder that a location cannot lead out of: all of it before its first wildcard, less a file's name."""
    parts = Path(location).parts
    fixed = next((n for n, part in enumerate(parts) if MAGIC.intersection(part)), len(parts) - 1)
    return Path(os.path.realpath(folder.joinpath(*parts[:fixed])))


def pin(location: str, folder: Path) -> tuple[File, ...]:
    """The files that `location` matches now, sorted; raises `StoreFailed` where any of them may not be read.

    A link may lead elsewhere below the location's own folder, never out of it: there, columns mean something else.
    """
    root = root_of(location, folder)
    paths = sorted({os.path.realpath(path) for path in files_of(location, folder)})
    if not paths:
        raise StoreFailed("no file of the dataset is there")
    for path in paths:
        _check(path, root)
    try:
        return tuple(_pinned(path) for path in paths)
    except OSError:
        raise StoreFailed("a file of the dataset vanished") from None


def _check(path: str, root: Path) -> None:
    if not Path(path).is_relative_to(root):
        raise StoreFailed("a file of the dataset is a link that leads out of the dataset's folder")
    # DuckDB would take the name for a pattern and read other files, or the same one twice.
    if MAGIC.intersection(path):
        raise StoreFailed("a file of the dataset has `*`, `?` or `[` in its name or folder; rename it")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise StoreFailed("a file of the dataset has a name that is not UTF-8; rename it") from None


def _pinned(path: str) -> File:
    found = os.stat(path, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(path)
    return File(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
