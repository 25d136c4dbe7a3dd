"""What was closed is asked again and again: by one gateway at a time, told when it changes, and contained by itself."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

import pytest
from bundles import bundle_of
from service import POLICIES
from sqlalchemy import text

from audit.alerts import Alerts
from audit.entries import Entry, Kind
from audit.errors import StaleEpoch
from audit.follower import Follower
from audit.ledger import Ledger
from audit.severities import Severity
from audit.signals import Alert, signal_of
from audit.states import State
from audit.trail import after
from authz.acceptances import Acceptances
from authz.alone import Alone
from authz.containment import Containment, Lifting, StillOpen
from authz.control import Control
from authz.errors import BundleHeld
from authz.gate import Gate
from authz.grants import GrantStore
from authz.hold_runs import HoldRuns
from authz.holds import Holds
from authz.in_force import InForceStore
from authz.measures import Measure
from authz.pauses import PauseStore
from authz.permit import Permitted
from authz.records import Records
from policy.bundle import Bundle
from policy.scopes import scope_from_json
from policy.values import GrantStatus, Pause, Principal

if TYPE_CHECKING:
    from tests.conftest import Database

PURPOSE = "train_ai_system.computer_use"
BUNDLE = bundle_of()
FOR_THE_TRAINED = bundle_of(
    POLICIES + "screens = research.ml, train_ai_system, user.content.screen, read, trained, clear, allow\n"
)
WIDER = bundle_of(POLICIES + "screens = research.ml, train_ai_system, user.content.screen, read, -, clear, allow\n")
OLGA, OTTO = Principal("olga", teams=("on_call",)), Principal("otto", teams=("on_call",))
EVENTS = Measure("dataset", "events")


def now() -> datetime:
    return datetime.now(UTC)


class Gateway:
    """What a gateway has of containment, over a database of the test's own."""

    def __init__(self, database: "Database", name: str = "one", worst: Severity | None = Severity.SEV1) -> None:
        self.engine = database.engine()
        self.owner = database.engine("owner")
        self.ledger = Ledger(self.engine, gateway=name, clock=now)
        self.alerts = Alerts(self.engine, self.ledger, clock=now)
        self.grants = GrantStore(self.engine, self.ledger)
        self.pauses = PauseStore(self.engine, self.ledger)
        self.holds = Holds(self.engine, self.grants)
        self.gate = Gate(self.engine, self.ledger, self.holds, self.pauses, now)
        self.files: Bundle = BUNDLE
        self.control = Control(self.ledger, InForceStore(self.engine), lambda: self.files, BUNDLE, self.gate)
        self.containment = Containment(
            self.engine,
            self.ledger,
            alerts=self.alerts,
            grants=self.grants,
            pauses=self.pauses,
            holds=self.holds,
            clock=now,
        )
        self.runs = HoldRuns(self.engine, self.ledger, self.holds, now)
        self.alone = Alone(self.alerts, self.containment, self.control, worst=worst, clock=now)
        self.control.activate(BUNDLE, actor="test")

    @property
    def under(self) -> Permitted:
        state = self.control.refresh()
        return Permitted(state.bundle, (), state.epoch)

    def run(self) -> bool:
        """A run that is due."""
        with self.owner.begin() as owner:
            owner.execute(text("UPDATE hold_run SET at = at - interval '1 minute'"))
        return self.runs.run(self.control.refresh)

    def follow(self) -> list[Alert]:
        """Raise what the ledger says since the last time."""
        told: list[Alert] = []
        follower = Follower(self.engine, self.alerts, told.append)
        while follower._look():
            pass
        return told

    def excess(self, column: str = "screen") -> Alert:
        """An alert about ana, who asked for `column`."""
        details = {
            "principal": {"kind": "person", "attributes": {"privacy_training": "current"}},
            "columns": [column],
            "sensitivity": "high",
        }
        asked = {"dataset": "events", "purpose": PURPOSE, "code": "beyond_columns", "excess": "beyond"}
        self.ledger.append(Entry(Kind.READ_REFUSED, "ana", ("research.ml",), **asked, details=details))
        return self.follow()[-1]

    def grant(self, *columns: str) -> str:
        scope = {
            "principal": "ana",
            "purpose": PURPOSE,
            "starts": (now() - timedelta(hours=1)).isoformat(),
            "ends": (now() + timedelta(hours=1)).isoformat(),
            "justification": "a test",
            "datasets": {"events": {"columns": list(columns)}},
        }
        declared, records = scope_from_json(scope), Records(bytes(32))
        return self.grants.add(declared, by=OLGA, at=now(), under=self.under, records=records).id

    def contain(self, alert: Alert, measure: Measure = EVENTS) -> Alert:
        assert self.containment.contain(alert, measure, by=OLGA, why="a test", under=self.under)
        return self.again(alert)

    def resolve(self, alert: Alert) -> StillOpen | bool:
        return self.containment.resolve(self.again(alert), by=OLGA, why="a test", under=self.under)

    def lift(self, who: Principal) -> StillOpen | Lifting | None:
        (one,) = self.pauses.in_force()
        return self.containment.lift(one, by=who, why="a test", under=self.under)

    def again(self, alert: Alert) -> Alert:
        found = self.alerts.get(alert.id)
        assert found is not None
        return found

    def entries(self, kind: str) -> list[dict[str, Any]]:
        return [dict(line.doc) for line in after(self.engine, 0, 10_000) if line.doc["kind"] == kind]


@pytest.fixture
def gateway(database: "Database") -> Iterator[Gateway]:
    made = Gateway(database)
    yield made
    made.ledger.close()


def accept(gateway: Gateway, bundle: Bundle) -> None:
    gateway.files = bundle
    for who in (OLGA, OTTO):
        gateway.control.accept(bundle.digest, by=who, why="a test")
    gateway.control.reload(actor="eve")


def test_what_is_open_by_the_rules_is_a_sev2_and_what_is_open_whole_brings_its_sev_back(gateway: Gateway) -> None:
    alert = gateway.excess()
    gateway.contain(alert, Measure("principal", "ana"))
    assert gateway.resolve(alert) is True
    for who in (OLGA, OTTO):
        assert isinstance(gateway.lift(who), Lifting)
    accept(gateway, WIDER)
    assert gateway.run()
    (raised,) = [each for each in gateway.follow() if each.code == "hold_open_by_rules"]
    assert raised.severity is Severity.SEV2
    gateway.grant("screen")
    assert gateway.run()
    (back,) = gateway.follow()
    assert (back.id, back.state, back.severity) == (alert.id, State.REOPENED, Severity.SEV1)
    assert gateway.run()
    assert gateway.follow() == []
    gateway.alone.look()
    assert gateway.again(alert).state == State.CONTAINED
    assert gateway.run()
    assert [entry["details"]["path"] for entry in gateway.entries("hold.closed")] == ["whole"]


def test_two_people_accept_a_single_access_that_is_open_again_by_its_name_and_then_it_is_asked_no_more(
    gateway: Gateway,
) -> None:
    alert = gateway.excess()
    gateway.contain(alert)
    assert gateway.resolve(alert) is True
    for who in (OLGA, OTTO):
        gateway.lift(who)
    accept(gateway, FOR_THE_TRAINED)
    gateway.grant("screen")
    assert gateway.run()
    (back,) = (each for each in gateway.follow() if each.id == alert.id)
    gateway.alone.look()
    acceptances = Acceptances(gateway.ledger, gateway.holds, gateway.pauses, now)
    opened = acceptances.opened(back, FOR_THE_TRAINED)
    assert isinstance(gateway.resolve(alert), StillOpen)
    accepted = [acceptances.accept(opened, by=who, why="meant", under=gateway.under) for who in (OLGA, OLGA, OTTO)]
    assert [each.is_enough for each in accepted] == [False, False, True]
    assert [each["details"]["by"] for each in gateway.entries("hold.accepted")] == [
        ["olga"],
        ["olga"],
        ["olga", "otto"],
    ]
    assert acceptances.opened(back, FOR_THE_TRAINED).found == ()
    assert gateway.resolve(alert) is True
    for who in (OLGA, OTTO):
        assert isinstance(gateway.lift(who), Lifting)
    assert gateway.run()
    assert gateway.follow() == []
    assert gateway.again(alert).state == State.RESOLVED
    gateway.files = WIDER
    with pytest.raises(BundleHeld):  # what nobody accepted stays tested
        gateway.control.reload(actor="eve")


def test_what_is_accepted_is_what_is_open_then_and_another_name_after_the_alert_counted_again(gateway: Gateway) -> None:
    alert = gateway.contain(gateway.excess())
    acceptances = Acceptances(gateway.ledger, gateway.holds, gateway.pauses, now)
    assert acceptances.opened(alert, BUNDLE).found == ()
    opened = acceptances.opened(alert, WIDER)
    assert opened.found
    assert opened.name != acceptances.opened(replace(alert, last_seq=alert.last_seq + 1), WIDER).name
    stale = replace(gateway.under, epoch=0)
    with pytest.raises(StaleEpoch):
        acceptances.accept(opened, by=OLGA, why="late", under=stale)
    assert gateway.entries("hold.accepted") == []


def test_a_pause_is_not_lifted_and_an_alert_not_resolved_while_only_the_pause_closes_it(gateway: Gateway) -> None:
    gateway.grant("screen")
    gateway.files = WIDER
    gateway.control.reload(actor="eve")
    alert = gateway.contain(gateway.excess())
    for who in (OLGA, OTTO):
        still = gateway.lift(who)
        assert isinstance(still, StillOpen)
        assert {check.held.access.principal.name for check in still.checks} == {"ana"}
    assert isinstance(gateway.resolve(alert), StillOpen)
    assert not gateway.entries("pause.lift_proposed")
    gateway.files = BUNDLE
    gateway.control.reload(actor="eve")
    assert gateway.resolve(alert) is True
    assert gateway.lift(OLGA) is not None
    gateway.files = WIDER
    with pytest.raises(BundleHeld):
        gateway.control.reload(actor="eve")
    lifted = gateway.lift(OTTO)
    assert isinstance(lifted, Lifting)
    assert lifted.is_lifted


def test_a_grant_of_what_the_rules_allow_and_was_only_not_granted_is_no_hole(gateway: Gateway) -> None:
    gateway.ledger.append(
        Entry(
            Kind.READ_REFUSED,
            "ana",
            ("research.ml",),
            dataset="events",
            purpose=PURPOSE,
            code="no_grant",
            excess="outside",
            details={
                "principal": {"kind": "person", "attributes": {"privacy_training": "current"}},
                "asked_columns": ["x"],
            },
        )
    )
    (alert,) = gateway.follow()
    gateway.contain(alert)
    gateway.grant("x")
    assert gateway.lift(OLGA)
    assert gateway.lift(OTTO)
    assert gateway.run()
    assert gateway.follow() == []


@pytest.mark.parametrize("is_resolved", [False, True])
def test_an_alert_that_is_contained_by_its_grant_keeps_what_was_too_wide(gateway: Gateway, is_resolved: bool) -> None:
    gateway.files = FOR_THE_TRAINED
    gateway.control.reload(actor="eve")
    own = gateway.grant("x")
    alert = gateway.excess()
    gateway.contain(alert, Measure("grant", own))
    if is_resolved:
        assert gateway.resolve(alert) is True
    gateway.grant("screen")
    assert gateway.run()
    (back,) = gateway.follow()
    assert (back.id, back.severity, back.state) == (alert.id, Severity.SEV1, State.REOPENED)


def test_a_grant_that_nobody_approved_is_not_resumed_unseen_after_it_was_contained(gateway: Gateway) -> None:
    own = gateway.grant("x")
    details = {
        "principal": {"kind": "person", "attributes": {"privacy_training": "current"}},
        "scope": {"datasets": {"events": {"columns": ["x"]}}},
    }
    asked = {"dataset": "events", "purpose": PURPOSE, "grant": own}
    gateway.ledger.append(Entry(Kind.GRANT_BREAK_GLASS, "ana", ("research.ml",), **asked, details=details))
    (alert,) = gateway.follow()
    gateway.contain(alert, Measure("grant", own))
    assert gateway.run()
    assert gateway.follow() == []
    gateway.grants.change(own, GrantStatus.ACTIVE, by=OLGA, why="a test", under=gateway.under)
    assert gateway.run()
    (back,) = gateway.follow()
    assert (back.id, back.severity, back.state) == (alert.id, Severity.SEV1, State.REOPENED)


def test_one_person_never_lifts_a_pause_however_often_they_ask(gateway: Gateway) -> None:
    gateway.contain(gateway.excess())
    assert isinstance(gateway.lift(OLGA), Lifting)
    assert gateway.lift(OLGA) is None
    assert gateway.lift(replace(OLGA, teams=())) is None
    assert len(gateway.pauses.in_force()) == 1


def test_an_acceptance_is_for_what_was_open_then_and_for_once(gateway: Gateway) -> None:
    first = gateway.excess()
    gateway.contain(first, Measure("principal", "ana"))
    gateway.files = WIDER
    for who in (OLGA, OTTO):
        gateway.control.accept(WIDER.digest, by=who, why="a test")
    details = {"principal": {"attributes": {"privacy_training": "current"}}, "columns": ["screen"]}
    asked = {"dataset": "events", "purpose": PURPOSE, "code": "wrong_purpose", "excess": "beyond"}
    gateway.ledger.append(Entry(Kind.READ_REFUSED, "max", ("research.ml",), **asked, details=details))
    gateway.contain(gateway.follow()[-1], Measure("principal", "max"))
    with pytest.raises(BundleHeld) as held:
        gateway.control.reload(actor="eve")
    assert len(held.value.alerts) == 2
    accept(gateway, WIDER)
    gateway.run()
    gateway.files = BUNDLE
    gateway.control.reload(actor="eve")
    gateway.run()
    gateway.files = WIDER
    with pytest.raises(BundleHeld):
        gateway.control.reload(actor="eve")


def test_checks_are_run_once_a_minute_by_one_of_all_gateways_and_told_once_an_hour(
    gateway: Gateway, database: "Database"
) -> None:
    gateway.contain(gateway.excess())
    other = Gateway(database, "two")
    assert gateway.run()
    assert not other.runs.run(other.control.refresh)
    with database.engine("owner").begin() as somebody:
        somebody.execute(text("SELECT pg_advisory_xact_lock(7237124811)"))
        assert not other.run()
    assert other.run()
    (said,) = gateway.entries("hold.checked")
    assert said["details"]["checks"] == len(gateway.holds.all())
    with database.engine("owner").begin() as owner:
        owner.execute(text("UPDATE hold_run SET said_at = said_at - interval '1 hour'"))
    assert gateway.run()
    assert [entry["details"]["runs"] for entry in gateway.entries("hold.checked")] == [1, 2]
    other.ledger.close()


def sev1(gateway: Gateway, dataset: str | None = "events") -> Alert:
    """A SEV1 of a dataset, raised and then nothing: as after a crash."""
    document = {"kind": "hold.opened", "actor": "remit", "dataset": dataset, "at": now().isoformat(), "details": {}}
    signal = signal_of(1, document)
    assert signal is not None
    (raised,) = gateway.alerts.take([signal], after=0, upto=1)
    return raised


def test_what_a_crash_left_uncontained_is_contained_by_whoever_looks_next_and_once(
    gateway: Gateway, database: "Database"
) -> None:
    alert = sev1(gateway)
    gateways = [gateway, *(Gateway(database, name) for name in ("two", "three"))]
    start = Barrier(len(gateways))

    def look(own: Gateway) -> None:
        start.wait()
        for _ in range(5):
            own.alone.look()

    threads = [Thread(target=look, args=(each,)) for each in gateways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gateway.alone.look()
    assert gateway.again(alert).state == State.CONTAINED
    assert gateway.again(alert).acknowledged_by is None
    assert [(one.pause.kind, one.pause.target) for one in gateway.pauses.in_force()] == [("dataset", "events")]
    assert len(gateway.entries("alert.contained")) == 1
    for each in gateways[1:]:
        each.ledger.close()


@pytest.mark.parametrize(("worst", "dataset"), [(None, "events"), (Severity.SEV1, "gone"), (Severity.SEV1, None)])
def test_nothing_contains_itself_where_it_is_switched_off_or_there_is_no_such_dataset(
    database: "Database", worst: Severity | None, dataset: str | None
) -> None:
    gateway = Gateway(database, worst=worst)
    sev1(gateway, dataset)
    gateway.alone.look()
    assert gateway.pauses.in_force() == ()
    gateway.ledger.close()


@pytest.mark.parametrize(
    ("worst", "dataset", "severity", "hurries"),
    [
        (Severity.SEV1, "events", Severity.SEV1, True),
        (Severity.SEV2, "events", Severity.SEV1, True),
        (Severity.SEV1, "events", Severity.SEV2, False),
        (Severity.SEV1, None, Severity.SEV1, False),
        (None, "events", Severity.SEV1, False),
    ],
)
def test_only_an_alert_that_may_contain_itself_is_looked_at_at_once(
    database: "Database", worst: Severity | None, dataset: str | None, severity: Severity, hurries: bool
) -> None:
    gateway = Gateway(database, worst=worst)
    gateway.alone.tell(replace(sev1(gateway, dataset), severity=severity))
    assert gateway.alone.hurry.is_set() == hurries
    gateway.ledger.close()


def test_a_suspension_of_a_principal_outlives_a_restart_and_names_its_alert(
    gateway: Gateway, database: "Database"
) -> None:
    alert = gateway.contain(gateway.excess(), Measure("principal", "ana"))
    (one,) = Gateway(database, "two").pauses.in_force()
    assert (one.pause, one.alert) == (Pause("principal", "ana", f"alert {alert.id}: a test"), alert.id)
