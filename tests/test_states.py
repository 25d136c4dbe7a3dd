"""What becomes of an alert: the table of states, and that folding never tells less than what happened."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from audit.alerts import Alerts
from audit.entries import Kind
from audit.folding import fold
from audit.ledger import Ledger
from audit.mending import mended_of
from audit.severities import Severity, severity_of
from audit.signals import Alert, signal_of
from audit.states import TABLE, Event, State, follows
from audit.steps import steps_of
from audit.trail import after

if TYPE_CHECKING:
    from tests.conftest import Database

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def test_every_event_leads_somewhere_and_every_state_but_the_first_is_reached() -> None:
    assert {event for _, event in TABLE} == set(Event)
    assert set(TABLE.values()) == set(State) - {State.OPEN}


def test_what_is_over_only_opens_again_and_what_is_open_does_not() -> None:
    assert [event for event in Event if follows(State.RESOLVED, event)] == [Event.REOPENED]
    assert [state for state in State if not follows(state, Event.REOPENED)] == [State.OPEN, State.REOPENED]


def test_whatever_is_not_over_can_be_contained_and_resolved() -> None:
    for state, event in product(set(State) - {State.RESOLVED}, (Event.CONTAINED, Event.RESOLVED)):
        assert follows(state, event) is State(event)


def document(at: datetime, **fields: object) -> dict[str, object]:
    details = {"sensitivity": fields.pop("sensitivity", "low"), "data_classes": [fields.pop("data_class", "user.a")]}
    details |= dict(fields.pop("details", {}))  # type: ignore[call-overload]
    return {"kind": "read.refused", "actor": "ana", "at": at.isoformat(), **fields, "details": details}


KINDS = st.one_of(
    st.builds(
        lambda actor, dataset, code, excess, level, data_class: {
            "actor": actor,
            "dataset": dataset,
            "code": code,
            "excess": excess,
            "sensitivity": level,
            "data_class": data_class,
        },
        st.sampled_from(["ana", "bob"]),
        st.sampled_from(["events", None]),
        st.sampled_from(["no_rule", "no_grant"]),
        st.sampled_from(["beyond", "outside"]),
        st.sampled_from(["low", "critical"]),
        st.sampled_from(["user.a", "b"]),
    ),
    st.builds(
        lambda kind, path: {"kind": kind, "actor": "remit", "dataset": "events", "details": {"alert": 1, "path": path}},
        st.sampled_from(
            [
                "hold.opened",
                "hold.would_open",
                "audience.exceeded",
                "store.exposed",
                "witnesses.behind",
                "witnesses.back",
                "checkpoint.refused",
                "read.completed",
            ]
        ),
        st.sampled_from(["rules", "whole"]),
    ),
)
STEPS = st.lists(st.tuples(KINDS, st.integers(0, 90), st.sampled_from([None, *State])), max_size=30)


@given(STEPS)
def test_the_worst_that_is_told_is_never_below_the_worst_that_happened(steps: list) -> None:
    """Whatever becomes of alerts in between: of each entry that is bad, an alert at least as bad counts it."""
    kept: dict[int, Alert] = {}
    at = START
    for seq, (fields, minutes, becomes) in enumerate(steps, 1):
        at += timedelta(minutes=minutes)
        doc = document(at, **dict(fields))
        signal = signal_of(seq, doc)
        assert (signal is None) == (severity_of(doc) is None)
        if signal:
            folded = fold(kept.values(), [signal])
            kept |= {alert.id: alert for alert in folded.counted}
            for alert in folded.raised:
                kept[len(kept) + 1] = replace(alert, id=len(kept) + 1)
            telling = [each for each in (*folded.raised, *folded.counted) if seq in each.evidence.entries]
            live = [each for each in telling if each.state != State.RESOLVED]
            assert min(each.severity for each in live) <= signal.severity
            assert frozenset[str]().union(*(each.data_classes for each in live)) >= signal.data_classes - _had(
                kept, seq
            )
        if becomes and kept:
            last = max(kept)
            kept[last] = replace(kept[last], state=becomes)


def _had(kept: dict[int, Alert], seq: int) -> frozenset[str]:
    """The classes that alerts before this entry had told of."""
    return frozenset[str]().union(*(each.data_classes for each in kept.values() if each.first_seq < seq))


@pytest.fixture
def alerts(database: "Database") -> Alerts:
    ledger = Ledger(database.engine(), gateway="test", clock=lambda: datetime.now(UTC))
    return Alerts(database.engine(), ledger, clock=lambda: START)


def signal(seq: int, **fields: object) -> Alert:
    made = signal_of(seq, document(START, **fields))
    assert made is not None
    return made


def test_a_hole_that_is_open_again_opens_its_alert_as_sev1_with_both_histories(
    alerts: Alerts, database: "Database"
) -> None:
    (raised,) = alerts.take([signal(1, code="no_rule", excess="beyond", dataset="events")], after=0, upto=1)
    alerts.acknowledge(raised.id, by="olga", why="on it")
    with database.engine("owner").begin() as owner:
        owner.execute(text("UPDATE alerts SET state = 'resolved'"))
    details = {"alert": raised.id, "path": "whole", "asked": "ana of research.ml reads screen of events"}
    opened = signal(2, kind="hold.opened", dataset="events", details=details)
    assert opened.reopens == raised.id
    (again,) = alerts.take([opened], after=1, upto=2)
    assert (again.id, again.state, again.severity) == (raised.id, State.REOPENED, Severity.SEV1)
    assert (again.acknowledged_by, again.evidence.declared) == (None, raised.evidence.declared)
    assert again.evidence.entries == (1, 2)
    assert alerts.get(raised.id) == again
    assert [(step.event, step.by, step.why) for step in steps_of(database.engine(), [raised.id])[raised.id]] == [
        ("acknowledged", "olga", "on it"),
        ("reopened", "remit", "ana of research.ml reads screen of events"),
    ]
    assert alerts.take([replace(opened, first_seq=3, last_seq=3)], after=2, upto=3)[0].id != raised.id


def test_each_step_names_the_entry_that_says_so(alerts: Alerts, database: "Database") -> None:
    (raised,) = alerts.take([signal(1, code="no_rule", excess="beyond")], after=0, upto=1)
    alerts.acknowledge(raised.id, by="olga", why="on it")
    (step,) = steps_of(database.engine(), [raised.id])[raised.id]
    (line,) = [line for line in after(database.engine(), 0, 9) if line.seq == step.seq]
    assert (line.doc["kind"], line.doc["actor"]) == (Kind.ALERT_ACKNOWLEDGED, "olga")


def test_witnesses_that_are_back_resolve_their_alert_and_not_what_comes_after(
    alerts: Alerts, database: "Database"
) -> None:
    (raised,) = alerts.take([signal(1, kind="witnesses.behind")], after=0, upto=1)
    mended = mended_of(2, {"kind": "witnesses.back"})
    assert mended is not None
    assert alerts.take([], [mended], after=1, upto=2) == ()
    assert [each.state for each in alerts.list()] == [State.RESOLVED]
    (step,) = steps_of(database.engine(), [raised.id])[raised.id]
    assert (step.event, step.by, step.details) == ("resolved", "remit", {"entry": 2})
    behind, back = signal(3, kind="witnesses.behind"), mended_of(4, {"kind": "witnesses.back"})
    assert back is not None
    alerts.take([behind, replace(behind, first_seq=5, last_seq=5)], [back], after=2, upto=5)
    assert [each.state for each in alerts.list()] == [State.OPEN, State.RESOLVED]
