"""What became of grants, from Python: `client.granted.get(id)` with its use, `reads(id)`, `review()` for owners."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import TypeAdapter

from .answers import GrantedDataset, Page
from .connection import Connection
from .errors import Misuse


@dataclass(frozen=True, slots=True)
class Used:
    """What was read of one dataset under one grant; filters count as columns."""

    columns: tuple[str, ...]
    reads: int
    rows: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class GrantDetail:
    """A grant with what it was used for. `renewal` is the scope that was really used, for as long again."""

    id: str
    status: str
    state: str
    purpose: str
    starts: datetime
    ends: datetime
    principal: str | None = None
    team: str | None = None
    max_rows: int | None = None
    max_subjects: int | None = None
    rows_used: int = 0
    subjects_used: int = 0
    justification: str = ""
    training_run: str | None = None
    assessment: str | None = None
    datasets: Mapping[str, GrantedDataset] = field(default_factory=dict)
    requester: str | None = None
    request: str | None = None
    used: Mapping[str, Used] = field(default_factory=dict)
    unused_days: int = 0
    proposal: str = "keep"
    renewal: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class GrantRead:
    """An entry about a read under a grant: that it began, was refused or ended."""

    seq: int
    at: datetime
    kind: str
    actor: str
    read: str
    dataset: str
    columns: tuple[str, ...] = ()
    rows: int | None = None
    ended_by: str | None = None
    code: str | None = None


_DETAIL, _READS, _REVIEWED = TypeAdapter(GrantDetail), TypeAdapter(Page[GrantRead]), TypeAdapter(Page[GrantDetail])


class Granted:
    """Grants with their use; raises as `remit.Client` does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, grant: str) -> GrantDetail:
        """One grant, whatever became of it."""
        return self._connection.get(_path(grant), _DETAIL)

    def reads(self, grant: str) -> Iterator[GrantRead]:
        """Every read under a grant, newest first, fetched as they are taken."""
        return self._connection.every(f"{_path(grant)}/reads", _READS)

    def review(self) -> tuple[GrantDetail, ...]:
        """The grants on datasets that the caller's teams own, longest unused first."""
        found = self._connection.every("/v1/grants:review", _REVIEWED, "after")
        return tuple(sorted(found, key=lambda each: -each.unused_days))


def _path(grant: str) -> str:
    if grant in ("", ".", ".."):
        raise Misuse(f"`{grant}` is no id of a grant")
    return f"/v1/grants/{quote(grant, safe='', errors='replace')}"
