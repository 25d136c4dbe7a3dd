"""What the gateway answers about alerts, field by field as its `/openapi.json` names them; times are aware UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import JsonValue

from .answers import Acknowledged


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an alert rests on: the declared scope, what was asked, what was given, the rules that decided."""

    declared: JsonValue = None
    asked: JsonValue = None
    given: JsonValue = None
    columns: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What happened to an alert, the state it led to, who did it and why, and the entry that says so."""

    event: str
    state: str
    by: str
    at: datetime
    why: str = ""
    entry: int | None = None
    details: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """What can be done about an alert: what it suspends or pauses, and the command that does it."""

    what: str
    target: str
    command: str


@dataclass(frozen=True, slots=True)
class Hold:
    """How many accesses must stay refused because of an alert, and how many of them are open."""

    checks: int = 0
    open_by_rules: int = 0
    open_whole: int = 0


@dataclass(frozen=True, slots=True)
class Alert:
    """A SEV: 1 is the worst, 4 the least; `entries` are those it rests on, `next` is what to do about it.

    What comes after `acknowledged` is there where one alert was asked for, and not in a list.
    """

    id: int | str
    severity: int
    state: str
    title: str
    first_at: datetime
    last_at: datetime
    count: int = 1
    actor: str | None = None
    dataset: str | None = None
    grant: str | None = None
    code: str | None = None
    purpose: str | None = None
    data_classes: tuple[str, ...] = ()
    entries: tuple[int, ...] = ()
    evidence: Evidence | None = None
    next: str | None = None
    acknowledged: Acknowledged | None = None
    owner: str | None = None
    history: tuple[Step, ...] = ()
    actions: tuple[Action, ...] = ()
    hold: Hold | None = None
    url: str | None = None
