"""How bad an entry of the ledger is: a table read top to bottom, and one rule over several entries.

Pure. A document is what the ledger hashed of an entry: `kind`, `actor`, `at`, the named fields that are not empty,
and `details`. No document makes this raise; a sensitivity that it does not say counts as critical.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from policy.values import Excess, Sensitivity

from .entries import Kind

Document = Mapping[str, object]

SPREAD = 3
"""So many excesses of one principal, no two with the same (dataset, code), within `SPREAD_WITHIN` are a SEV3."""
SPREAD_WITHIN = timedelta(minutes=10)

BY_RULES, WHOLE = "rules", "whole"
"""The two ways in which a hold check asks: of the rules alone, and of the whole path of a read."""

AROUND_REMIT = "store_exposed"
"""The line of what no pause stops: it passes by Remit."""
BEYOND_AUDIENCE = "audience_exceeded"
"""The line of rules that are wider than an audience."""

_BY_NAME = {str(sensitivity): sensitivity for sensitivity in Sensitivity}


class Severity(IntEnum):
    """SEV1 is the worst: the smaller number is the more severe."""

    SEV1 = 1
    SEV2 = 2
    SEV3 = 3
    SEV4 = 4

    def __str__(self) -> str:
        return self.name

    @property
    def pages(self) -> bool:
        """Whether on-call is called at once; SEV4 waits for the owner's digest."""
        return self <= Severity.SEV3


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: `what` is filled with the fields of the entry, `next` says what to do first."""

    name: str
    severity: Severity
    applies: Callable[[Document], bool]
    what: str
    given: str
    next: str


def severity_of(document: Document) -> Severity | None:
    """How bad this entry is by itself; None where it is nothing for on-call, as are all of `alert.*`."""
    line = line_of(document)
    return line.severity if line else None


def line_of(document: Document) -> Line | None:
    """The first line of `TABLE` that applies to this entry."""
    return next((line for line in TABLE if line.applies(document)), None)


def is_excess(document: Document) -> bool:
    """Whether somebody asked too much; `POST /v1/reads:check` is none, or nobody would ask first."""
    kind = str(document.get("kind"))
    return bool(document.get("excess")) and kind != Kind.READ_CHECKED and not kind.startswith("alert.")


def sensitivity_of(document: Document) -> Sensitivity:
    """The highest sensitivity among the classes of what was too much; unsaid or unknown is critical."""
    details = document.get("details")
    said = details.get("sensitivity") if isinstance(details, Mapping) else None
    return _BY_NAME.get(str(said), Sensitivity.CRITICAL)


def _is_unsigned(document: Document) -> bool:
    return document.get("kind") == Kind.CHECKPOINT_REFUSED


def _is_not_verified(document: Document) -> bool:
    return document.get("kind") == Kind.VERIFY_FAILED


def _is_other_history(document: Document) -> bool:
    return document.get("kind") == Kind.WITNESS_REFUSED


def _is_unwitnessed(document: Document) -> bool:
    return document.get("kind") == Kind.WITNESSES_BEHIND


def _is_blind(document: Document) -> bool:
    return document.get("kind") == Kind.ALERTING_BLIND


def _is_undelivered(document: Document) -> bool:
    return document.get("kind") == Kind.DELIVERY_BEHIND


def _is_refused_in_series(document: Document) -> bool:
    details = document.get("details")
    return document.get("kind") == Kind.IDENTITY_REFUSED and isinstance(details, Mapping) and "series" in details


def reopened_by(document: Document) -> int | None:
    """The alert whose hole this entry says is open again; None where it says nothing of the kind."""
    details = document.get("details")
    alert = details.get("alert") if isinstance(details, Mapping) else None
    return alert if _is_open_again(document) and isinstance(alert, int) else None


def _is_open_again(document: Document) -> bool:
    details = document.get("details")
    path = details.get("path") if isinstance(details, Mapping) else None
    return document.get("kind") == Kind.HOLD_OPENED and path != BY_RULES


def _is_open_by_rules(document: Document) -> bool:
    return document.get("kind") == Kind.HOLD_OPENED


def _would_open(document: Document) -> bool:
    return document.get("kind") == Kind.HOLD_WOULD_OPEN


def _is_beyond_audience(document: Document) -> bool:
    return document.get("kind") == Kind.AUDIENCE_EXCEEDED


def _is_exposed(document: Document) -> bool:
    return document.get("kind") == Kind.STORE_EXPOSED


def _is_break_glass(document: Document) -> bool:
    return document.get("kind") == Kind.GRANT_BREAK_GLASS


def _is_review_due(document: Document) -> bool:
    return document.get("kind") == Kind.REVIEW_DUE


def _is_beyond_on_sensitive(document: Document) -> bool:
    is_outside = document.get("excess") == Excess.OUTSIDE
    return is_excess(document) and not is_outside and sensitivity_of(document) >= Sensitivity.HIGH


TABLE = (
    Line(
        "ledger_changed",
        Severity.SEV1,
        _is_unsigned,
        "the ledger is not what was written: nothing of it is signed any more",
        "unknown: somebody changed the record of who read what",
        "pause everything, keep a copy of the database as it is, run `remit audit verify`, and call security",
    ),
    Line(
        "verify_failed",
        Severity.SEV1,
        _is_not_verified,
        "{actor} verified the ledger, and it does not hold",
        "unknown: the record of who read what is not what was written",
        "pause everything, keep a copy of the database as it is, run `remit audit verify` yourself, and call security",
    ),
    Line(
        "other_history",
        Severity.SEV1,
        _is_other_history,
        "a witness has co-signed another history of this ledger: it was set back or rewritten",
        "unknown: what was in the ledger before is gone or changed",
        "pause everything, keep a copy of the database as it is, run `remit audit restore-check`, and call security",
    ),
    Line(
        "hold_open_again",
        Severity.SEV1,
        _is_open_again,
        "a hole in {dataset} that was closed is open again",
        "unknown: whoever holds a grant for it can read it until it is closed again",
        "pause {dataset} unless that was done already, then find out from both histories what opened it",
    ),
    Line(
        BEYOND_AUDIENCE,
        Severity.SEV2,
        _is_beyond_audience,
        "rules let in to {dataset} whom its owner did not declare",
        "nothing so far: the audience still stands before the rules, and nothing else does",
        "ask the owner whether that audience is meant; if not, narrow the rules that the alert names",
    ),
    Line(
        "hold_open_by_rules",
        Severity.SEV2,
        _is_open_by_rules,
        "rules let in again what was closed in {dataset}",
        "nothing so far: no grant reaches it, but the next one that is approved would",
        "find out which bundle widened the rules and why, and have them narrowed",
    ),
    Line(
        "hold_would_open",
        Severity.SEV2,
        _would_open,
        "a bundle would open again what was closed in {dataset}; it was refused",
        "nothing: what was in force before still is",
        "ask whoever changed the files; two people may accept it by name, in the knowledge of what it opens",
    ),
    Line(
        AROUND_REMIT,
        Severity.SEV2,
        _is_exposed,
        "files of {dataset} can be read around remit",
        "unknown: what is read around remit leaves no entry",
        "take the files' permissions away from other users of the machine, for a pause stops nobody who reads around "
        "remit; then find out since when they were open",
    ),
    Line(
        "witnesses_behind",
        Severity.SEV3,
        _is_unwitnessed,
        "witnesses have not co-signed the ledger for more than 5 minutes",
        "nothing: reads go on, but what was written since could still be rewritten unseen",
        "get the witness back that fails, and see from the entry since when it does",
    ),
    Line(
        "break_glass",
        Severity.SEV3,
        _is_break_glass,
        "{actor} broke the glass for {sensitivity} data of {dataset}: a grant that nobody approved",
        "reads for an hour at most, within rules and audience",
        "ask {actor} what it is for, contain its grant where there is no good answer, and have it reviewed",
    ),
    Line(
        "review_due",
        Severity.SEV3,
        _is_review_due,
        "nobody has reviewed yet why {actor} broke the glass for {dataset}",
        "what was read in that hour",
        "have an owner of the data close the review: `remit requests list` shows it",
    ),
    Line(
        "alerting_blind",
        Severity.SEV3,
        _is_blind,
        "alerting stands still: nobody is called, whatever happens",
        "unknown until alerting goes on: nothing that was written since was looked at",
        "look at `/readyz` and the gateways' logs, restart the gateway that follows, then read what was raised",
    ),
    Line(
        "delivery_behind",
        Severity.SEV3,
        _is_undelivered,
        "alerts do not get through over the channel {actor}",
        "nothing: what waits is kept and sent when the channel is back",
        "read `remit alerts list`, and get the channel back or take it out of `REMIT_ALERT_URLS`",
    ),
    Line(
        "identities_refused",
        Severity.SEV3,
        _is_refused_in_series,
        "tokens are refused in series, all from one address",
        "nothing: whoever it is was not let in",
        "find out from the entry which machine this is: a service with an old token, or somebody who tries tokens",
    ),
    Line(
        "beyond_on_sensitive",
        Severity.SEV3,
        _is_beyond_on_sensitive,
        "{actor} asked beyond scope for {sensitivity} data of {dataset}: {code}",
        "no rows: the read was refused",
        "ask {actor} what it was for, and contain it where there is no good answer",
    ),
    Line(
        "excess",
        Severity.SEV4,
        is_excess,
        "{actor} asked for too much of {dataset}: {code}",
        "no rows: the read was refused",
        "tell {actor} which scope to declare",
    ),
)
"""Read top to bottom, most severe first; the first line that applies is the answer."""

SEVERAL_EXCESSES = Line(
    "several_excesses",
    Severity.SEV3,
    lambda _: False,
    "{actor} asked for too much in several ways within 10 minutes",
    "no rows: each of the reads was refused",
    "find out whether this is {actor} at work or a stolen token, and suspend them where it cannot be told",
)
"""Applies to no entry alone: `SPREAD` excesses within `SPREAD_WITHIN` make it."""
