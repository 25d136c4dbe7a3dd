"""What was in force, and since when: bundles, grants and pauses with their lives, and who was seen. Times are UTC."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from .bundle import Bundle
from .values import Grant, GrantStatus, Pause, Principal, Scope

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BundleLife:
    """A bundle in force from `since` until the next; `bundle` is None where its texts are not understood now."""

    since: datetime
    digest: str
    entry: int
    bundle: Bundle | None


@dataclass(frozen=True, slots=True)
class GrantLife:
    """A grant from `added` on, and what was done to it since, oldest first; `entries` say so."""

    id: str
    scope: Scope
    added: datetime
    changes: tuple[tuple[datetime, GrantStatus], ...] = ()
    entries: tuple[int, ...] = ()

    def at(self, moment: datetime) -> Grant | None:
        """The grant as it was; None before it was added."""
        if moment < self.added:
            return None
        return Grant(self.id, self.scope, _last(self.changes, moment, GrantStatus.ACTIVE))

    @property
    def moments(self) -> tuple[datetime, ...]:
        """When something became of it."""
        return (self.added, self.scope.starts, self.scope.ends, *(at for at, _ in self.changes))


@dataclass(frozen=True, slots=True)
class PauseLife:
    """A pause from `since` until it was lifted; None: it was not."""

    id: str
    pause: Pause
    since: datetime
    until: datetime | None
    entries: tuple[int, ...] = ()

    def holds(self, moment: datetime) -> bool:
        """Whether it was in force."""
        return self.since <= moment and (self.until is None or moment < self.until)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A principal as a token said at that time."""

    at: datetime
    principal: Principal


@dataclass(frozen=True, slots=True)
class Past:
    """What was in force, and who was seen (by name): each oldest first."""

    bundles: tuple[BundleLife, ...] = ()
    grants: tuple[GrantLife, ...] = ()
    pauses: tuple[PauseLife, ...] = ()
    seen: Mapping[str, tuple[Sighting, ...]] = field(default_factory=dict)


def _last(changes: Iterable[tuple[datetime, T]], moment: datetime, before: T) -> T:
    found = before
    for at, value in changes:
        if at <= moment:
            found = value
    return found
