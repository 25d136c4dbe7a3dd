"""The catalog: which datasets there are, what each column is, who owns it and who should be able to read it.

A relative `location` stays within the catalog's folder: `..` is refused. An absolute one is taken as written, because a
reviewer sees where it points. Both are patterns of `glob`: `*`, `?`, `[…]`, and `**` for any depth of folders.
"""

import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from .names import ANY, is_within
from .policies import Policies
from .tables import Path as KeyPath
from .tables import Problems, Table, shown
from .taxonomy import DATA_CLASSES, OWN, PURPOSES
from .toml_lines import read_toml
from .values import Attribute, Audience, Column, Dataset, Store

DRIVERS = ("duckdb",)
FIELDS = ("title", "owner", "source", "store", "location", "subject", "occurred_at", "audience", "columns")
UNITS = ("hour", "day", "month")
LARGEST = 2**53
"""Numbers reach the store, JSON and the ledger alike only below this."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """`stores` and `datasets` by name; `file` and `lines` say where each key was written, for later problems."""

    stores: Mapping[str, Store]
    datasets: Mapping[str, Dataset]
    file: str = "catalog.toml"
    lines: Mapping[KeyPath, int] = field(default_factory=lambda: MappingProxyType({}))


def load_catalog(data: bytes, policies: Policies, *, folder: Path | None, file: str = "catalog.toml") -> Catalog:
    """The catalog that `data` describes; column types come with `policy.looks.with_schema`.

    `folder` is what relative locations start from; None for a catalog of the past, whose files may be gone. Raises
    `MisreadAll` with every problem.
    """
    document = read_toml(data, file=file)
    problems = Problems(file, document.lines)
    top = Table(document.values, (), problems)
    top.only(("stores", "datasets"))
    stores = dict(_stores(top))
    datasets = dict(_Reader(top, policies, stores, folder).datasets())
    problems.raise_any()
    return Catalog(MappingProxyType(stores), MappingProxyType(datasets), file, document.lines)


def files_of(location: str, folder: Path) -> tuple[Path, ...]:
    """The files that `location` matches now, sorted; nothing where it points nowhere."""
    matches = glob.glob(location, root_dir=folder, recursive=True)
    return tuple(sorted(path for match in matches if os.path.isfile(path := folder / match)))


def _stores(top: Table) -> Iterator[tuple[str, Store]]:
    for name, value in top.entries("stores", 'describe at least one, like `[stores.files]` with `driver = "duckdb"`'):
        table = top.within("stores", name, value=value, what="a table with a `driver`")
        if table is None or not table.is_named(name):
            continue
        table.only(("driver",))
        driver = table.text("driver", "the driver that opens the store")
        if driver and driver not in DRIVERS:
            near = table.problems.near(driver, DRIVERS) or " or ".join(DRIVERS)
            table.refuse("driver", f"unknown driver `{shown(driver)}`", near)
        yield name, Store(name, driver)


@dataclass(frozen=True, slots=True)
class _Reader:
    top: Table
    policies: Policies
    stores: Mapping[str, Store]
    folder: Path | None

    def datasets(self) -> Iterator[tuple[str, Dataset]]:
        for name, value in self.top.entries("datasets", "a catalog describes at least one dataset"):
            table = self.top.within("datasets", name, value=value, what="a table that describes a dataset")
            if table is not None and table.is_named(name):
                yield name, self._dataset(name, table)

    def _dataset(self, name: str, table: Table) -> Dataset:
        asked = sorted(self.policies.dataset_attributes.difference(FIELDS))
        table.only((*FIELDS, *asked))
        dataset = Dataset(
            name=name,
            owner=table.name("owner", "the name of the team that owns it"),
            store=self._store(table),
            location=self._location(table),
            subject=table.text("subject", "the column that says whose data a row is"),
            title=table.text("title", "a title for people", required=False),
            source=table.text("source", "where it was collected", required=False),
            occurred_at=table.text("occurred_at", "the column that says when it happened", required=False) or None,
            attributes=tuple((key, _attribute(table, key)) for key in asked if table.values.get(key) is not None),
            audience=tuple(self._audience(table)),
            columns=MappingProxyType(dict(self._columns(table))),
        )
        _check_columns(dataset, table)
        return dataset

    def _store(self, table: Table) -> str:
        store = table.text("store", "the name of a store")
        if store and self.stores and store not in self.stores:
            table.refuse("store", f"unknown store `{shown(store)}`", table.problems.near(store, self.stores))
        return store

    def _location(self, table: Table) -> str:
        location = table.text("location", "the files it lies in")
        if ".." in PurePosixPath(location).parts:
            reason = f"location `{shown(location)}` climbs by `..`: write an absolute path if that is meant"
            table.refuse("location", reason)
        elif location and self.folder is not None and not files_of(location, self.folder):
            hint = "no file matches it, seen from the catalog's folder"
            if os.path.isdir(self.folder / location):
                hint = "it is a folder, write which of its files, like `/*.parquet`"
            table.refuse("location", f"location `{shown(location)}` points nowhere: {hint}")
        return location

    def _audience(self, table: Table) -> Iterator[Audience]:
        shape = 'a list like [{ team = "research.ml", purpose = "train_ai_system" }]'
        for index, value in table.items("audience", shape):
            entry = table.within("audience", index, value=value, what="{ team, purpose }")
            if entry is None:
                continue
            entry.only(("team", "purpose"))
            team = entry.name("team", "a team's name", any_too=True)
            purpose = entry.name("purpose", "a purpose's name", any_too=True)
            if purpose not in ("", ANY) and not self.policies.knows_purpose(purpose):
                near = entry.problems.near(purpose, {*self.policies.purposes, *PURPOSES})
                entry.refuse("purpose", f"unknown purpose `{shown(purpose)}`", near)
            yield Audience(team, purpose)

    def _columns(self, table: Table) -> Iterator[tuple[str, Column]]:
        for name, value in table.entries("columns", "name each column that may be read, and its data class"):
            if not name.isprintable() or not name.strip():
                reason = f"`{shown(name)}` is no column's name: it is blank or holds what does not print"
                table.problems.add((*table.path, "columns", name), reason)
                continue
            entry = {"class": value} if isinstance(value, str) else value
            what = "a data class, or { class, coarse }"
            column = table.within("columns", name, value=entry, what=what)
            if column is not None:
                column.only(("class", "coarse"))
                yield name, Column(name, self._class(column), coarse=_coarse(column))

    def _class(self, column: Table) -> str:
        name = column.text("class", "a data class")
        if name and not self.policies.knows_class(name):
            near = column.problems.near(name, {*self.policies.data_classes, *DATA_CLASSES})
            column.refuse("class", f"unknown data class `{shown(name)}`", near)
        elif is_within(name, OWN):
            column.refuse("class", f"`{name}` is Remit's own: no column can be that")
        return name


def _attribute(table: Table, key: str) -> Attribute:
    value = table.values[key]
    if isinstance(value, str):
        return table.text(key, "a text")
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) < LARGEST):
        return value
    table.refuse(key, f"`{table.at(key)}` must be a text, a boolean or a whole number below 2⁵³")
    return ""


def _coarse(column: Table) -> float | int | str | None:
    value = column.values.get("coarse")
    if value is None or (isinstance(value, str) and value in UNITS):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < LARGEST:
        return value
    what = "a width above 0, a length from 1, or one of `hour`, `day` and `month`"
    column.refuse("coarse", f"`{column.at('coarse')}` must be {what}")
    return None


def _check_columns(dataset: Dataset, table: Table) -> None:
    written = table.values.get("columns")
    for key, name in (("subject", dataset.subject), ("occurred_at", dataset.occurred_at)):
        if name and isinstance(written, Mapping) and name not in written:
            reason = f"{key} `{shown(name)}` is not among the columns of `{dataset.name}`"
            table.refuse(key, reason, table.problems.near(name, dataset.columns))
    seen: dict[str, str] = {}
    for name in dataset.columns:
        if (twin := seen.setdefault(name.casefold(), name)) != name:
            reason = f"columns `{shown(twin)}` and `{shown(name)}` differ only in case: a store cannot tell them apart"
            table.problems.add((*table.path, "columns", name), reason)
