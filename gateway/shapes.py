"""What the answers look like that routes give as plain JSON, for the API's description.

Closed on purpose: a field that is added to an answer and not here fails the tests.
"""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from audit.canonical import LARGEST_INTEGER
from audit.entries import Kind
from audit.states import State


class Closed(BaseModel):
    """A shape that has these fields and no others."""

    model_config = ConfigDict(extra="forbid")


class Page(Closed):
    """Where a list goes on: give it as `before`, or as `after` where that was asked."""

    next: str | None


class ScopedDataset(Closed):
    """What a scope says of one dataset: columns, and a filter in the row language."""

    columns: list[str] = Field(min_length=1)
    rows: str = Field("", description="a filter in the row language; every row where left out")


class ScopeShape(Closed):
    """A declared scope; exactly one of `principal` and `team` says whose it is."""

    principal: str | None = Field(None, description="the `sub` of one person's or service's token")
    team: str | None = None
    purpose: str
    starts: AwareDatetime
    ends: AwareDatetime
    max_rows: int | None = Field(None, ge=1, le=LARGEST_INTEGER, description="over the grant's whole life")
    max_subjects: int | None = Field(None, ge=1, le=2**31 - 1, description="people, over the grant's whole life")
    justification: str = Field(min_length=1)
    training_run: str | None = None
    assessment: str | None = None
    datasets: dict[str, ScopedDataset] = Field(min_length=1)


class GrantShape(ScopeShape):
    """A grant: its id, what became of it, what it has used, and the scope as it was approved."""

    id: str
    status: Literal["active", "suspended", "revoked"] = Field(description="what was done to it")
    state: Literal["not_started", "active", "suspended", "revoked", "expired"] = Field(description="what it is now")
    rows_used: int = Field(ge=0)
    subjects_used: int | None = Field(None, ge=0, description="only where there is `max_subjects`")


class Said(Closed):
    """Who said so, when and why."""

    by: str
    at: AwareDatetime
    why: str


class PauseShape(Closed):
    """A pause in force, or one that was just lifted."""

    id: str
    kind: Literal["everything", "dataset", "team", "purpose", "principal"]
    target: str
    reason: str
    set_by: str
    set_at: AwareDatetime
    alert: int | None = Field(description="the alert that it contains")
    proposed: Said | None = Field(description="who wants it lifted; somebody else has to agree")
    lifted: bool


class EntryShape(Closed):
    """An entry of the ledger as it was hashed, beside its number; `details` are the kind's own."""

    seq: int = Field(ge=1)
    at: AwareDatetime
    kind: Kind
    actor: str
    gateway: str
    teams: list[str] | None = None
    read: str | None = None
    dataset: str | None = None
    purpose: str | None = None
    grant: str | None = None
    code: str | None = None
    excess: Literal["beyond", "outside"] | None = None
    digest: str | None = None
    replaced: int | None = Field(None, description="characters that could not be written")
    details: dict[str, Any]


class EvidenceShape(Closed):
    """Declared, asked and given, side by side."""

    declared: str | None
    asked: str | None
    given: str | None
    columns: list[str]
    rules: list[str]


class AlertShape(Closed):
    """An alert with its evidence."""

    id: int
    severity: int = Field(ge=1, le=4)
    state: State
    title: str
    actor: str | None
    dataset: str | None
    grant: str | None
    code: str | None
    purpose: str | None
    data_classes: list[str]
    count: int
    first_at: AwareDatetime
    last_at: AwareDatetime
    entries: list[int]
    evidence: EvidenceShape
    next: str
    acknowledged: Said | None


class StepShape(Closed):
    """What happened to an alert, and the entry that says so."""

    event: str
    state: State
    by: str
    at: AwareDatetime
    why: str
    entry: int
    details: dict[str, Any]


class ActionShape(Closed):
    """What can be done about an alert, as `:contain` takes it and as a command."""

    what: Literal["grant", "principal", "dataset", "team", "purpose", "everything"]
    target: str
    command: str


class HoldShape(Closed):
    """How many accesses must stay refused because of this alert, and how many are open."""

    checks: int
    open_by_rules: int
    open_whole: int


class AlertDetail(AlertShape):
    """An alert with its history, the dataset's owner, what can be done and what must stay closed."""

    owner: str | None
    history: list[StepShape]
    actions: list[ActionShape]
    hold: HoldShape
    url: str


class GrantPage(Page):
    """A page of grants, newest first."""

    items: list[GrantShape]


class PausePage(Page):
    """The pauses in force."""

    items: list[PauseShape]


class EntryPage(Page):
    """A page of entries."""

    items: list[EntryShape]


class AlertPage(Page):
    """A page of alerts, newest first."""

    items: list[AlertShape]
