"""What a look into the stores adds to a catalog: types of columns, and the columns that nobody declared."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from .catalog import Catalog
from .tables import Problems, shown
from .values import Column, ColumnType, Dataset

FITTING = {
    ColumnType.INTEGER: "a whole number from 2, the width of a bin",
    ColumnType.FLOAT: "a number, the width of a bin",
    ColumnType.DECIMAL: "a number, the width of a bin",
    ColumnType.TEXT: "a whole number, how many characters stay",
    ColumnType.TIMESTAMP: "`hour`, `day` or `month`",
    ColumnType.DATE: "`month`",
}
"""What `coarse` can say of each type and still take something away."""


Look = Mapping[str, ColumnType] | str
"""What a look into a store found of one dataset: its columns and their types, or why it cannot be read."""


def with_schema(catalog: Catalog, looks: Mapping[str, Look]) -> Catalog:
    """The catalog with every column's type and each dataset's `undeclared`.

    `looks` says for each dataset which columns its store has. Raises `MisreadAll` where a declared column is
    not there, cannot be told from another, or does not fit its `coarse` setting, and where a dataset cannot be read.
    """
    problems = Problems(catalog.file, catalog.lines)
    datasets = {name: _completed(one, looks.get(name, {}), problems) for name, one in catalog.datasets.items()}
    problems.raise_any()
    return Catalog(catalog.stores, MappingProxyType(datasets), catalog.file, catalog.lines)


def _completed(dataset: Dataset, look: Look, problems: Problems) -> Dataset:
    if isinstance(look, str):
        problems.add(("datasets", dataset.name, "location"), look)
        return dataset
    happened = look.get(dataset.occurred_at or "", ColumnType.TIMESTAMP)
    if happened not in (ColumnType.TIMESTAMP, ColumnType.DATE):
        reason = f"`{dataset.occurred_at}` is {happened.value} in the store: `occurred_at` must be a time or a date"
        problems.add(("datasets", dataset.name, "occurred_at"), reason)
    columns = {name: replace(one, type=look.get(name, ColumnType.OTHER)) for name, one in dataset.columns.items()}
    undeclared = frozenset(look).difference(columns)
    folded = {name.casefold(): name for name in undeclared}
    for name, column in columns.items():
        path = ("datasets", dataset.name, "columns", name)
        if name not in look:
            reason = f"store `{dataset.store}` has no column `{shown(name)}` for `{dataset.name}`"
            problems.add(path, reason, problems.near(name, undeclared))
        elif (twin := folded.get(name.casefold())) is not None:
            reason = f"the store also has a column `{shown(twin)}`, which differs from `{shown(name)}` only in case"
            problems.add(path, f"{reason}: rename one of them there")
        elif not _fits(column):
            fitting = FITTING.get(column.type)
            reason = f"coarse `{column.coarse}` does not fit `{shown(name)}`, which is {column.type.value} in the store"
            problems.add((*path, "coarse"), f"{reason}: {f'write {fitting}' if fitting else 'leave it out'}")
    return replace(dataset, columns=MappingProxyType(columns), undeclared=undeclared)


def _fits(column: Column) -> bool:
    match column.type, column.coarse:
        case _, None:
            return True
        case ColumnType.INTEGER, int(width):
            return width >= 2
        case (ColumnType.FLOAT | ColumnType.DECIMAL, int() | float()) | (ColumnType.TEXT, int()):
            return True
        case ColumnType.TIMESTAMP, str():
            return True
        case ColumnType.DATE, "month":
            return True
        case _:
            return False
