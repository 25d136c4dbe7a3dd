"""The shapes of requests, and of grants as they were used. Closed on purpose, as those of `shapes`."""

from typing import Literal

from pydantic import AwareDatetime, Field

from .shapes import Closed, GrantShape, Page, ScopeShape


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


class RequestStepShape(Closed):
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
    steps: list[RequestStepShape]
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


class GrantReview(Page):
    """A page of the grants on the caller's datasets, longest unused first."""

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


class RequestPage(Page):
    """A page of requests, newest first."""

    items: list[RequestShape]
