"""What the gateway answers, field by field as its `/openapi.json` names them; times are aware UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field, JsonValue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list, newest first, and the cursor of the next part; None after the last."""

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """What was declared and what was asked, side by side."""

    declared: JsonValue = None
    asked: JsonValue = None


@dataclass(frozen=True, slots=True)
class Problem:
    """An RFC 9457 problem document: why the gateway did not do what was asked."""

    code: str
    title: str = ""
    status: int = 0
    detail: str = ""
    read: str | None = None
    entry: int | None = None
    excess: Compared | None = None
    rules: tuple[str, ...] = ()
    help: str = ""

    def __str__(self) -> str:
        said = f"{self.code}: {self.detail or self.title}"
        return f"{said}; {self.help}" if self.help else said


@dataclass(frozen=True, slots=True)
class AudienceMember:
    """A team and a purpose that the owner of a dataset wants to be able to read it."""

    team: str
    purpose: str


@dataclass(frozen=True, slots=True)
class DatasetColumn:
    """A column, its data class, and what the caller would get of it: `treatment`, because of `why`.

    That is for `purpose`. `rules` decide, or would but for their condition; `lacked` is what conditions did not find.
    """

    name: str
    data_class: Annotated[str | None, Field(alias="class")] = None
    type: str = ""
    sensitivity: str | None = None
    treatment: str | None = None
    why: str | None = None
    purpose: str | None = None
    rules: tuple[str, ...] = ()
    lacked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset of the catalogue as the caller may see it."""

    name: str
    title: str = ""
    owner: str = ""
    source: str = ""
    audience: tuple[AudienceMember, ...] = ()
    columns: tuple[DatasetColumn, ...] = ()


@dataclass(frozen=True, slots=True)
class GrantedDataset:
    """What a grant covers of one dataset; `rows` is a filter in the row language, empty for every row."""

    columns: tuple[str, ...] = ()
    rows: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A declared scope that was approved, what was done to it since, how many rows and subjects it has used."""

    id: str
    status: str
    purpose: str
    starts: datetime
    ends: datetime
    principal: str | None = None
    team: str | None = None
    max_rows: int | None = None
    rows_used: int = 0
    state: str = ""
    max_subjects: int | None = None
    subjects_used: int = 0
    justification: str = ""
    training_run: str | None = None
    assessment: str | None = None
    datasets: Mapping[str, GrantedDataset] = field(default_factory=dict)

    @property
    def rows_left(self) -> int | None:
        """How many rows may still be read under it; None where it has no budget."""
        return None if self.max_rows is None else max(0, self.max_rows - self.rows_used)

    @property
    def subjects_left(self) -> int | None:
        """How many people more may have their rows read under it; None where it has no such budget."""
        return None if self.max_subjects is None else max(0, self.max_subjects - self.subjects_used)


@dataclass(frozen=True, slots=True)
class CheckedColumn:
    """A column of the answer that a read would get, and how much of it."""

    name: str
    data_class: Annotated[str | None, Field(alias="class")] = None
    treatment: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """What a read would get: `decision`, and either the columns, rows and limit, or why not and what to do next."""

    decision: Literal["allow", "refuse"]
    code: str | None = None
    detail: str | None = None
    read: str | None = None
    grant: str | None = None
    purpose: str | None = None
    columns: tuple[CheckedColumn, ...] = ()
    rows: str | None = None
    limit: int | None = None
    limited_by: str | None = None
    rules: tuple[str, ...] = ()
    lacked: tuple[str, ...] = ()
    excess: Compared | None = None
    help: str | None = None
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Who took an alert on, when, and why it is as it is."""

    by: str
    at: datetime
    why: str = ""


@dataclass(frozen=True, slots=True)
class Whoami:
    """Who the gateway takes the caller for: `name` is the token's `sub`, `expires` when the token ends."""

    name: str
    kind: str
    teams: tuple[str, ...]
    attributes: Mapping[str, str | int | bool]
    issuer: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The digest of the bundle that decides from now on, and the entry that says so."""

    digest: str
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A bundle that opens what was closed: by its digest, for which alerts, by whom, and how many it takes."""

    digest: str
    alerts: tuple[int, ...]
    by: tuple[str, ...]
    needed: int


@dataclass(frozen=True, slots=True)
class Told:
    """The entry of the ledger that says what was told."""

    entry: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Reading is paused; `proposed` says who wants it lifted, which takes somebody else as well."""

    id: str
    kind: str
    target: str
    reason: str
    set_by: str
    set_at: datetime
    alert: int | None = None
    proposed: Acknowledged | None = None
    lifted: bool = False


@dataclass(frozen=True, slots=True)
class LedgerKey:
    """A key that signs or signed checkpoints: `status` is `activated` or `retired`."""

    vkey: str
    status: str


@dataclass(frozen=True, slots=True)
class LedgerKeys:
    """The ledger's name, and its keys."""

    origin: str
    items: tuple[LedgerKey, ...]


Line = dict[str, Any]
"""One entry of the ledger: its `seq` and the fields of its canonical document, whatever its kind has."""
