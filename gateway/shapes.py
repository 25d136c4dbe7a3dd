"""What the answers look like that routes give as plain JSON, for the API's description.

Closed on purpose: a field that is added to an answer and not here fails the tests.
"""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from audit.entries import Kind


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
    max_rows: int | None = Field(None, ge=1, le=2**53 - 1, description="over the grant's whole life")
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


class AskShape(ScopeShape):
    """A scope that is asked for; whose it is, is the caller where neither `principal` nor `team` is there."""

    starts: AwareDatetime | None = Field(None, description="may be left out with `break_glass` alone, as may `ends`")  # type: ignore[assignment]
    ends: AwareDatetime | None = None  # type: ignore[assignment]
    break_glass: bool = Field(False, description="for an hour at most, at once, and reviewed afterwards")
    renews: str | None = Field(None, description="the grant that this goes on from")


class EffectColumn(Closed):
    """A column, and how much of it would be seen."""

    name: str
    data_class: str = Field(alias="class")
    treatment: Literal["clear", "coarse", "pseudonym", "hidden"]
    sensitivity: Literal["low", "moderate", "high", "critical"]


class EffectDataset(Closed):
    """What would be seen of one dataset, and the rules that let it."""

    columns: list[EffectColumn]
    rules: list[str]


class EffectShape(Closed):
    """What the rules make of a scope, and who must approve it."""

    datasets: dict[str, EffectDataset]
    sensitivity: Literal["low", "moderate", "high", "critical"]
    parties: list[str]


class RefusalShape(Closed):
    """Why the rules do not allow it any more."""

    code: str
    detail: str
    rules: list[str]
    help: str


class ReachShape(Closed):
    """Roughly what a scope reaches, to two digits; null for fewer than 10 people, or where it is withheld."""

    rows: int | None
    subjects: int | None
    withheld: bool = Field(description="the filter names what is hidden: only who decides sees the numbers")


class ApprovalShape(Closed):
    """Who approved; it counts while the request is what they were shown and the rules let them."""

    by: str
    at: AwareDatetime
    comment: str
    counts: bool


class StepShape(Closed):
    """What happened to a request."""

    what: str
    by: str
    at: AwareDatetime
    why: str = ""


class RequestShape(Closed):
    """A request for a scope: as it was asked, as it stands, what the rules make of it, who is missing."""

    id: str
    state: Literal["open", "granted", "denied", "withdrawn", "lapsed"]
    requester: str
    made_at: AwareDatetime
    asked: ScopeShape
    scope: ScopeShape
    effect: EffectShape | None
    refusal: RefusalShape | None
    reach: dict[str, ReachShape]
    shown: str | None = Field(description="the digest of what is shown here: name it to approve")
    missing: list[str]
    approvals: list[ApprovalShape]
    steps: list[StepShape]
    grant: str | None
    renews: str | None
    break_glass: bool
    reviewed_by: str | None
    can: list[str] = Field(description="what the caller can do")


class UsedShape(Closed):
    """What was read of one dataset under one grant; filters count as columns."""

    columns: list[str]
    reads: int = Field(ge=0)
    rows: int = Field(ge=0)
    last_at: AwareDatetime


class GrantDetail(GrantShape):
    """A grant with what it was used for, and what to ask for next."""

    requester: str | None
    request: str | None = Field(description="the request that it was; null for one that an administrator added")
    used: dict[str, UsedShape]
    unused_days: int = Field(ge=0, description="since anybody read under it, or since it started")
    proposal: Literal["keep", "remove"]
    renewal: ScopeShape | None = Field(description="the scope that was really used, for as long again")


class GrantReview(Closed):
    """The grants on the caller's datasets, longest unused first."""

    items: list[GrantDetail]


class GrantRead(Closed):
    """An entry about a read under a grant: that it began, was refused or ended."""

    seq: int
    at: AwareDatetime
    kind: str
    actor: str
    read: str
    dataset: str
    columns: list[str] | None = None
    rows: int | None = None
    ended_by: str | None = None
    code: str | None = None


class GrantReads(Page):
    """Every read under a grant, newest first."""

    items: list[GrantRead]


class PauseShape(Closed):
    """A pause in force, or one that was just lifted."""

    id: str
    kind: Literal["everything", "dataset", "team", "purpose"]
    target: str
    reason: str
    set_by: str
    set_at: AwareDatetime


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


class Acknowledged(Closed):
    """Who is on it."""

    by: str
    at: AwareDatetime
    why: str


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
    state: Literal["open", "acknowledged", "resolved"]
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
    acknowledged: Acknowledged | None


class GrantPage(Page):
    """A page of grants, newest first."""

    items: list[GrantShape]


class RequestPage(Page):
    """A page of requests, newest first."""

    items: list[RequestShape]


class PausePage(Page):
    """The pauses in force."""

    items: list[PauseShape]


class EntryPage(Page):
    """A page of entries."""

    items: list[EntryShape]


class AlertPage(Page):
    """A page of alerts, newest first."""

    items: list[AlertShape]
