"""What folds into one alert, and what is kept of it."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Barrier, Thread
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import text

from audit.alerts import Alerts
from audit.entries import Entry, Kind
from audit.errors import NotRecorded
from audit.folding import QUIET, fold
from audit.ledger import Ledger
from audit.letters import Event, letter_of
from audit.severities import Severity
from audit.signals import Alert, signal_of
from audit.trail import after

if TYPE_CHECKING:
    from tests.conftest import Database

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def signal(seq: int, minutes: float = 0, **fields: object) -> Alert:
    """A signal of one refused read: `sensitivity` and `classes` go into its details."""
    details = {"sensitivity": fields.pop("sensitivity", "low"), "data_classes": fields.pop("classes", ["user.a"])}
    at = (START + timedelta(minutes=minutes)).isoformat()
    document = {"kind": "read.refused", "actor": "ana", "dataset": "keystrokes", "grant": "g1", "code": "no_rule"}
    made = signal_of(seq, {**document, "excess": "beyond", "at": at, **fields, "details": details})
    assert made is not None
    return made


def stored(*signals: Alert) -> list[Alert]:
    """Alerts as they would be stored one after the other: one fold for each signal."""
    alerts: dict[int, Alert] = {}
    for each in signals:
        folded = fold(alerts.values(), [each])
        alerts |= {alert.id: alert for alert in folded.counted}
        alerts |= {len(alerts) + n: replace(a, id=len(alerts) + n) for n, a in enumerate(folded.raised, 1)}
    return list(alerts.values())


def test_the_same_again_is_one_alert_that_counts_up() -> None:
    (alert,) = stored(signal(3), signal(5, 10), signal(8, 65))
    assert (alert.count, alert.first_seq, alert.last_seq) == (3, 3, 8)
    assert alert.evidence.entries == (3, 5, 8)
    assert (alert.first_at, alert.last_at) == (START, START + timedelta(minutes=65))


@pytest.mark.parametrize("field", ["actor", "dataset", "grant", "code"])
def test_another_principal_dataset_grant_or_code_is_another_alert(field: str) -> None:
    assert [alert.count for alert in stored(signal(1), signal(2, **{field: "other"}))] == [1, 1]


def test_an_hour_of_quiet_ends_an_alert() -> None:
    hour = QUIET.total_seconds() / 60
    assert len(stored(signal(1), signal(2, hour))) == 1
    assert len(stored(signal(1), signal(2, hour + 0.001))) == 2


def test_what_follows_a_resolved_alert_is_a_new_one() -> None:
    (first,) = stored(signal(1))
    resolved = replace(first, state="resolved")
    assert fold([resolved], [signal(2, 1)]).raised[0].count == 1


def test_what_follows_an_acknowledged_alert_counts_on() -> None:
    (first,) = stored(signal(1))
    folded = fold([replace(first, state="acknowledged")], [signal(2, 1)])
    assert (folded.raised, folded.counted[0].count) == ((), 2)


def test_a_rise_in_severity_is_never_folded_away() -> None:
    alerts = stored(signal(1), signal(2, 1, sensitivity="high"), signal(3, 2, sensitivity="critical"), signal(4, 3))
    assert [(alert.severity, alert.count) for alert in alerts] == [(Severity.SEV4, 2), (Severity.SEV3, 2)]


def test_a_new_data_class_is_never_folded_away_and_a_known_one_raises_nothing_more() -> None:
    asked = (["user.a"], ["user.a", "user.b"], ["user.b"], ["user.a"])
    alerts = stored(*(signal(n, n, classes=classes) for n, classes in enumerate(asked, 1)))
    assert [alert.data_classes for alert in alerts] == [{"user.a"}, {"user.a", "user.b"}]
    assert sum(alert.count for alert in alerts) == 4


def test_a_quiet_sev3_is_not_kept_alive_by_sev4_entries() -> None:
    drip = [signal(n + 2, 10 * n) for n in range(1, 10)]
    alerts = stored(signal(1), signal(2, sensitivity="high"), *drip, signal(20, 95, sensitivity="high"))
    assert [alert.severity for alert in alerts].count(Severity.SEV3) == 2


def test_no_more_alerts_than_classes_however_they_are_mixed() -> None:
    names = [f"user.{n}" for n in range(6)]
    mixes = [[name for bit, name in enumerate(names) if mix & 1 << bit] for mix in range(1, 64)]
    assert len(stored(*(signal(n, classes=mix) for n, mix in enumerate(mixes, 1)))) <= len(names)


def test_a_flood_does_not_grow_an_alert_without_end() -> None:
    (alert,) = fold([], [signal(n) for n in range(1, 5001)]).raised
    assert alert.count == 5000
    assert alert.evidence.entries == (*range(1, 11), *range(4991, 5001))


def test_folding_in_one_go_or_one_by_one_is_the_same() -> None:
    signals = [
        signal(n, n * 7 % 90, code=f"c{n % 4}", dataset=f"d{n % 3}", sensitivity=("low", "high")[n % 2])
        for n in range(1, 40)
    ]
    signals = [replace(s, last_at=START + timedelta(minutes=n), first_at=s.first_at) for n, s in enumerate(signals)]
    alone = sorted(stored(*signals), key=lambda alert: (alert.first_seq, alert.code))
    at_once = sorted(fold([], signals).raised, key=lambda alert: (alert.first_seq, alert.code))
    assert [replace(alert, id=0) for alert in alone] == at_once


def test_a_message_says_what_is_declared_asked_and_given_and_what_to_do() -> None:
    details = {"sensitivity": "high", "data_classes": ["user.a"], "declared": "x, y", "asked": "text\nmore"}
    document = {"kind": "read.refused", "actor": "ana", "dataset": "prompts", "code": "beyond_columns", "grant": "g-7"}
    made = signal_of(41, {**document, "excess": "beyond", "at": "2026-11-21T08:00:00.5Z", "details": details})
    assert made is not None
    letter = letter_of(replace(made, id=7), Event.RAISED, "thread")
    assert letter["title"] == "SEV3 `ana` asked beyond scope for high data of `prompts`: `beyond_columns`"
    assert re.findall(r"^(\w+): +(.*)$", letter["body"], re.MULTILINE) == [
        ("declared", "x, y"),
        ("asked", "text more"),
        ("given", "no rows: the read was refused"),
        ("classes", "user.a"),
        ("when", "2026-11-21 08:00:00 UTC"),
        ("entries", "41"),
        ("see", "`remit alerts show 7`"),
        ("next", "ask `ana` what it was for, and contain it where there is no good answer"),
        ("contain", "`remit alerts contain 7`, or only the grant: `remit alerts contain 7 --what grant`"),
    ]


@pytest.mark.parametrize(
    ("kind", "proposed"),
    [
        (Kind.AUDIENCE_EXCEEDED, "`remit alerts contain 7`"),
        (Kind.HOLD_OPENED, "`remit alerts contain 7`"),
        (Kind.STORE_EXPOSED, ""),
    ],
)
def test_a_page_of_a_sev2_proposes_to_contain_it_with_one_command_where_a_pause_helps(
    kind: Kind, proposed: str
) -> None:
    document = {"kind": kind, "actor": "remit", "dataset": "prompts", "details": {"path": "rules"}}
    made = signal_of(41, {**document, "at": "2026-11-21T08:00:00.5Z"})
    assert made is not None
    assert made.severity is Severity.SEV2
    body = letter_of(replace(made, id=7), Event.RAISED, "thread")["body"]
    assert re.findall("^contain: +(.*)$", body, re.MULTILINE) == ([proposed] if proposed else [])


@pytest.fixture
def ledger(database: "Database") -> Iterator[Ledger]:
    made = Ledger(database.engine(), gateway="test", clock=lambda: datetime.now(UTC))
    yield made
    made.close()


@pytest.fixture
def alerts(database: "Database", ledger: Ledger) -> Alerts:
    return Alerts(database.engine(), ledger, clock=lambda: START)


def test_a_stored_alert_is_read_back_as_it_was(alerts: Alerts) -> None:
    (raised,) = alerts.take([signal(1, sensitivity="high", classes=["user.b", "user.a"])], after=0, upto=1) or ()
    assert alerts.get(raised.id) == raised
    assert alerts.list() == (raised,)


@pytest.mark.parametrize("seed", range(10))
def test_what_is_raised_and_counted_is_what_it_would_be_beside_all_alerts_there_are(alerts: Alerts, seed: int) -> None:
    chance, minutes, kept, seq = Random(seed), 0.0, dict[int, Alert](), 0
    for _ in range(30):
        batch = []
        for _ in range(chance.randint(1, 5)):
            seq, minutes = seq + 1, minutes + chance.choice((0, 0, 1, 3, 9, 40))
            fields = {"actor": ("ana", "bob"), "dataset": ("d", "e", None), "grant": ("g", "h", None)}
            fields |= {"code": ("revoked", "expired", "no_rule"), "sensitivity": ("low", "high")}
            fields |= {"classes": (["a"], ["b"], ["a", "b"]), "kind": (*["read.refused"] * 4, "store.exposed")}
            batch.append(signal(seq, minutes, **{name: chance.choice(values) for name, values in fields.items()}))
        folded = fold(kept.values(), batch)
        kept |= {alert.id: alert for alert in folded.counted}
        kept |= {id: replace(alert, id=id) for id, alert in enumerate(folded.raised, len(kept) + 1)}
        alerts.take(batch, after=seq - len(batch), upto=seq)
    assert {alert.id: alert for alert in alerts.list(limit=1_000)} == kept
    assert {"several_excesses", "no_rule"} <= {alert.code for alert in kept.values()}


def test_raising_is_an_entry_that_names_the_alert(alerts: Alerts, database: "Database") -> None:
    (raised,) = alerts.take([signal(1)], after=0, upto=1) or ()
    (line,) = after(database.engine(), 0, 10)
    assert (line.doc["kind"], line.doc["dataset"], line.doc["grant"]) == ("alert.raised", "keystrokes", "g1")
    assert line.doc["details"] == {
        "alert": raised.id,
        "severity": "SEV4",
        "principal": "ana",
        "data_classes": ["user.a"],
        "entries": [1],
    }


def test_entries_that_were_taken_are_never_taken_again(alerts: Alerts) -> None:
    alerts.take([signal(1)], after=0, upto=1)
    assert alerts.take([signal(1)], after=0, upto=1) is None
    assert [alert.count for alert in alerts.list()] == [1]


def test_two_gateways_that_take_the_same_entries_raise_once(database: "Database", alerts: Alerts) -> None:
    ledgers = [Ledger(database.engine(), gateway=f"gateway-{n}", clock=lambda: datetime.now(UTC)) for n in range(2)]
    start, raised = Barrier(2), []

    def take(own: Alerts) -> None:
        start.wait()
        for n in range(20):
            raised.extend(own.take([signal(n + 1, code=f"c{n}", excess="outside")], after=n, upto=n + 1) or ())

    gateways = [Thread(target=take, args=(Alerts(database.engine(), own, clock=lambda: START),)) for own in ledgers]
    for gateway in gateways:
        gateway.start()
    for gateway in gateways:
        gateway.join()
    for own in ledgers:
        own.close()
    kept = alerts.list()
    assert sorted(alert.id for alert in raised) == sorted(alert.id for alert in kept)
    assert len({alert.key for alert in kept}) == len(kept)


def test_a_gateway_waits_for_the_one_that_is_counting_and_counts_nothing_twice(
    alerts: Alerts, database: "Database"
) -> None:
    alerts.take([signal(1)], after=0, upto=1)
    late = Thread(target=alerts.take, args=([signal(2, 1)],), kwargs={"after": 1, "upto": 2})
    with database.engine("owner").begin() as other, database.engine("owner").connect() as watch:
        other.execute(text("UPDATE alert_cursor SET seq = 2"))
        late.start()
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name AND wait_event_type = 'Lock'")
        while late.is_alive() and not watch.execute(waiting, {"name": database.name}).scalar_one():
            watch.rollback()
            time.sleep(0.01)
    late.join()
    assert [alert.count for alert in alerts.list()] == [1]


def test_nobody_who_appends_waits_for_alerts_that_are_being_stored(
    alerts: Alerts, ledger: Ledger, database: "Database"
) -> None:
    with psycopg.connect(database.url("owner")) as other, ThreadPoolExecutor(1) as pool:
        other.execute("LOCK TABLE alerts IN SHARE MODE")
        taking = pool.submit(alerts.take, [signal(1)], after=0, upto=1)
        while other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (1,):
            assert not taking.done(), "nothing waited for the table"
            time.sleep(0.01)
        assert ledger.append(Entry(Kind.READ_REFUSED, "ana", code="no_grant")).seq == 1
        other.rollback()
        assert taking.result() is not None
    assert [line.doc["kind"] for line in after(database.engine(), 0, 9)] == ["read.refused", "alert.raised"]


def test_acknowledging_says_who_and_why_and_is_an_entry(alerts: Alerts, database: "Database") -> None:
    (raised,) = alerts.take([signal(1)], after=0, upto=1) or ()
    acknowledged = alerts.acknowledge(raised.id, by="olga", teams=["on_call"], why="asking ana")
    assert acknowledged == replace(
        raised, state="acknowledged", acknowledged_by="olga", acknowledged_at=START, acknowledged_why="asking ana"
    )
    line = after(database.engine(), 1, 10)[0]
    assert (line.doc["kind"], line.doc["actor"], line.doc["teams"]) == ("alert.acknowledged", "olga", ["on_call"])
    assert line.doc["details"]["alert"] == raised.id
    assert line.doc["details"]["why"] == "asking ana"


def test_a_second_acknowledgement_changes_nothing_and_writes_nothing(alerts: Alerts, ledger: Ledger) -> None:
    (raised,) = alerts.take([signal(1)], after=0, upto=1) or ()
    first = alerts.acknowledge(raised.id, by="olga", why="asking ana")
    size = ledger.head().size
    assert alerts.acknowledge(raised.id, by="eve", why="all is well") == first
    assert ledger.head().size == size


def test_of_many_acknowledgements_at_once_one_counts(alerts: Alerts, database: "Database") -> None:
    (raised,) = alerts.take([signal(1)], after=0, upto=1) or ()
    people = [Thread(target=alerts.acknowledge, args=(raised.id,), kwargs={"by": f"p{n}", "why": ""}) for n in range(8)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    acknowledged = [line for line in after(database.engine(), 0, 99) if line.doc["kind"] == Kind.ALERT_ACKNOWLEDGED]
    assert [line.doc["actor"] for line in acknowledged] == [alerts.list()[0].acknowledged_by]


def test_counting_on_does_not_undo_an_acknowledgement(alerts: Alerts) -> None:
    (raised,) = alerts.take([signal(1)], after=0, upto=1) or ()
    alerts.acknowledge(raised.id, by="olga", why="")
    assert alerts.take([signal(2, 1)], after=1, upto=2) == ()
    assert [(alert.count, alert.state, alert.acknowledged_by) for alert in alerts.list()] == [
        (2, "acknowledged", "olga")
    ]


def test_an_alert_that_cannot_be_recorded_is_not_raised_and_its_entry_is_not_taken(
    alerts: Alerts, database: "Database"
) -> None:
    with database.engine("owner").begin() as owner:
        owner.execute(text("REVOKE INSERT ON audit_entries FROM PUBLIC, remit_gateway"))
    with pytest.raises(NotRecorded):
        alerts.take([signal(1)], after=0, upto=1)
    with database.engine("owner").begin() as owner:
        owner.execute(text("GRANT INSERT ON audit_entries TO remit_gateway"))
    assert alerts.list() == ()
    assert len(alerts.take([signal(1)], after=0, upto=1) or ()) == 1


def test_an_alert_that_is_not_there_is_none(alerts: Alerts) -> None:
    for id in (0, -1, 1, 2**63 - 1, 2**63, 2**200):
        assert alerts.get(id) is None
        assert alerts.acknowledge(id, by="olga", why="") is None
        assert alerts.list(before=id) == ()


def test_a_list_is_newest_first_and_pages_by_the_last_id(alerts: Alerts) -> None:
    alerts.take([signal(n, code="no_rule", actor=f"p{n}") for n in range(1, 8)], after=0, upto=7)
    first = alerts.list(limit=3)
    rest = alerts.list(before=first[-1].id)
    assert [alert.actor for alert in (*first, *rest)] == [f"p{n}" for n in range(7, 0, -1)]
    alerts.acknowledge(first[0].id, by="olga", why="")
    assert alerts.list(state="acknowledged")[0].id == first[0].id
    assert len(alerts.list(state="open")) == 6


def test_hostile_names_reach_the_store_and_the_ledger_whole(
    alerts: Alerts, ledger: Ledger, database: "Database"
) -> None:
    name = (
        "ana'; drop table alerts;-- \u202e\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16") + "x" * 9000
    )
    ledger.append(Entry(Kind.READ_REFUSED, name, dataset="d", code="no_rule", excess="outside"))
    (line,) = after(database.engine(), 0, 10)
    made = signal_of(line.seq, line.doc)
    assert made is not None
    (raised,) = alerts.take([made], after=0, upto=1) or ()
    assert alerts.get(raised.id) == raised
    assert raised.actor == name
