"""Who could read, interval by interval, is what the live decision said at each moment of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from service import CATALOG, POLICIES

from policy.bundle import Bundle, past_bundle
from policy.decide import decide
from policy.decision import Allow
from policy.lives import BundleLife, GrantLife, Past, PauseLife, Sighting
from policy.timeline import ByRules, Could, by_rules_alone, who_could
from policy.values import DatasetScope, Grant, GrantStatus, Pause, Principal, ReadRequest, Scope, Treatment

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
END = 100
"""Minutes."""
NARROW, WIDE = "train_ai_system.computer_use", "train_ai_system"
PURPOSES = (NARROW, WIDE, "analytics", "oversight")
COLUMNS = ("who", "at", "x", "key_ms", "screen", "review", "gone")
TRAINED = (("privacy_training", "current"),)
RULES = (
    "",
    "screens = research.ml, train_ai_system.computer_use, user.content.screen, read, -, clear, allow\n",
    "no_keys = research, train_ai_system.computer_use, user.behavior.keystrokes, read, -, hidden, deny\n",
    "sales_too = sales, *, user.behavior, read, trained, coarse, allow\n"
    "untrained_never = *, *, user.behavior.keystrokes, read, trained, hidden, deny\n",
)
CATALOGS = (
    CATALOG,
    CATALOG.replace('"research.ml", purpose = "train_ai_system"', '"*", purpose = "*"'),
    CATALOG.replace(", coarse = 25", "").replace('screen = "user.content.screen"\n', ""),
    CATALOG.replace('audience = [{ team = "research.ml", purpose = "train_ai_system" }]\n', ""),
)
BUNDLES = tuple(past_bundle(POLICIES + rules, catalog) for rules in RULES for catalog in CATALOGS)
PEOPLE = (
    Principal("ana", teams=("research.ml",), attributes=TRAINED),
    Principal("una", teams=("research.ml.vision", "sales")),
    Principal("bob", teams=("sales",), attributes=TRAINED),
    Principal("bot", "service", ("research",), TRAINED),
)
TEAMS = ("research", "research.ml", "research.ml.vision", "sales")


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


minutes = st.integers(-20, END + 20)
bundles = st.lists(st.tuples(minutes, st.sampled_from(BUNDLES)), max_size=4)


@st.composite
def scopes(draw: Any) -> Scope:
    starts = draw(minutes)
    is_team = draw(st.booleans())
    columns = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True))
    rows = draw(st.sampled_from(["", "", "x < 5", "gone = 1"]))
    return Scope(
        draw(st.sampled_from(PURPOSES)),
        at(starts),
        at(starts + draw(st.integers(1, 120))),
        "needed",
        (DatasetScope(draw(st.sampled_from(["events", "events", "long"])), tuple(columns), rows),),
        team=draw(st.sampled_from(TEAMS)) if is_team else None,
        principal=None if is_team else draw(st.sampled_from([one.name for one in PEOPLE])),
    )


@st.composite
def grant_lives(draw: Any) -> GrantLife:
    changes = sorted(
        draw(st.lists(st.tuples(minutes, st.sampled_from(GrantStatus)), max_size=3)), key=lambda each: each[0]
    )
    return GrantLife(
        f"g-{draw(st.integers(0, 10**6)):06}",
        draw(scopes()),
        at(draw(minutes)),
        tuple((at(minute), status) for minute, status in changes),
    )


@st.composite
def pause_lives(draw: Any) -> PauseLife:
    since = draw(minutes)
    kind, target = draw(
        st.sampled_from(
            [
                ("everything", ""),
                ("dataset", "events"),
                ("dataset", "long"),
                ("team", "research.ml"),
                ("purpose", NARROW),
            ]
        )
    )
    until = draw(st.none() | st.integers(since, END + 30))
    return PauseLife("p", Pause(kind, target, "why"), at(since), None if until is None else at(until))


@dataclass(frozen=True)
class Lived:
    """A past, and who was really there."""

    past: Past
    grants: Sequence[GrantLife]

    def decided(self, who: Principal, purpose: str, column: str, moment: datetime) -> Allow | None:
        """What the live decision says of one column at that moment."""
        bundle = next((one.bundle for one in reversed(self.past.bundles) if one.since <= moment), None)
        if bundle is None:
            return None
        grants = [Grant(one.id, one.scope, status_of(one, moment)) for one in self.grants if one.added <= moment]
        # What no report knows: the types that a filter has to fit. It is told as if it did.
        grants = [untyped(grant, bundle) for grant in grants]
        pauses = [
            one.pause for one in self.past.pauses if one.since <= moment and (one.until is None or moment < one.until)
        ]
        request = ReadRequest("events", (column,), purpose=purpose)
        decision = decide(request, who, grants, pauses, bundle, moment)
        return decision if isinstance(decision, Allow) else None


def status_of(grant: GrantLife, moment: datetime) -> GrantStatus:
    return next((status for when, status in reversed(grant.changes) if when <= moment), GrantStatus.ACTIVE)


def untyped(grant: Grant, bundle: Bundle) -> Grant:
    scope = grant.scope.of("events")
    if scope is None or scope.rows != "x < 5":
        return grant
    return Grant(
        grant.id, Scope(**{**fields(grant.scope), "datasets": (DatasetScope("events", scope.columns),)}), grant.status
    )


def fields(scope: Scope) -> dict[str, Any]:
    return {name: getattr(scope, name) for name in scope.__slots__}


@st.composite
def lives(draw: Any, *, seen: bool = True) -> Lived:
    grants = draw(st.lists(grant_lives(), min_size=1, max_size=5, unique_by=lambda grant: grant.id))
    first = [(draw(st.integers(-20, 30)), draw(st.sampled_from(BUNDLES)))]
    in_force = sorted([*first, *draw(bundles)], key=lambda each: each[0])
    past = Past(
        tuple(BundleLife(at(minute), bundle.digest, n, bundle) for n, (minute, bundle) in enumerate(in_force)),
        tuple(grants),
        tuple(draw(st.lists(pause_lives(), max_size=2))),
        {one.name: (Sighting(at(0), one),) for one in PEOPLE} if seen else {},
    )
    return Lived(past, grants)


def listed(
    found: Sequence[Could], who: str | None, purpose: str, column: str, moment: datetime
) -> dict[str, Treatment]:
    """By grant what the report says that somebody could get of a column."""
    return {
        could.grant: reached.treatment
        for could in found
        if could.who == who and could.since <= moment < could.until
        for opening in could.reach
        if purpose in opening.purposes
        for reached in opening.columns
        if reached.name == column
    }


# Not up to the end itself: a moment is rounded to a microsecond.
questions = st.tuples(st.floats(0, END - 0.001), st.sampled_from(PURPOSES), st.sampled_from(COLUMNS))


@settings(max_examples=120)
@given(lives(), st.lists(questions, min_size=8, max_size=8))
def test_the_report_lists_a_read_exactly_where_the_live_decision_allowed_it(
    lived: Lived, asked: list[tuple[float, str, str]]
) -> None:
    found = who_could(lived.past, "events", at(0), at(END))
    for minute, purpose, column in asked:
        for who in PEOPLE:
            allowed = lived.decided(who, purpose, column, at(minute))
            told = listed(found, who.name, purpose, column, at(minute))
            assert bool(told) == (allowed is not None)
            if allowed is not None:
                assert told[allowed.grant.id] is allowed.columns[0].treatment


@settings(max_examples=120)
@given(lives(seen=False), st.lists(questions, min_size=8, max_size=8))
def test_whose_token_nobody_saw_could_never_get_more_than_the_report_says(
    lived: Lived, asked: list[tuple[float, str, str]]
) -> None:
    found = who_could(lived.past, "events", at(0), at(END))
    for minute, purpose, column in asked:
        for who in PEOPLE:
            allowed = lived.decided(who, purpose, column, at(minute))
            if allowed is not None:
                told = {
                    **listed(found, None, purpose, column, at(minute)),
                    **listed(found, who.name, purpose, column, at(minute)),
                }
                assert told[allowed.grant.id] >= allowed.columns[0].treatment


@settings(max_examples=50)
@given(lives(), st.lists(questions, min_size=8, max_size=8))
def test_rules_alone_lists_whatever_a_grant_of_everything_would_open_to_a_team(
    lived: Lived, asked: list[tuple[float, str, str]]
) -> None:
    found = by_rules_alone(lived.past, "events", at(0), at(END))
    scope = Scope("*", START - timedelta(1), at(END + 1), "", (DatasetScope("events", COLUMNS),), team="*")
    for minute, purpose, column in asked:
        for team in TEAMS:
            who = Principal("anybody", teams=(team,), attributes=TRAINED)
            whole = Lived(
                lived.past, [GrantLife("g", Scope(**{**fields(scope), "purpose": purpose}), START - timedelta(1))]
            )
            allowed = whole.decided(who, purpose, column, at(minute))
            if allowed is not None:
                assert allowed.columns[0].treatment <= of_team(found, team, purpose, column, at(minute))


def of_team(found: Sequence[ByRules], team: str, purpose: str, column: str, moment: datetime) -> Treatment:
    """The most that the report says for a team or one that it lies within."""
    return max(
        reached.treatment
        for one in found
        if one.since <= moment < one.until and (one.team in ("*", team) or team.startswith(f"{one.team}."))
        for opening in one.reach
        if purpose in opening.purposes
        for reached in opening.columns
        if reached.name == column
    )


@given(lives())
def test_intervals_lie_within_the_time_and_those_of_one_grant_and_person_never_touch_saying_the_same(
    lived: Lived,
) -> None:
    found = who_could(lived.past, "events", at(0), at(END))
    for could in found:
        assert at(0) <= could.since < could.until <= at(END)
        assert could.reach
    for one in found:
        for other in found:
            if (one.grant, one.who, one.until) == (other.grant, other.who, other.since):
                assert one.reach != other.reach


def one_grant(*seen: tuple[float, Principal], **scope: Any) -> Past:
    """A grant for ana over everything, under the first bundle, and who was seen."""
    grant = Scope(NARROW, at(-10), at(300), "", (DatasetScope("events", ("x",)),), **({"principal": "ana"} | scope))
    sightings: dict[str, list[Sighting]] = {}
    for minute, who in seen:
        sightings.setdefault(who.name, []).append(Sighting(at(minute), who))
    return Past(
        (BundleLife(at(-10), "d", 1, BUNDLES[0]),),
        (GrantLife("g", grant, at(-10)),),
        (),
        {name: tuple(own) for name, own in sightings.items()},
    )


def spans(found: Sequence[Could]) -> list[tuple[float, float]]:
    return [((one.since - START) / timedelta(minutes=1), (one.until - START) / timedelta(minutes=1)) for one in found]


def test_a_token_that_was_replaced_may_be_shown_for_an_hour_more() -> None:
    trained, untrained = PEOPLE[0], Principal("ana", teams=("research.ml",))
    found = who_could(one_grant((0, trained), (10, trained), (20, untrained)), "events", at(0), at(300))
    assert spans(found) == [(0, 70.5)]


def test_attributes_that_no_condition_asks_for_cut_nothing() -> None:
    tokens = [
        (minute, Principal("ana", teams=("research.ml",), attributes=(*TRAINED, ("run", minute))))
        for minute in range(5)
    ]
    assert spans(who_could(one_grant(*tokens), "events", at(0), at(300))) == [(0, 300)]


def test_one_and_true_are_two_tokens() -> None:
    """To Python they are equal, to a condition they are not."""
    bundle = past_bundle(POLICIES.replace('principal.privacy_training == "current"', "principal.level == 1"), CATALOG)
    past = one_grant((0, Principal("ana", teams=("research.ml",), attributes=(("level", True),))))
    past = Past((BundleLife(at(-10), "d", 1, bundle),), past.grants, (), past.seen)
    assert who_could(past, "events", at(0), at(300)) == ()
    late = (Sighting(at(200), Principal("ana", teams=("research.ml",), attributes=(("level", 1),))),)
    past = Past(past.bundles, past.grants, (), {"ana": past.seen["ana"] + late})
    assert spans(who_could(past, "events", at(0), at(300))) == [(200, 300)]


def test_whom_nobody_saw_is_told_as_at_most_and_what_the_rules_ask() -> None:
    (could,) = who_could(one_grant(), "events", at(0), at(300))
    assert (could.who, could.is_seen) == ("ana", False)
    assert could.reach[0].conditions == ("a token that says research.ml", 'principal.privacy_training == "current"')
    (anybody,) = who_could(one_grant(principal=None, team="research.ml"), "events", at(0), at(300))
    assert (anybody.who, anybody.reach[0].conditions) == (None, ('principal.privacy_training == "current"',))


@pytest.mark.parametrize("team", ["sales", "research.mlops"])
def test_a_team_without_a_rule_reads_nothing_but_by_another_team_of_its_members(team: str) -> None:
    (could,) = who_could(one_grant(principal=None, team=team), "events", at(0), at(300))
    assert could.reach[0].conditions[0] == "a token that says research.ml"
