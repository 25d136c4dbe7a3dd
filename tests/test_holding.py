"""What must stay closed: the accesses, how they are asked, and what of them counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bundles import bundle_of
from hypothesis import given
from hypothesis import strategies as st
from service import CATALOG, POLICIES

from authz.accesses import MOST, access_from_json, access_to_json, accesses_of
from policy.bundle import Bundle
from policy.decision import Allow
from policy.holding import OUTSIDERS, Access, Force, Ways, _by_rules, _whole, held, is_touched, outsiders, ways
from policy.values import DatasetScope, Grant, GrantStatus, Pause, Principal, ReadRequest, Scope

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
PURPOSE = "train_ai_system.computer_use"
BUNDLE = bundle_of()
WIDER = bundle_of(POLICIES + "screens = research.ml, train_ai_system, user.content.screen, read, -, clear, allow\n")
OPEN = bundle_of(
    POLICIES + "all = *, *, user.content.screen, read, -, clear, allow\n",
    CATALOG.replace('[{ team = "research.ml", purpose = "train_ai_system" }]', '[{ team = "*", purpose = "*" }]'),
)
ANA = Principal("ana", teams=("research.ml",), attributes=(("privacy_training", "current"),))
SCREEN = Access(ANA, ReadRequest("events", ("screen",), purpose=PURPOSE))
POINTER = Access(ANA, ReadRequest("events", ("x",), purpose=PURPOSE))
PAUSE = Pause("dataset", "events", "an incident")


def grant(*columns: str, **more: object) -> Grant:
    scope = Scope(
        purpose=PURPOSE,
        starts=NOW - timedelta(days=1),
        ends=NOW + timedelta(days=1),
        justification="a test",
        datasets=(DatasetScope("events", columns),),
        principal="ana",
    )
    return replace(Grant("g-1", scope), **more)  # type: ignore[arg-type]


def force(bundle: Bundle = BUNDLE, *grants: Grant, pauses: tuple[Pause, ...] = ()) -> Force:
    return Force(bundle, grants, pauses, NOW)


def test_an_access_is_open_by_the_rules_long_before_a_grant_reaches_it() -> None:
    assert ways(SCREEN, force()) == Ways(by_rules=False, whole=False)
    assert ways(SCREEN, force(WIDER)) == Ways(by_rules=True, whole=False)
    assert ways(SCREEN, force(WIDER, grant("screen"))) == Ways(by_rules=True, whole=True)
    assert ways(SCREEN, force(WIDER, grant("screen"), pauses=(PAUSE,))) == Ways(by_rules=True, whole=False)


def test_only_what_was_refused_counts() -> None:
    assert held(SCREEN, force(), is_outsider=False).by_rules
    assert not held(SCREEN, force(WIDER), is_outsider=False).by_rules
    assert not held(POINTER, force(BUNDLE, grant("x")), is_outsider=False).whole


def test_an_access_that_only_the_containment_refuses_has_to_stay_refused() -> None:
    contained = force(WIDER, grant("screen"), pauses=(PAUSE,))
    assert held(SCREEN, contained, is_outsider=False).whole


def test_an_outsider_that_only_the_pause_refuses_may_read_again_afterwards() -> None:
    assert not held(POINTER, force(BUNDLE, grant("x"), pauses=(PAUSE,)), is_outsider=True).whole


def test_where_only_a_grant_was_missing_an_approved_one_is_no_hole() -> None:
    for lacking in ((), (grant("x", status=GrantStatus.SUSPENDED),)):
        assert not held(POINTER, force(BUNDLE, *lacking), is_outsider=False).whole
    assert held(SCREEN, force(), is_outsider=False).whole


def test_what_a_grant_did_not_cover_has_to_stay_refused_also_where_that_grant_is_suspended() -> None:
    assert held(SCREEN, force(WIDER, grant("x")), is_outsider=False, suspended="g-1").whole


def test_what_only_the_suspension_of_a_grant_refuses_has_to_stay_refused() -> None:
    assert held(POINTER, force(BUNDLE, grant("x")), is_outsider=False, suspended="g-1").whole
    assert not held(POINTER, force(BUNDLE, grant("x")), is_outsider=True, suspended="g-1").whole


def test_the_ten_outsiders_are_the_same_each_time_and_each_differs_from_whoever_asked_too_much() -> None:
    others = outsiders(SCREEN, BUNDLE)
    assert others == outsiders(SCREEN, BUNDLE)
    assert len(set(others)) == OUTSIDERS
    for other in others:
        assert other != SCREEN
        assert other.request.columns == SCREEN.request.columns
        assert other.principal != ANA or other.request.purpose != PURPOSE
    assert len({other.principal.teams for other in others}) > 3


def test_the_outsiders_see_a_dataset_that_is_opened_to_every_team() -> None:
    for other in outsiders(SCREEN, BUNDLE):
        assert ways(other, force(OPEN)).by_rules == bool(other.principal.teams)
        assert not ways(other, force(BUNDLE)).by_rules


def test_a_pause_touches_what_it_stops_and_nothing_else() -> None:
    assert is_touched(SCREEN, PAUSE, BUNDLE)
    assert is_touched(SCREEN, Pause("principal", "ana", ""), BUNDLE)
    for other in (Pause("dataset", "long", ""), Pause("principal", "max", ""), Pause("team", "sales", "")):
        assert not is_touched(SCREEN, other, BUNDLE)


NAMES = st.sampled_from(["ana", "bob", "somebody else"])
TEAMS = st.sampled_from([(), ("research.ml",), ("research.ml.vision",), ("sales",), ("on_call", "research")])
COLUMNS = st.lists(st.sampled_from(["who", "at", "x", "key_ms", "screen", "review"]), min_size=1, unique=True)


@given(
    NAMES,
    TEAMS,
    st.booleans(),
    COLUMNS,
    st.sampled_from([None, PURPOSE, "train_ai_system", "analytics"]),
    COLUMNS,
    st.sampled_from([BUNDLE, WIDER, OPEN]),
)
def test_what_is_open_on_the_whole_path_is_open_by_the_rules(
    name: str,
    teams: tuple[str, ...],
    trained: bool,
    columns: list[str],
    purpose: str | None,
    granted: list[str],
    bundle: Bundle,
) -> None:
    """So a bundle that opens nothing by the rules opens nothing at all."""
    who = Principal(name, teams=teams, attributes=(("privacy_training", "current"),) if trained else ())
    access = Access(who, ReadRequest("events", tuple(columns), purpose=purpose))
    if purpose is None:
        access = replace(access, request=replace(access.request, purpose=PURPOSE))
    if isinstance(_whole(access, force(bundle, grant(*granted))), Allow):
        assert isinstance(_by_rules(access, bundle, NOW), Allow)


def refused(**fields: object) -> dict[str, object]:
    details = {"principal": {"kind": "person", "attributes": {"privacy_training": "current"}}}
    details |= dict(fields.pop("details", {}))  # type: ignore[call-overload]
    known = {"kind": "read.refused", "actor": "ana", "teams": ["research.ml"], "dataset": "events", "purpose": PURPOSE}
    return {**known, **fields, "details": details}


def test_each_column_that_was_too_much_is_an_access_of_its_own() -> None:
    found = accesses_of(
        [refused(details={"columns": ["screen", "review"]}), refused(details={"columns": ["screen"]})], BUNDLE
    )
    assert found == (SCREEN, replace(SCREEN, request=replace(SCREEN.request, columns=("review",))))


def test_without_columns_that_were_too_much_it_is_those_that_were_asked_for_else_all() -> None:
    (asked,) = accesses_of([refused(details={"asked_columns": ["x"]})], BUNDLE)
    assert asked == POINTER
    assert len(accesses_of([refused()], BUNDLE)) == len(BUNDLE.catalog.datasets["events"].columns) <= MOST


def test_a_filter_is_kept_as_it_was_recorded_unless_it_is_not_understood_any_more() -> None:
    kept = refused(details={"columns": ["x"], "asked_rows": "who = 'hmac:00'"})
    lost = refused(details={"columns": ["x"], "asked_rows": "x = 'hmac:00'"})
    assert [each.request.rows for each in accesses_of([kept, lost], BUNDLE)] == ["who = 'hmac:00'", ""]


def test_what_is_no_access_to_a_dataset_that_is_there_is_passed_over() -> None:
    strange = [
        refused(dataset="gone"),
        refused(kind="checkpoint.refused"),
        refused(kind="access.refused"),
        {},
        {"kind": 5},
    ]
    assert accesses_of(strange, BUNDLE) == ()


def test_an_audience_that_is_exceeded_is_an_access_of_somebody_of_that_team() -> None:
    pair = {"teams": ["sales"], "purpose": "analytics", "columns": ["x"], "attributes": {"level": 3}, "kind": "service"}
    entry = {"kind": "audience.exceeded", "actor": "gateway", "dataset": "events", "details": {"pairs": [pair]}}
    (access,) = accesses_of([entry], BUNDLE)
    assert (access.principal.teams, access.principal.kind, access.principal.attributes) == (
        ("sales",),
        "service",
        (("level", 3),),
    )


def test_whoever_broke_the_glass_is_an_access_to_each_column_of_that_grant() -> None:
    scope = {"purpose": PURPOSE, "datasets": {"events": {"columns": ["x", "screen"], "rows": "x < 5"}}}
    assert accesses_of([refused(kind="grant.break_glass", details={"scope": scope})], BUNDLE) == (POINTER, SCREEN)
    odd = [{"datasets": {"events": 5}}, {"datasets": 5}, {"datasets": {"gone": {}}}, 5]
    found = [accesses_of([refused(kind="grant.break_glass", details={"scope": each})], BUNDLE) for each in odd]
    assert [len(each) for each in found] == [len(BUNDLE.catalog.datasets["events"].columns), 0, 0, 0]


def test_an_access_is_read_back_as_it_was_kept() -> None:
    for access in (SCREEN, POINTER, *outsiders(SCREEN, BUNDLE)):
        assert access_from_json("events", access_to_json(access)) == access


def test_a_dataset_that_is_gone_is_closed() -> None:
    gone = bundle_of(POLICIES, CATALOG.replace("[datasets.events", "[datasets.other"))
    assert ways(SCREEN, force(gone, grant("screen"))) == Ways(by_rules=False, whole=False)
