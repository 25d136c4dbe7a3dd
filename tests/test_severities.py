"""The severity table: what each entry is for on-call."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.entries import Kind
from audit.folding import fold
from audit.letters import Event, letter_of
from audit.severities import AROUND_REMIT, SEVERAL_EXCESSES, TABLE, Severity, severity_of
from audit.signals import Alert, plain, signal_of

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def refusal(code: str = "beyond_columns", excess: str = "beyond", sensitivity: str = "high", **fields: object) -> dict:
    """A refused read's document, as the guard has it written."""
    details = {"sensitivity": sensitivity, "data_classes": ["user.behavior.keystrokes"], "declared": "d", "asked": "a"}
    return {
        "at": "2026-11-21T08:00:00.000000Z",
        "kind": "read.refused",
        "actor": "ana",
        "dataset": "keystrokes",
        "code": code,
        "excess": excess,
        "details": details,
        **fields,
    }


def signal(seq: int, at: datetime, **fields: object) -> Alert:
    made = signal_of(seq, refusal(at=at.isoformat(), **fields))
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("excess", "sensitivity", "severity"),
    [
        ("beyond", "critical", Severity.SEV3),
        ("beyond", "high", Severity.SEV3),
        ("beyond", "moderate", Severity.SEV4),
        ("beyond", "low", Severity.SEV4),
        ("outside", "critical", Severity.SEV4),
        ("outside", "low", Severity.SEV4),
    ],
)
def test_an_excess_is_as_severe_as_the_table_says(excess: str, sensitivity: str, severity: Severity) -> None:
    assert severity_of(refusal(excess=excess, sensitivity=sensitivity)) is severity


def test_files_that_can_be_read_around_remit_are_a_sev2() -> None:
    exposed = {"at": "2026-11-21T08:00:00Z", "kind": "store.exposed", "actor": "remit", "dataset": "prompts"}
    assert severity_of(exposed) is Severity.SEV2


@pytest.mark.parametrize("details", [{}, {"sensitivity": "harmless"}, {"sensitivity": None}, None, "text"])
def test_a_sensitivity_that_is_not_said_counts_as_critical(details: object) -> None:
    assert severity_of(refusal(details=details)) is Severity.SEV3


@pytest.mark.parametrize("kind", ["grant.break_glass", "review.due"])
def test_a_grant_without_approval_and_a_review_that_nobody_closes_page_on_call(kind: str) -> None:
    taken = {"at": "2026-11-21T08:00:00Z", "kind": kind, "actor": "ana", "dataset": "prompts"}
    assert severity_of(taken) is Severity.SEV3


def test_whoever_is_told_of_files_that_lie_open_is_told_that_a_pause_does_not_close_them() -> None:
    (line,) = [line for line in TABLE if line.name == AROUND_REMIT]
    assert "a pause stops nobody who reads around remit" in line.next


TOLD = {Kind.STORE_EXPOSED, Kind.CHECKPOINT_REFUSED, Kind.WITNESS_REFUSED, Kind.WITNESSES_BEHIND}
TOLD |= {Kind.GRANT_BREAK_GLASS, Kind.REVIEW_DUE}
TOLD |= {Kind.HOLD_OPENED, Kind.HOLD_WOULD_OPEN, Kind.AUDIENCE_EXCEEDED}
TOLD |= {Kind.VERIFY_FAILED}
TOLD |= {Kind.ALERTING_BLIND, Kind.DELIVERY_BEHIND}


def test_a_series_of_refused_tokens_is_a_sev3_and_one_alone_is_nothing() -> None:
    one = {"kind": Kind.IDENTITY_REFUSED, "actor": "unknown", "at": "2026-11-21T08:00:00Z", "code": "bad_token"}
    assert severity_of({**one, "details": {"address": "10.0.0.7", "reason": "expired"}}) is None
    assert severity_of({**one, "details": {"address": "10.0.0.7", "series": 50, "why": "50"}}) is Severity.SEV3


@pytest.mark.parametrize("kind", sorted(set(Kind) - TOLD))
def test_what_is_no_excess_and_no_exposure_is_nothing_for_on_call(kind: Kind) -> None:
    assert severity_of({"at": "2026-11-21T08:00:00Z", "kind": kind, "actor": "ana", "code": "paused"}) is None


def test_alerting_never_feeds_on_its_own_entries() -> None:
    assert all(severity_of(refusal(kind=kind)) is None for kind in Kind if kind.startswith("alert."))


def test_asking_what_would_happen_is_no_excess() -> None:
    assert severity_of(refusal(kind="read.checked")) is None


def test_a_refused_look_at_the_trail_is_an_excess_too() -> None:
    refused = refusal(kind="access.refused", code="no_rule", excess="outside", dataset=None)
    made = signal_of(1, refused)
    assert made is not None
    assert made.severity is Severity.SEV4
    assert "user.behavior.keystrokes" in made.title


def test_the_table_reads_most_severe_first_and_its_names_are_unique() -> None:
    assert [line.severity for line in TABLE] == sorted(line.severity for line in TABLE)
    assert len({line.name for line in (*TABLE, SEVERAL_EXCESSES)}) == len(TABLE) + 1


def test_sev1_to_sev3_page_and_sev4_does_not() -> None:
    assert [severity.pages for severity in Severity] == [True, True, True, False]


def test_three_different_excesses_within_ten_minutes_are_a_sev3_over_all_their_entries() -> None:
    signals = [
        signal(4, START, code="no_grant", excess="outside", dataset="prompts"),
        signal(7, START + timedelta(minutes=4), code="no_grant", excess="outside", dataset="keystrokes"),
        signal(9, START + timedelta(minutes=10), code="no_rule", excess="outside", dataset="prompts"),
    ]
    *single, together = fold([], signals).raised
    assert [alert.severity for alert in single] == [Severity.SEV4] * 3
    assert (together.severity, together.code) == (Severity.SEV3, "several_excesses")
    assert together.evidence.entries == (4, 7, 9)
    assert (together.count, together.first_seq, together.first_at) == (3, 4, START)
    assert together.evidence.asked == "no_grant on prompts; no_grant on keystrokes; no_rule on prompts"
    body = letter_of(together, Event.RAISED, "thread")["body"]
    assert "\N{REPLACEMENT CHARACTER}" not in body, "what remit says itself is told as it was said"


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([{"code": "no_grant"}, {"code": "no_grant"}, {"code": "no_rule"}], id="the same twice"),
        pytest.param([{"code": "a"}, {"code": "b"}, {"code": "c", "actor": "olga"}], id="two principals"),
        pytest.param([{"code": "a"}, {"code": "b"}, {"code": "c", "kind": "read.checked"}], id="one was a check"),
    ],
)
def test_less_than_three_different_excesses_of_one_principal_are_no_sev3(others: list[dict]) -> None:
    documents = [refusal(**{"excess": "outside", **other}) for other in others]
    signals = [made for seq, document in enumerate(documents, 1) if (made := signal_of(seq, document))]
    assert all(alert.severity is Severity.SEV4 for alert in fold([], signals).raised)


def test_three_different_excesses_in_more_than_ten_minutes_are_no_sev3() -> None:
    steps = (timedelta(0), timedelta(minutes=9), timedelta(minutes=10, microseconds=1))
    signals = [signal(n, START + step, code=f"code_{n}", excess="outside") for n, step in enumerate(steps, 1)]
    assert all(alert.severity is Severity.SEV4 for alert in fold([], signals).raised)


def test_a_repeated_excess_counts_by_its_last_time() -> None:
    minutes = {1: ("a", 0), 2: ("b", 5), 3: ("a", 12), 4: ("c", 14)}
    signals = [
        signal(seq, START + timedelta(minutes=minute), code=code, excess="outside")
        for seq, (code, minute) in minutes.items()
    ]
    together = fold([], signals).raised[-1]
    assert together.evidence.entries == (2, 3, 4)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = ("kind", "actor", "dataset", "grant", "purpose", "code", "excess", "details", "teams", "read")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(NAMES), JSON),
    st.sampled_from([*Kind]),
    st.dictionaries(st.sampled_from(["sensitivity", "data_classes", "declared", "asked", "columns", "rules"]), JSON),
)
def test_no_document_stops_alerting(fields: dict, kind: Kind, details: dict) -> None:
    document = {"kind": kind, "details": details, "excess": "beyond", **fields, "at": "2026-11-21T08:00:00.000000Z"}
    made = signal_of(1, document)
    assert (made is None) == (severity_of(document) is None)
    if made:
        assert fold([], [made]).raised[0].title.isprintable()


def test_what_comes_from_outside_is_plain_in_titles() -> None:
    made = signal(1, START, actor="ana`\n\x1b[2JSEV4 all is \u202ewell" + "x" * 500)
    assert made.title.isprintable()
    assert len(made.title) < 300
    assert plain("a\tb`\x00") == "a b\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
