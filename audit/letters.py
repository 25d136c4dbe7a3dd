"""What is told about an alert: plain text for people, and the same as fields for machines. Pure.

No data of anybody, no token; what came from outside is made plain.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from .severities import AROUND_REMIT, SEVERAL_EXCESSES, Severity
from .signals import Alert, plain

_LONGEST = 500

Letters = Mapping[str, Any]
"""A letter as it is kept: `title`, `body`, `thread`, and `about`, the fields for machines."""


class Event(StrEnum):
    """What can befall an alert, and the digest, which is of many."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    CONTAINED = "contained"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    DIGEST = "digest"

    @property
    def calls(self) -> bool:
        """Whether somebody has to do something about it."""
        return self in (Event.RAISED, Event.REOPENED)


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter to one channel. `key` stays the same however often it is sent; `thread` is the same for all letters
    about an alert, and of no other; `attempts` counts this one, from 1."""

    id: int
    key: str
    event: Event
    severity: Severity
    title: str
    body: str
    thread: str
    about: Mapping[str, Any]
    at: datetime
    attempts: int

    def link(self, seen_at: str) -> str:
        """The alert's address, where people reach the gateway at `seen_at`; empty for a digest, which is of many."""
        return f"{seen_at}/v1/alerts/{self.about['alert']}" if "alert" in self.about else ""


def letter_of(alert: Alert, event: Event, thread: str, *, by: str = "", why: str = "") -> Letters:
    """What is kept of a letter about `event`, which somebody did (`by`, `why`) where it was not Remit."""
    said = "" if event is Event.RAISED else f"{event}{f' by {plain(by)}' if by else ''}: "
    steps = (("by", plain(by)), ("why", plain(why, _LONGEST)))
    return {
        "title": f"{said}{alert.severity} {alert.title}",
        "body": _lines((*steps, *_told(alert))),
        "thread": thread,
        "about": {**_fields(alert), **{name: text for name, text in steps if text}},
    }


def _told(alert: Alert) -> tuple[tuple[str, str], ...]:
    evidence = alert.evidence
    entries = ", ".join(map(str, evidence.entries))
    return (
        ("declared", plain(evidence.declared, _LONGEST) or "nothing"),
        ("asked", plain(evidence.asked, _LONGEST)),
        ("given", evidence.given),
        ("purpose", plain(evidence.purpose)),
        ("classes", plain(", ".join(sorted(alert.data_classes)))),
        ("columns", plain(", ".join(evidence.columns), _LONGEST)),
        ("rules", plain(", ".join(evidence.rules))),
        ("when", f"{alert.first_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("entries", f"{entries} ({alert.count} in all)" if alert.count > len(evidence.entries) else entries),
        ("see", f"`remit alerts show {alert.id}`"),
        ("next", evidence.next),
        ("contain", _containing(alert)),
    )


def _containing(alert: Alert) -> str:
    """The one command that closes the hole; empty where it would close none: a dead channel, files that are open."""
    command = f"`remit alerts contain {alert.id}`"
    if alert.evidence.line == SEVERAL_EXCESSES.name:
        return f"`remit alerts contain {alert.id} --what principal`"
    if alert.grant:
        return f"{command}, or only the grant: `remit alerts contain {alert.id} --what grant`"
    is_hole = alert.severity <= Severity.SEV2 and alert.evidence.line != AROUND_REMIT
    return command if is_hole or alert.evidence.is_excess else ""


def _fields(alert: Alert) -> dict[str, Any]:
    evidence = alert.evidence
    return {
        "alert": alert.id,
        "severity": int(alert.severity),
        "code": plain(alert.code),
        "line": evidence.line,
        "what": alert.title,
        "actor": plain(alert.actor),
        "dataset": plain(alert.dataset) if alert.dataset else None,
        "grant": plain(alert.grant) if alert.grant else None,
        "declared": plain(evidence.declared, _LONGEST),
        "asked": plain(evidence.asked, _LONGEST),
        "given": evidence.given,
        "next": evidence.next,
        "entries": list(evidence.entries),
        "first_at": alert.first_at.isoformat(),
    }


def _lines(told: tuple[tuple[str, str], ...]) -> str:
    return "\n".join(f"{label + ':':<10}{text}" for label, text in told if text)
