"""Alerts as JSON: in a list, and one with all that there is about it."""

import shlex
from collections.abc import Sequence
from typing import Any

from audit.signals import Alert
from audit.steps import Step
from authz.containment import StillOpen
from authz.holds import Check, sentence
from authz.measures import Measure
from policy.bundle import Bundle

from .problems import Failed

MOST_NAMED = 3


def alert_json(alert: Alert) -> dict[str, Any]:
    """An alert as JSON, its evidence side by side."""
    evidence = alert.evidence
    acknowledged = {
        "by": alert.acknowledged_by,
        "at": alert.acknowledged_at and alert.acknowledged_at.isoformat(),
        "why": alert.acknowledged_why,
    }
    return {
        "id": alert.id,
        "severity": int(alert.severity),
        "state": alert.state,
        "title": alert.title,
        "actor": alert.actor,
        "dataset": alert.dataset,
        "grant": alert.grant,
        "code": alert.code,
        "purpose": evidence.purpose or None,
        "data_classes": sorted(alert.data_classes),
        "count": alert.count,
        "first_at": alert.first_at.isoformat(),
        "last_at": alert.last_at.isoformat(),
        "entries": list(evidence.entries),
        "evidence": {
            "declared": evidence.declared,
            "asked": evidence.asked,
            "given": evidence.given,
            "columns": list(evidence.columns),
            "rules": list(evidence.rules),
        },
        "next": evidence.next,
        "acknowledged": acknowledged if alert.acknowledged_by else None,
    }


def detail_json(
    alert: Alert, steps: Sequence[Step], own: Sequence[Measure], checks: Sequence[Check], bundle: Bundle, url: str
) -> dict[str, Any]:
    """An alert with its history, the dataset's owner, what can be done about it and what must stay closed.

    `url` is where it is seen; nothing is done by looking there.
    """
    dataset = bundle.catalog.datasets.get(alert.dataset or "")
    return alert_json(alert) | {
        "owner": dataset.owner if dataset else None,
        "history": [_step_json(step) for step in steps],
        "actions": [_action_json(alert, measure) for measure in own],
        "hold": {
            "checks": len(checks),
            "open_by_rules": sum(check.was.by_rules for check in checks),
            "open_whole": sum(check.was.whole for check in checks),
        },
        "url": url,
    }


def still_open(what: str, still: StillOpen, accepting: str) -> Failed:
    """The problem of what is not done because hold checks find something open; `accepting` leads on to accepting it."""
    said = list(dict.fromkeys(sentence(check.held.access) for check in still.checks))
    more = f"; and {len(said) - MOST_NAMED} more" if len(said) > MOST_NAMED else ""
    detail = f"{what}, for this would be open: {'; '.join(said[:MOST_NAMED])}{more}"
    help = "close it first: narrow the rule or the audience, or revoke the grant; or have two people accept it"
    return Failed("hold_check", detail, f"{help}: `{accepting}`")


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "event": step.event,
        "state": step.state,
        "by": step.by,
        "at": step.at.isoformat(),
        "why": step.why,
        "entry": step.seq,
        "details": dict(step.details),
    }


def _action_json(alert: Alert, measure: Measure) -> dict[str, Any]:
    target = f" --target {shlex.quote(measure.target)}" if measure.target else ""
    command = f"remit alerts contain {alert.id} --what {measure.kind}{target}"
    return {"what": measure.kind, "target": measure.target, "command": command}
