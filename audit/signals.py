"""What entries mean for on-call: each becomes an alert of one, with its evidence. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from .severities import SEVERAL_EXCESSES, Document, Severity, is_excess, line_of, reopened_by, sensitivity_of

MOST = 10
"""An alert names its first and its last so many entries: a flood must not grow it without end."""
_LONGEST = 120

Key = tuple[str, str | None, str | None, str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Declared, asked and given side by side, as the entry that raised the alert says, and the seqs of its entries."""

    line: str
    declared: str
    asked: str
    given: str
    next: str
    entries: tuple[int, ...]
    sensitivity: str = ""
    purpose: str = ""
    columns: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    is_excess: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """Something for on-call: `count` entries from `first_seq` at `first_at` (UTC) to `last_seq` at `last_at`.

    `state` is one of `states.State`; `id` is 0 until it is stored. One entry alone is an alert of one; where it says
    that what an older alert was about is open again, `reopens` is that one's id.
    """

    id: int
    severity: Severity
    code: str
    actor: str
    dataset: str | None
    grant: str | None
    data_classes: frozenset[str]
    count: int
    first_seq: int
    last_seq: int
    first_at: datetime
    last_at: datetime
    title: str
    evidence: Evidence
    state: str = "open"
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_why: str | None = None
    reopens: int | None = None

    @property
    def key(self) -> Key:
        """What folds into this alert has the same."""
        return self.actor, self.dataset, self.grant, self.code


def signal_of(seq: int, document: Document) -> Alert | None:
    """Entry `seq` as an alert of one; None where it is nothing for on-call."""
    line = line_of(document)
    if line is None:
        return None
    at = datetime.fromisoformat(str(document["at"]))
    details = _details(document)
    data_classes = _texts(details, "data_classes")
    actor, dataset, code = _text(document, "actor"), _text(document, "dataset"), _text(document, "code") or line.name
    words = {
        "actor": shown(actor),
        "dataset": shown(dataset or ", ".join(data_classes) or "remit"),
        "code": shown(code),
        "sensitivity": str(sensitivity_of(document)),
    }
    return Alert(
        id=0,
        severity=line.severity,
        code=code,
        actor=actor,
        dataset=dataset or None,
        grant=_text(document, "grant") or None,
        data_classes=frozenset(data_classes),
        count=1,
        first_seq=seq,
        last_seq=seq,
        first_at=at,
        last_at=at,
        title=line.what.format(**words),
        evidence=Evidence(
            line=line.name,
            declared=_text(details, "declared"),
            asked=_text(details, "asked") or _text(details, "why"),
            given=line.given,
            next=line.next.format(**words),
            entries=(seq,),
            sensitivity=words["sensitivity"],
            purpose=_text(document, "purpose"),
            columns=_texts(details, "columns"),
            rules=_texts(details, "rules"),
            is_excess=is_excess(document),
        ),
        reopens=reopened_by(document),
    )


def together_of(signal: Alert, alerts: Iterable[Alert]) -> Alert:
    """The alert over `signal` and all the recent excesses of its principal, itself included."""
    line = SEVERAL_EXCESSES
    alerts = sorted(alerts, key=lambda alert: alert.last_seq)
    asked = [f"{plain(alert.code)} on {plain(alert.dataset or 'remit')}" for alert in alerts]
    actor = shown(signal.actor)
    return replace(
        signal,
        severity=line.severity,
        code=line.name,
        dataset=None,
        grant=None,
        data_classes=frozenset[str]().union(*(alert.data_classes for alert in alerts)),
        count=len(alerts),
        first_seq=alerts[0].last_seq,
        first_at=alerts[0].last_at,
        title=line.what.format(actor=actor),
        evidence=Evidence(
            line=line.name,
            declared="",
            asked="; ".join(asked[-MOST:]),
            given=line.given,
            next=line.next.format(actor=actor),
            entries=tuple(alert.last_seq for alert in alerts[-MOST:]),
        ),
    )


def plain(text: str, longest: int = _LONGEST) -> str:
    """`text` from outside, fit for a chat or a terminal: printable, on one line, without backticks, not long."""
    printable = "".join(
        " " if char.isspace() else char if _is_harmless(char) else "\N{REPLACEMENT CHARACTER}" for char in text
    )
    return printable if len(printable) <= longest else printable[: longest - 1] + "…"


def shown(text: str) -> str:
    """`text` from outside as a title may hold it: plain, in backticks."""
    return f"`{plain(text)}`"


def _is_harmless(char: str) -> bool:
    return char.isprintable() and char != "`"


def _details(document: Document) -> Mapping[str, object]:
    details = document.get("details")
    return details if isinstance(details, Mapping) else {}


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _texts(fields: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = fields.get(name)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()
