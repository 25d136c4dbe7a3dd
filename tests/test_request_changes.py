"""What happens to requests while something else happens: two at the same moment, rules, catalogs and columns."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from conftest import NUMBERS, made_database
from desk import Desk, World, desk, person
from hypothesis import given
from hypothesis import strategies as st
from service import CATALOG, EVENTS, POLICIES

from audit.engines import engine_for
from audit.postgres import Embedded
from audit.trail import Query, search
from authz.judging import Outcome
from authz.pauses import PauseStore
from authz.permit import Permitted
from authz.reach import rounded
from authz.requests import Request
from authz.standing import Cannot, Reason
from policy.approving import missing
from policy.decision import Code, Refuse
from policy.values import Pause, Principal


@pytest.fixture(scope="module")
def desks(server: Embedded, folder: Path) -> Iterator[tuple[Desk, Desk]]:
    """Two desks on two engines over one database."""
    with ExitStack() as stack:
        made = stack.enter_context(made_database(server, f"test_{next(NUMBERS)}"))
        world = World(Path(tempfile.mkdtemp(dir=folder)))
        engines = [engine_for(made.url()) for _ in range(2)]
        for engine in engines:
            stack.callback(engine.dispose)
        first, second = [stack.enter_context(desk(world, each, f"desk-{n}")) for n, each in enumerate(engines)]
        first.control.activate(world.bundle, actor="remit")
        yield first, second


@pytest.fixture(autouse=True)
def restored(desks: tuple[Desk, Desk]) -> Iterator[None]:
    """The rules are again what they were."""
    yield
    in_force(desks[0])


def in_force(at: Desk, policies: str = POLICIES, catalog: str = CATALOG) -> None:
    at.world.bundle = at.world.with_rules(policies, catalog)
    at.control.activate(at.world.bundle, actor="remit")


def reason(outcome: Outcome) -> Reason:
    assert isinstance(outcome, Cannot), outcome
    return outcome.reason


def code(outcome: Outcome) -> Code:
    assert isinstance(outcome, Refuse), outcome
    return outcome.code


@pytest.mark.parametrize("pair", [("otto", "oona"), ("otto", "pia"), ("oona", "pia")])
def test_two_approvers_at_the_same_moment_make_one_grant(desks: tuple[Desk, Desk], pair: tuple[str, str]) -> None:
    columns = ("x",) if "pia" not in pair else ("x", "key_ms")
    for _ in range(5):
        id = desks[0].asked("ana", *columns).id
        outcomes: list[Outcome] = []
        meeting = threading.Barrier(2)

        def approve(at: Desk, who: str, id: str = id, outcomes: list[Outcome] = outcomes, meeting=meeting) -> None:  # type: ignore[no-untyped-def]
            meeting.wait()
            outcomes.append(at.approve(id, who))

        threads = [threading.Thread(target=approve, args=each) for each in zip(desks, pair, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        granted = [each for each in outcomes if isinstance(each, Request) and each.grant]
        assert len(granted) == 1
        request = desks[1].requests.get(id)
        assert request is not None
        assert request.grant == granted[0].grant


def test_a_treatment_that_changes_in_between_starts_over(desks: tuple[Desk, Desk]) -> None:
    id = desks[0].asked("ana", "who", "key_ms").id
    before = desks[0].shown(id)
    assert isinstance(desks[0].approve(id, "otto"), Request)
    in_force(desks[0], POLICIES + "more = research.ml, train_ai_system, user.unique_id, read, -, clear, allow\n")
    assert reason(desks[1].approve(id, "pia", before)) is Reason.CHANGED
    again = desks[1].approve(id, "pia")
    assert isinstance(again, Request)
    assert (again.grant, [each.by.name for each in again.approvals]) == (None, ["pia"])
    done = desks[0].approve(id, "otto")
    assert isinstance(done, Request)
    assert done.grant


def test_a_rule_that_is_only_renamed_leaves_approvals_as_they_are(desks: tuple[Desk, Desk]) -> None:
    id = desks[0].asked("ana", "who", "key_ms").id
    desks[0].approve(id, "otto")
    in_force(desks[0], POLICIES.replace("\nwho     =", "\nwhom    ="))
    done = desks[1].approve(id, "pia")
    assert isinstance(done, Request)
    assert done.grant


def test_what_the_rules_stopped_allowing_is_not_approved(desks: tuple[Desk, Desk]) -> None:
    id = desks[0].asked("ana", "x").id
    shown = desks[0].shown(id)
    in_force(desks[0], "\n".join(line for line in POLICIES.splitlines() if not line.startswith("pointer ")) + "\n")
    refused = desks[1].approve(id, "otto", shown)
    assert code(refused) is Code.NO_RULE
    assert isinstance(refused, Refuse)
    assert refused.help.startswith("deny it")
    denied = desks[1].judging.deny(id, person("otto"), why="no rule any more", at=desks[1].world.now)
    assert isinstance(denied, Request)


def test_a_dataset_that_was_renamed_is_not_approved_and_its_old_owner_can_deny(desks: tuple[Desk, Desk]) -> None:
    id = desks[0].asked("ana", "x").id
    shown = desks[0].shown(id)
    in_force(desks[0], catalog=CATALOG.replace("datasets.events", "datasets.happenings"))
    assert code(desks[1].approve(id, "otto", shown)) is Code.UNKNOWN_DATASET
    assert reason(desks[1].approve(id, "bob", shown)) is Reason.NOT_APPROVER
    assert isinstance(desks[1].judging.deny(id, person("otto"), why="gone", at=desks[1].world.now), Request)


def test_a_filter_that_no_longer_types_is_not_approved(desks: tuple[Desk, Desk]) -> None:
    id = desks[0].asked("ana", "at", rows="x < 500").id
    shown = desks[0].shown(id)
    folder = desks[0].world.folder
    place = folder / "data" / "events" / "part.parquet"
    kept = place.read_bytes()
    text = EVENTS.replace("i::INTEGER AS x", "'n' || i AS x")
    duckdb.sql(f"COPY ({text}) TO '{place}' (FORMAT parquet)")
    try:
        in_force(
            desks[0],
            catalog=CATALOG.replace(
                'x = { class = "user.behavior.pointer", coarse = 100 }', 'x = "user.behavior.pointer"'
            ),
        )
        assert code(desks[1].approve(id, "otto", shown)) is Code.BAD_ROWS
    finally:
        place.write_bytes(kept)


def test_an_approver_who_is_none_any_more_approves_nothing(desks: tuple[Desk, Desk]) -> None:
    id = desks[0].asked("ana", "x").id
    shown = desks[0].shown(id)
    was = person("otto")
    moved = type(was)(was.name, teams=("sales",))
    made = desks[1].judging.approve(id, moved, shown=shown, comment="", at=desks[1].world.now)
    assert reason(made) is Reason.NOT_APPROVER
    tries = search(desks[1].engine, Query(actor="otto", kind="access.refused")).lines
    assert tries[0].doc["details"]["request"] == id


def test_a_service_approves_nothing(desks: tuple[Desk, Desk]) -> None:
    id = desks[0].asked("ana", "x").id
    robot = Principal("robot", "service", ("collection.mci",))
    made = desks[0].judging.approve(id, robot, shown=desks[0].shown(id), comment="", at=desks[0].world.now)
    assert reason(made) is Reason.NOT_APPROVER


def test_while_reading_is_paused_nothing_is_counted(desks: tuple[Desk, Desk]) -> None:
    pauses = PauseStore(desks[0].engine, desks[0].ledger)
    state = desks[0].control.refresh()
    under = Permitted(state.bundle, (), state.epoch)
    one = pauses.set(Pause("dataset", "events", "an incident"), by=person("sam"), at=desks[0].world.now, under=under)
    assert desks[1].asked("kim", "x").reach == {}
    under = Permitted(state.bundle, (), desks[0].control.refresh().epoch)
    assert pauses.propose(one, by=person("sam"), at=desks[0].world.now, why="over", under=under)
    under = Permitted(state.bundle, (), desks[0].control.refresh().epoch)
    assert pauses.lift(one, by=person("olga"), why="over", under=under)
    assert "events" in desks[1].asked("kim", "x").reach


def test_a_deny_on_approving_takes_it_away_from_owners_too(desks: tuple[Desk, Desk]) -> None:
    id = desks[0].asked("ana", "x").id
    shown = desks[0].shown(id)
    in_force(desks[0], POLICIES + "stop = collection, *, user.behavior, approve, -, hidden, deny\n")
    assert reason(desks[1].approve(id, "otto", shown)) is Reason.NOT_APPROVER


def test_a_request_lapses_at_its_end_and_not_before(desks: tuple[Desk, Desk]) -> None:
    first, second = (desks[0].asked("ana", "x", hours=1).id for _ in range(2))
    desks[0].world.now += timedelta(minutes=59, seconds=59)
    assert isinstance(desks[1].approve(first, "otto"), Request)
    desks[0].world.now += timedelta(seconds=1)
    assert reason(desks[1].approve(second, "otto")) is Reason.NOT_OPEN


def test_a_review_that_nobody_closes_is_told_once_a_day_by_one_gateway(desks: tuple[Desk, Desk]) -> None:
    first, second = desks
    request = first.asked("lea", "x", break_glass=True, hours=1)
    assert (first.reviews.remind(), second.reviews.remind()) == (0, 0)
    for _ in range(2):
        first.world.now += timedelta(days=1)
        assert (first.reviews.remind(), second.reviews.remind(), first.reviews.remind()) == (1, 0, 0)
    closed = second.judging.review(request.id, person("otto"), why="an outage", at=first.world.now)
    assert isinstance(closed, Request)
    first.world.now += timedelta(days=1)
    assert (first.reviews.remind(), second.reviews.remind()) == (0, 0)
    told = search(first.engine, Query(kind="review.due", grant=request.grant)).lines
    assert [line.doc["actor"] for line in told] == ["lea", "lea"]


def test_files_that_changed_are_counted_anew_and_others_not(desks: tuple[Desk, Desk]) -> None:
    at = desks[0]
    place = at.world.folder / "data" / "events" / "part.parquet"
    kept = place.read_bytes()
    assert at.asked("kim", "x").reach["events"]["rows"] is None
    many = EVENTS.replace("i % 3", "i % 50")
    duckdb.sql(f"COPY ({many}) TO '{place}' (FORMAT parquet)")
    try:
        in_force(at)
        assert at.asked("kim", "x").reach["events"] == {"rows": 1000, "subjects": 50, "telling": False}
    finally:
        place.write_bytes(kept)


@given(number=st.integers(0, 2**62))
def test_a_rounded_number_has_two_digits_and_is_near(number: int) -> None:
    assert len(str(rounded(number)).rstrip("0")) <= 2
    assert abs(rounded(number) - number) * 20 <= number
    assert rounded(rounded(number)) == rounded(number)


@given(can=st.lists(st.sets(st.sampled_from("abc")).map(lambda each: tuple(sorted(each))), max_size=4))
def test_who_is_missing_does_not_depend_on_who_came_first(can: list[tuple[str, ...]]) -> None:
    assert len({len(missing("abc", order)) for order in (can, can[::-1], sorted(can))}) == 1
