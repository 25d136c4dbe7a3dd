"""Bundles made of texts, without a store behind them: every column has the type that its name says."""

import re
import tempfile
from pathlib import Path

from service import CATALOG, POLICIES

from policy.bundle import Bundle, load_bundle
from policy.catalog import Catalog
from policy.values import ColumnType

INTEGERS = ("x", "y", "key_ms", "dwell_ms")


def bundle_of(policies: str = POLICIES, catalog: str = CATALOG) -> Bundle:
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "policies.conf"), Path(folder, "catalog.toml")
        for file, text in zip(files, (policies, catalog), strict=True):
            file.write_text(text)
        for place in re.findall(r'location = "(.*)/\*\.parquet"', catalog):
            Path(folder, place).mkdir(parents=True, exist_ok=True)
            Path(folder, place, "part.parquet").touch()
        return load_bundle(*files, looked)


def looked(catalog: Catalog) -> dict[str, dict[str, ColumnType]]:
    return {
        name: {column: _type(column, one.occurred_at) for column in one.columns}
        for name, one in catalog.datasets.items()
    }


def _type(column: str, occurred_at: str | None) -> ColumnType:
    if column == occurred_at:
        return ColumnType.TIMESTAMP
    return ColumnType.INTEGER if column in INTEGERS else ColumnType.TEXT
