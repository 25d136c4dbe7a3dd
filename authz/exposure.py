"""What is wider in the stores than in the catalog: files that can be read around Remit, and what nobody declared."""

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from policy.catalog import Catalog, files_of

from .files import root_of


@dataclass(frozen=True, slots=True)
class Exposed:
    """A file of a dataset that other users of the machine can read; `mode` is its permission bits."""

    dataset: str
    path: Path
    mode: int


@dataclass(frozen=True, slots=True)
class Undeclared:
    """What a store has and the catalog does not: columns of a dataset (sorted by name)."""

    dataset: str
    columns: tuple[str, ...]


def exposed_files(catalog: Catalog, folder: Path) -> tuple[Exposed, ...]:
    """The datasets' files that others could read around Remit, by dataset and path.

    Others are everybody (the file's last bits) and its group, unless that is its owner's own and nobody else's. They
    must also get through every folder above the file; of a file with a second name elsewhere nobody can tell, so it
    counts. Access lists show in the group's bits. Its owner is not reported: a recorder may read what it wrote.
    """
    return tuple(
        Exposed(dataset.name, path, stat.S_IMODE(found.st_mode))
        for dataset in catalog.datasets.values()
        for path in _real_files(dataset.location, folder)
        if _is_open(path, found := path.stat())
    )


def undeclared_columns(catalog: Catalog) -> tuple[Undeclared, ...]:
    """The columns that a look found and the catalog does not name, by dataset."""
    datasets = catalog.datasets.values()
    return tuple(Undeclared(one.name, tuple(sorted(one.undeclared))) for one in datasets if one.undeclared)


def undeclared_files(catalog: Catalog, folder: Path) -> tuple[Path, ...]:
    """Files beside the datasets' that no location matches and that end like one of theirs, sorted.

    Beside them is the folder that the locations of one store have in common, and all that is below it.
    """
    declared: set[Path] = set()
    found: set[Path] = set()
    for store in catalog.stores:
        locations = [one.location for one in catalog.datasets.values() if one.store == store]
        declared.update(path for location in locations for path in _real_files(location, folder))
        suffixes = {Path(location).suffix for location in locations} - {""}
        for root in _common({root_of(location, folder) for location in locations}):
            found.update(path for path in _below(root) if path.suffix in suffixes)
    return tuple(sorted(found - declared))


def _real_files(location: str, folder: Path) -> list[Path]:
    return sorted({path.resolve() for path in files_of(location, folder)})


def _common(roots: set[Path]) -> set[Path]:
    """One folder above all roots; the roots themselves where only the top of the machine is."""
    if not roots:
        return set()
    common = Path(os.path.commonpath(roots))
    return roots if common == Path(common.anchor) else {common}


def _below(root: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in names)


def _is_open(path: Path, found: os.stat_result) -> bool:
    if found.st_mode & stat.S_IROTH and (found.st_nlink > 1 or _lets_through(path, stat.S_IXOTH)):
        return True
    if not found.st_mode & stat.S_IRGRP or _is_private(found.st_gid, found.st_uid):
        return False
    return found.st_nlink > 1 or _lets_through(path, stat.S_IXOTH, found.st_gid)


def _lets_through(path: Path, bit: int, group: int | None = None) -> bool:
    return all(_is_passable(parent.stat(), bit, group) for parent in path.parents)


def _is_passable(found: os.stat_result, bit: int, group: int | None) -> bool:
    if found.st_gid == group:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & bit)


def _is_private(group: int, owner: int) -> bool:
    """Whether nobody but the owner and root is in the group; a group that has no name is nobody's to vouch for."""
    try:
        members = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(group).gr_mem}
    except KeyError:
        return False
    members.update(user.pw_uid for user in pwd.getpwall() if user.pw_gid == group)
    return members <= {owner, 0}
