"""What can be done about an alert at once: suspend or pause something that it names. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from audit.severities import Document, Severity
from audit.signals import Alert
from policy.bundle import Bundle
from policy.names import is_name

Kind = Literal["grant", "principal", "dataset", "team", "purpose", "everything"]


@dataclass(frozen=True, slots=True)
class Measure:
    """Suspend a `grant` or a `principal`, or pause a `dataset`, a `team`, a `purpose` or `everything`."""

    kind: Kind
    target: str = ""


def measures(alert: Alert, entries: Sequence[Document], bundle: Bundle) -> tuple[Measure, ...]:
    """What can be done about `alert`, from its own evidence, the one that is proposed first.

    That is to pause the dataset; without one, to suspend who asked; else to pause everything is left.
    """
    return tuple(dict.fromkeys(_measures(alert, entries, bundle)))


def proposed(alert: Alert, measures: Sequence[Measure], kind: Kind | None) -> Measure | None:
    """The first of the alert's `measures`, or the first of this kind.

    To pause everything without having been told so is for SEV1 alone: a witness that is away stops nobody's reading.
    """
    if kind is None and alert.severity > Severity.SEV1:
        measures = [each for each in measures if each.kind != "everything"]
    return next((each for each in measures if kind in (None, each.kind)), None)


def is_known(measure: Measure, bundle: Bundle) -> bool:
    """Whether what is to be paused is something that can be; a grant is looked up where it is kept."""
    match measure.kind:
        case "everything":
            return not measure.target
        case "dataset":
            return measure.target in bundle.catalog.datasets
        case "team":
            return is_name(measure.target)
        case "purpose":
            return bundle.policies.knows_purpose(measure.target)
        case "grant" | "principal":
            return bool(measure.target)


def _measures(alert: Alert, entries: Sequence[Document], bundle: Bundle) -> Iterator[Measure]:
    datasets = [alert.dataset or "", *(str(entry.get("dataset")) for entry in entries)]
    yield from (Measure("dataset", name) for name in datasets if name in bundle.catalog.datasets)
    if alert.grant:
        yield Measure("grant", alert.grant)
    asked = [entry for entry in entries if str(entry.get("kind")).startswith(("read.", "access."))]
    yield from (Measure("principal", str(entry["actor"])) for entry in asked)
    teams = (team for entry in asked for team in _list(entry.get("teams")))
    yield from (Measure("team", team) for team in teams if is_name(team))
    purposes = [alert.evidence.purpose, *(str(entry.get("purpose")) for entry in asked)]
    yield from (Measure("purpose", each) for each in purposes if each and bundle.policies.knows_purpose(each))
    yield Measure("everything")


def _list(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []
