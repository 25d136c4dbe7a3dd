"""What is proposed after a grant: when it begins, and how much of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from policy.renewing import proposed, unused_for
from policy.scopes import scope_from_json
from policy.values import Grant, GrantStatus

STARTS = datetime(2026, 11, 1, tzinfo=UTC)
ENDS, NOW = STARTS + timedelta(days=30), STARTS + timedelta(days=10)
SCOPE = scope_from_json(
    {
        "principal": "ana",
        "purpose": "train_ai_system",
        "starts": STARTS.isoformat(),
        "ends": ENDS.isoformat(),
        "justification": "a test",
        "max_rows": 1000,
        "max_subjects": 5,
        "datasets": {"events": {"columns": ["x", "y"]}},
    }
)
GRANT = Grant("g-1", SCOPE, rows_used=400, subjects_used=5)
USED = {"events": frozenset({"x"})}


@pytest.mark.parametrize(
    ("grant", "starts"),
    [
        (GRANT, ENDS),
        (replace(GRANT, rows_used=1000), NOW),
        (replace(GRANT, has_met_more=True), NOW),
        (replace(GRANT, status=GrantStatus.REVOKED), NOW),
        (replace(GRANT, status=GrantStatus.SUSPENDED), ENDS),
    ],
)
def test_a_renewal_begins_where_the_grant_ends_and_at_once_where_nothing_is_left_of_it(
    grant: Grant, starts: datetime
) -> None:
    scope = proposed(grant, USED, NOW)
    assert scope is not None
    assert (scope.starts, scope.ends - scope.starts) == (starts, ENDS - STARTS)


def test_a_renewal_of_a_grant_that_ended_long_ago_begins_now() -> None:
    late = ENDS + timedelta(days=100)
    scope = proposed(GRANT, USED, late)
    assert scope is not None
    assert scope.starts == late


def test_a_renewal_never_proposes_more_rows_than_before() -> None:
    scope = proposed(replace(GRANT, rows_used=1000), USED, NOW)
    assert scope is not None
    assert scope.max_rows == 1000


def test_a_renewal_proposes_no_more_people_than_were_read_of_twice_over_and_never_more_than_before() -> None:
    wide = replace(GRANT, scope=replace(SCOPE, max_subjects=1000))
    for used, most in ((0, 2), (4, 8), (61, 130), (600, 1000)):
        scope = proposed(replace(wide, subjects_used=used), USED, NOW)
        assert scope is not None
        assert scope.max_subjects == most
    unlimited = proposed(replace(GRANT, scope=replace(SCOPE, max_subjects=None)), USED, NOW)
    assert unlimited is not None
    assert unlimited.max_subjects is None


def test_a_grant_is_unused_only_since_it_could_be_read_under() -> None:
    assert unused_for(GRANT, None, NOW) == timedelta(days=10)
    assert unused_for(replace(GRANT, added_at=NOW - timedelta(days=1)), None, NOW) == timedelta(days=1)
    assert unused_for(replace(GRANT, added_at=STARTS), NOW - timedelta(hours=1), NOW) == timedelta(hours=1)
    assert unused_for(GRANT, None, STARTS - timedelta(days=5)) == timedelta(0)
