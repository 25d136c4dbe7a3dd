"""Whom the rules let in beyond an audience, written down at each start and reload."""

from collections.abc import Sequence

import structlog

from audit.entries import Entry, Json, Kind
from audit.ledger import Ledger
from policy.bundle import Bundle
from policy.effective import Beyond, beyond_audience
from policy.values import Dataset

from .stores import ACTOR

log = structlog.get_logger()


def report_audiences(ledger: Ledger, bundle: Bundle) -> None:
    """Record each dataset that the rules alone would open to somebody whom its owner did not declare."""
    for dataset, beyond in beyond_audience(bundle):
        entry = _entry(dataset, beyond, bundle)
        ledger.append(entry)
        log.warning("audience_exceeded", dataset=dataset.name, declared=entry.details["declared"], pairs=len(beyond))


def _entry(dataset: Dataset, beyond: Sequence[Beyond], bundle: Bundle) -> Entry:
    columns = sorted({column for each in beyond for column in each.columns})
    classes = {dataset.columns[column].data_class for column in columns}
    details: dict[str, Json] = {
        "pairs": [_pair(each) for each in beyond],
        "declared": "; ".join(f"{one.team} for {one.purpose}" for one in dataset.audience) or "nobody",
        "asked": "; ".join(f"{each.team} for {each.purpose}" for each in beyond),
        "columns": list(columns),
        "rules": sorted({rule for each in beyond for rule in each.rules}),
        "data_classes": sorted(classes),
        "sensitivity": str(max(map(bundle.policies.sensitivity_of, classes))),
    }
    return Entry(Kind.AUDIENCE_EXCEEDED, ACTOR, dataset=dataset.name, digest=bundle.digest, details=details)


def _pair(each: Beyond) -> dict[str, Json]:
    return {
        "team": each.team,
        "purpose": each.purpose,
        "teams": list(each.who.teams),
        "kind": each.who.kind,
        "attributes": dict(each.who.attributes),
        "columns": list(each.columns),
        "rules": list(each.rules),
    }
