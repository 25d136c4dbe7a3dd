"""Scopes that are asked for, from Python: `client.requests.create({…})`, and what the gateway answers about them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field, TypeAdapter

from .answers import GrantedDataset, Page
from .connection import Connection
from .errors import Misuse


@dataclass(frozen=True, slots=True)
class Scope:
    """A declared scope; `rows` of a dataset is a filter in the row language, None for every row."""

    purpose: str
    starts: datetime
    ends: datetime
    principal: str | None = None
    team: str | None = None
    max_rows: int | None = None
    max_subjects: int | None = None
    justification: str = ""
    training_run: str | None = None
    assessment: str | None = None
    datasets: Mapping[str, GrantedDataset] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeenColumn:
    """A column, and how much of it would be seen: `clear`, `coarse`, `pseudonym` or `hidden`."""

    name: str
    treatment: str
    data_class: Annotated[str | None, Field(alias="class")] = None
    sensitivity: str | None = None


@dataclass(frozen=True, slots=True)
class SeenDataset:
    """What would be seen of one dataset, and the rules that let it."""

    columns: tuple[SeenColumn, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """What the rules make of a scope, and the parties who must approve it."""

    datasets: Mapping[str, SeenDataset]
    sensitivity: str
    parties: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the rules do not allow a request any more."""

    code: str
    detail: str
    rules: tuple[str, ...] = ()
    help: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """Roughly how many rows and people; None for fewer than 10 people, or where the numbers are withheld."""

    rows: int | None
    subjects: int | None
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved; it counts while the request is what they were shown and the rules let them."""

    by: str
    at: datetime
    comment: str = ""
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """What happened to a request."""

    what: str
    by: str
    at: datetime
    why: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A scope that was asked for: as it was `asked`, as it stands, its effect, who is `missing`, what the caller `can`.

    `shown` names what is shown here; an approval is of that and of nothing else.
    """

    id: str
    state: str
    requester: str
    made_at: datetime
    asked: Scope
    scope: Scope
    effect: Effect | None = None
    refusal: Refusal | None = None
    reach: Mapping[str, Reach] = field(default_factory=dict)
    shown: str | None = None
    missing: tuple[str, ...] = ()
    approvals: tuple[Approval, ...] = ()
    steps: tuple[Step, ...] = ()
    grant: str | None = None
    renews: str | None = None
    break_glass: bool = False
    reviewed_by: str | None = None
    can: tuple[str, ...] = ()


_REQUEST, _REQUESTS = TypeAdapter(Request), TypeAdapter(Page[Request])


class Requests:
    """What one principal can ask for and decide on; raises as `remit.Client` does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, scope: Mapping[str, object]) -> Request:
        """Asks for a scope: the shape of a scope file, times in RFC 3339; `break_glass` and `renews` may be in it."""
        return self._connection.post("/v1/requests", scope, _REQUEST)

    def all(self, *, everybody: bool = False) -> Iterator[Request]:
        """Requests that the caller made, would read under or has a say in, newest first; or everybody's."""
        return self._connection.every("/v1/requests", _REQUESTS, everybody="true" if everybody else None)

    def get(self, id: str) -> Request:
        """One request as it is now."""
        return self._connection.get(_path(id), _REQUEST)

    def approve(self, request: Request, comment: str = "") -> Request:
        """Approves what `request` shows; refused with `changed` where that is not what it is now."""
        return self._post(request.id, "approve", {"shown": request.shown or "", "comment": comment})

    def narrow(self, request: Request, narrowing: Mapping[str, Any], why: str) -> Request:
        """Makes less of what `request` shows; whoever approved before has to look again."""
        body = {"shown": request.shown or "", "narrowing": dict(narrowing), "why": why}
        return self._post(request.id, "narrow", body)

    def deny(self, id: str, why: str) -> Request:
        """Refuses a request for good."""
        return self._post(id, "deny", {"why": why})

    def withdraw(self, id: str, why: str) -> Request:
        """Takes one's own request back."""
        return self._post(id, "withdraw", {"why": why})

    def review(self, id: str, why: str) -> Request:
        """Closes the review of a grant that was taken without approval."""
        return self._post(id, "review", {"why": why})

    def _post(self, id: str, step: str, body: Mapping[str, object]) -> Request:
        return self._connection.post(f"{_path(id)}:{step}", body, _REQUEST)


def _path(id: str) -> str:
    if id in ("", ".", ".."):
        raise Misuse(f"`{id}` is no id of a request")
    return f"/v1/requests/{quote(id, safe='', errors='replace')}"
