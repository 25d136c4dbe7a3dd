"""A store's types as they stand in a statement; each name is read once, for sqlglot takes half a millisecond to."""

from functools import lru_cache

from sqlglot import exp


def sql_type(name: str) -> exp.DataType:
    """The type that DuckDB calls `name`, for one place of a statement."""
    return _read(name).copy()


@lru_cache(maxsize=256)
def _read(name: str) -> exp.DataType:
    return exp.DataType.build(name, dialect="duckdb")
