"""What the stores really have of each dataset of a catalog, before anybody reads of it."""

from collections.abc import Mapping
from pathlib import Path

from policy.catalog import Catalog
from policy.values import ColumnType, Dataset

from .errors import StoreFailed
from .files import pin
from .stores import Door
from .treatments import can_name


def look(catalog: Catalog, folder: Path) -> Mapping[str, Mapping[str, ColumnType] | str]:
    """Which columns each dataset has in its store, undeclared ones too: dataset → column → type.

    Or why it cannot be read: its files are damaged, or disagree on a declared column.
    """
    return {name: _looked(dataset, folder) for name, dataset in catalog.datasets.items()}


def _looked(dataset: Dataset, folder: Path) -> Mapping[str, ColumnType] | str:
    try:
        door = Door(pin(dataset.location, folder))
    except StoreFailed as fault:
        return f"dataset `{dataset.name}`: {fault.reason}"
    door.close()
    found = {name: column.type for columns in door.looks.values() for name, column in columns.items()}
    for name in dataset.columns:
        if name in found and name not in door.columns:
            return f"dataset `{dataset.name}`: its files disagree on the type of column `{name}`"
    subject = door.columns.get(dataset.subject)
    if subject is not None and not can_name(subject.arrow):
        return (
            f"dataset `{dataset.name}`: nobody is named by `{dataset.subject}`, which is {subject.arrow} in the store"
        )
    return found
