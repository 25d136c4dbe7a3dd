"""How grants were used: which columns, how many reads and rows, when last. Counted from the ledger, behind a cursor.

Each entry counts once, however many gateways count: whoever moves the cursor holds its row. A read counts when it ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, select, text

from audit.entries import Kind
from policy.errors import BadRows
from policy.rows import columns_of, parse

from .tables import GRANT_USAGE

AT_ONCE = 5_000
"""Entries that are looked at in one transaction."""

_HELD = text("SELECT seq FROM usage_cursor FOR UPDATE")
_READS = text(
    """
    SELECT seq, doc ->> 'kind' AS kind, doc ->> 'grant' AS grant_id, doc ->> 'dataset' AS dataset, doc ->> 'at' AS at,
        doc #> '{details,rows}' AS rows, doc #> '{details,columns}' AS columns,
        doc #>> '{details,asked,rows}' AS asked
    FROM audit_entries WHERE seq > :after ORDER BY seq LIMIT :most
    """
)
_MOVED = text("UPDATE usage_cursor SET seq = :seq")
_ADD = text(
    """
    INSERT INTO grant_usage AS own (grant_id, dataset, columns, reads, rows, last_at)
    VALUES (:grant, :dataset, :columns, :reads, :rows, CAST(:at AS timestamptz))
    ON CONFLICT (grant_id, dataset) DO UPDATE SET
        columns = ARRAY(SELECT DISTINCT unnest(own.columns || excluded.columns) ORDER BY 1),
        reads = own.reads + excluded.reads, rows = own.rows + excluded.rows,
        last_at = greatest(own.last_at, excluded.last_at)
    """
)
BEGUN, ENDED = Kind.READ_AUTHORIZED.value, (Kind.READ_COMPLETED.value, Kind.READ_INTERRUPTED.value)


@dataclass(frozen=True, slots=True)
class Used:
    """What was read of one dataset under one grant: columns, how many reads were let through, rows that left."""

    columns: tuple[str, ...]
    reads: int
    rows: int
    last_at: datetime


class Usage:
    """What grants were used for. Faults are SQLAlchemy's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def catch_up(self) -> None:
        """Count everything that the ledger has and was not counted yet."""
        while True:
            with self._engine.begin() as connection:
                if not _count(connection):
                    return

    def of(self, *grants: str) -> dict[str, dict[str, Used]]:
        """For each of these grants, by dataset, what was read up to now."""
        self.catch_up()
        found: dict[str, dict[str, Used]] = {grant: {} for grant in grants}
        query = select(GRANT_USAGE).where(GRANT_USAGE.c.grant_id.in_(grants))
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                found[row.grant_id][row.dataset] = Used(tuple(row.columns), row.reads, row.rows, row.last_at)
        return found


def _count(connection: Connection) -> bool:
    """Count the next entries; whether there may be more."""
    after = int(connection.execute(_HELD).scalar_one())
    rows = connection.execute(_READS, {"after": after, "most": AT_ONCE}).all()
    if not rows:
        return False
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row.grant_id and row.dataset and row.kind in (BEGUN, *ENDED):
            one = sums.setdefault((row.grant_id, row.dataset), {"columns": set(), "reads": 0, "rows": 0})
            one["at"] = row.at
            if row.kind == BEGUN:
                one["reads"] += 1
                one["columns"] |= {_name(each) for each in row.columns or ()} | _filtered(row.asked)
            elif isinstance(row.rows, int):
                one["rows"] += row.rows
    # In one order, so that two who count never wait for each other; the cursor's row sees to that already.
    for (grant, dataset), one in sorted(sums.items()):
        columns = sorted(one["columns"])
        connection.execute(_ADD, {"grant": grant, "dataset": dataset, **one, "columns": columns})
    connection.execute(_MOVED, {"seq": rows[-1].seq})
    return len(rows) == AT_ONCE


def _filtered(rows: str | None) -> frozenset[str]:
    """The columns that a read's own filter names: whoever renews needs those as well."""
    try:
        return columns_of(parse(rows)) if rows else frozenset()
    except BadRows:
        # Written by another version, in a language that was another: such a read counts by its columns alone.
        return frozenset()


def _name(column: Mapping[str, Any]) -> str:
    return str(column["name"])
