"""From the outbox to on-call: real receivers that take, refuse, hang and come back; nothing lost, nothing twice."""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from receivers import PATIENCE, mailbox, receiving, wait_until
from sqlalchemy import Connection, event

import remit
from audit.alert_rows import held
from audit.alerts import Alerts
from audit.apprised import BadAlertUrl
from audit.channels import channels_of
from audit.delivery import Delivery
from audit.entries import Entry, Kind
from audit.escalation import Escalation, load_escalation
from audit.figures import Counted
from audit.follower import Follower
from audit.ledger import Ledger
from audit.letters import Event
from audit.outbox import Outbox, enqueue
from audit.sending import wait_after
from audit.severities import Severity
from audit.signals import Alert, signal_of
from audit.states import Event as States
from audit.steps import Doing, step
from audit.trail import after
from audit.watchman import Watchman

if TYPE_CHECKING:
    from tests.conftest import Database

SECRET = secrets.token_bytes(32).hex().encode()
ROUTING = "R0UT1NGK3Y" + secrets.token_hex(11)
LINK = "https://remit.example.com/v1/alerts/1"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with the secrets of a webhook and of PagerDuty."""
    for name, value in {"hook": SECRET, "routing": ROUTING.encode()}.items():
        (tmp_path / name).write_bytes(value + b"\n")
        (tmp_path / name).chmod(0o600)
    return tmp_path


@pytest.fixture(autouse=True)
def _tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.sending.FIRST_WAIT", 0.02)
    monkeypatch.setattr("audit.sending.LONGEST_WAIT", 0.2)
    monkeypatch.setattr("audit.sending.POLL", 0.02)


@dataclass
class Gateway:
    """What a gateway has of alerting and delivery, over a database of the test's own."""

    database: "Database"
    words: list[str]
    name: str = "gateway-1"
    escalation: bytes = b""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.engine = self.database.engine()
        self.ledger = Ledger(self.engine, gateway=self.name, clock=lambda: datetime.now(UTC))
        self.alerts = Alerts(self.engine, self.ledger, clock=lambda: datetime.now(UTC))
        channels = channels_of(self.words, seen_at="https://remit.example.com")
        escalation = load_escalation(self.escalation, channels) if self.escalation else Escalation.to_all(channels)
        self.delivery = Delivery(
            self.engine,
            self.ledger,
            channels,
            escalation,
            gateway=self.name,
            owner_of=lambda dataset: "collection.mci" if dataset else "",
            clock=lambda: self.now,
        )
        self.follower = Follower(self.engine, self.alerts, self.delivery.wake)

    @contextmanager
    def running(self) -> Iterator["Gateway"]:
        with self.delivery, self.follower:
            yield self
        self.ledger.close()

    def refuse(self, actor: str = "ana", sensitivity: str = "high", **fields: Any) -> int:
        """A read beyond scope, as the guard writes it; the number of its entry."""
        details = {"sensitivity": sensitivity, "data_classes": ["user.a"], "declared": "x", "asked": "text"}
        known = {"actor": actor, "dataset": "keystrokes", "code": "beyond_columns", "excess": "beyond"}
        return self.ledger.append(Entry(Kind.READ_REFUSED, **{**known, **fields}, details=details)).seq

    def contain(self, alert: int, by: str) -> None:
        """Take the step alone: what is paused with it is containment's."""

        def work(connection: Connection) -> list[Entry]:
            doing = Doing(States.CONTAINED, by, "closed", datetime.now(UTC))
            return [entry for one in [held(connection, alert)] if one and (entry := step(connection, one, doing))]

        self.ledger.change(work, raises_epoch=False)

    def letters(self, state: str) -> list[tuple[str, str]]:
        """Channel and event of each letter in that state."""
        return [
            (channel, event)
            for channel, event in self.ask(f"SELECT channel, event FROM outbox WHERE state = '{state}' ORDER BY id")
        ]

    def ask(self, query: str) -> list[Any]:
        """As the tables' owner: time passes in a test by setting what stands there."""
        with psycopg.connect(self.database.url("owner"), autocommit=True) as connection:
            done = connection.execute(query)
            return done.fetchall() if done.description else []

    def entries(self, kind: Kind) -> list[dict[str, Any]]:
        return [doc for (doc,) in self.ask(f"SELECT doc FROM audit_entries WHERE doc ->> 'kind' = '{kind}'")]


def hook(address: str, files: Path, name: str = "hook") -> str:
    return f"{name}=remit+http://{address}/page?team=a&secret={files / 'hook'}"


def pager(address: str, files: Path, name: str = "pager") -> str:
    return f"{name}=pagerduty+http://{address}?key={files / 'routing'}"


def test_an_alert_reaches_every_kind_of_channel_with_declared_against_asked_and_what_to_do(
    database: "Database", files: Path
) -> None:
    with receiving() as chat, receiving() as signed, receiving(202) as duty, mailbox() as (mail, mails):
        words = [f"json://{chat.address}/page", hook(signed.address, files), pager(duty.address, files), mail]
        with Gateway(database, words).running() as gateway:
            seq = gateway.refuse(grant="g-7")
            page, post, event, message = chat.next(), signed.next(), duty.next(), mails.get(timeout=PATIENCE)
    title = "SEV3 `ana` asked beyond scope for high data of `keystrokes`: `beyond_columns`"
    lines = str(page.json["message"]).splitlines()
    assert page.json["title"] == post.json["title"] == title
    told = ("declared", "asked", "entries", "see", "contain", "link")
    assert [line for line in lines if line.startswith(told)] == [
        "declared: x",
        "asked:    text",
        f"entries:  {seq}",
        "see:      `remit alerts show 1`",
        "contain:  `remit alerts contain 1`, or only the grant: `remit alerts contain 1 --what grant`",
        f"link:     {LINK}",
    ]
    assert post.path == "/page?team=a"
    assert (post.json["event"], post.json["about"]["alert"], post.json["about"]["asked"]) == ("raised", 1, "text")
    assert post.json["key"] == post.headers["remit-idempotency-key"]
    assert event.path == "/v2/enqueue"
    assert event.json["routing_key"] == ROUTING
    assert event.json["payload"]["summary"] == title
    assert (event.json["payload"]["severity"], event.json["payload"]["source"]) == ("warning", "keystrokes")
    assert event.json["links"][0]["href"] == post.json["about"]["link"] == LINK
    assert "".join(str(message["Subject"]).split()) == "".join(title.split())
    assert "asked:    text" in str(message.get_payload())
    assert f"link:     {LINK}" in str(message.get_payload())


def test_an_alert_with_the_number_of_one_that_a_restore_took_back_is_told_under_a_key_of_its_own(
    database: "Database", files: Path
) -> None:
    with receiving() as receiver, Gateway(database, [hook(receiver.address, files)]).running() as gateway:
        gateway.refuse("ana")
        lost = receiver.next().json
        with database.engine("owner").begin() as connection:
            connection.exec_driver_sql("TRUNCATE alerts, alert_steps, outbox RESTART IDENTITY CASCADE")
        gateway.refuse("lea")
        told = receiver.next().json
    assert told["about"]["alert"] == lost["about"]["alert"] == 1
    assert told["key"] != lost["key"]
    assert told["thread"] != lost["thread"]


def test_one_mail_does_not_wait_for_the_one_before_it(database: "Database") -> None:
    with mailbox() as (mail, mails), Gateway(database, [mail]).running() as gateway:
        people = {f"somebody-{number}" for number in range(6)}
        for actor in people:
            gateway.refuse(actor)
        # Apprise alone would take longer for six than a test has patience.
        wait_until(lambda: mails.qsize() == len(people))


def test_a_receiver_can_tell_that_a_webhook_is_remits_unchanged_and_of_now(database: "Database", files: Path) -> None:
    with receiving() as signed, Gateway(database, [hook(signed.address, files)]).running() as gateway:
        gateway.refuse()
        post = signed.next()
    notice = remit.verify_webhook(post.body, post.headers, SECRET)
    assert (notice.event, notice.severity, notice.key) == ("raised", "SEV3", post.headers["remit-idempotency-key"])
    assert notice.about["alert"] == 1
    upper = {name.title(): value for name, value in post.headers.items()}
    assert remit.verify_webhook(post.body, upper, b"another" * 8, SECRET) == notice
    at = int(post.headers["remit-timestamp"])
    assert remit.verify_webhook(post.body, post.headers, SECRET, at=at + 299) == notice
    changed = post.body.replace(b"SEV3", b"SEV4")
    wrong: list[tuple[bytes, dict[str, str], bytes, float]] = [
        (changed, post.headers, SECRET, at),
        (post.body, post.headers, b"another" * 8, at),
        (post.body, post.headers, SECRET, at + 301),
        (post.body, post.headers, SECRET, at - 301),
        (post.body, {**post.headers, "remit-timestamp": str(at + 1)}, SECRET, at),
        (post.body, {**post.headers, "remit-timestamp": "٣" * 10}, SECRET, at),
        (post.body, {**post.headers, "remit-timestamp": "9" * 5000}, SECRET, at),
        (post.body, {**post.headers, "remit-signature": "v1="}, SECRET, at),
        (post.body, {**post.headers, "remit-signature": "v1=é"}, SECRET, at),
        (post.body, {**post.headers, "remit-signature": post.headers["remit-signature"][3:]}, SECRET, at),
        (post.body, {}, SECRET, at),
        (post.body, post.headers, b"", at),
    ]
    for body, headers, secret, now in wrong:
        with pytest.raises(remit.NotGenuine):
            remit.verify_webhook(body, headers, secret, at=now)


def test_a_pager_gets_trigger_acknowledge_and_resolve_of_one_incident_in_order(
    database: "Database", files: Path
) -> None:
    with receiving(202) as duty, Gateway(database, [pager(duty.address, files)]).running() as gateway:
        gateway.refuse()
        first = duty.next()
        gateway.alerts.acknowledge(1, by="olga", why="looking")
        alert = gateway.alerts.get(1)
        assert alert
        with gateway.engine.begin() as connection:
            enqueue(connection, alert, Event.RESOLVED, by="olga", why="done")
            enqueue(connection, alert, "reopened", by="remit", why="it is open again")
        told = [first, *(duty.next() for _ in range(3))]
        assert [each.json["event_action"] for each in told] == ["trigger", "acknowledge", "resolve", "trigger"]
        assert len({each.json["dedup_key"] for each in told}) == 1
        assert len({each.headers["remit-idempotency-key"] for each in told}) == 4
        gateway.refuse(actor="sam")
        assert duty.next().json["dedup_key"] != told[0].json["dedup_key"]


def test_a_channel_that_hangs_or_fails_holds_up_neither_the_others_nor_the_ledger(
    database: "Database", files: Path
) -> None:
    with ExitStack() as stack:
        hanging, failing, good = (stack.enter_context(receiving(status)) for status in (200, 500, 200))
        hanging.opened.clear()
        words = [hook(hanging.address, files, "hangs"), hook(failing.address, files, "fails")]
        words += ["json://127.0.0.1:1/nobody", hook(good.address, files)]
        gateway = stack.enter_context(Gateway(database, words).running())
        for n in range(3):
            gateway.refuse(actor=f"p{n}")
        assert {good.next().json["about"]["actor"] for _ in range(3)} == {"p0", "p1", "p2"}
        assert not hanging.taken
        assert not failing.taken
        hanging.opened.set()
        wait_until(lambda: len(hanging.taken) == 3)
        failing.answers[:] = [200]
        wait_until(lambda: len(failing.taken) == 3)
        wait_until(lambda: gateway.letters("waiting") == [("json-3", "raised")] * 3)


def test_a_letter_that_was_refused_is_sent_again_under_the_same_key_until_it_is_taken(
    database: "Database", files: Path
) -> None:
    with receiving(500, 503, 404, 302, 200) as signed:
        with Gateway(database, [hook(signed.address, files)]).running() as gateway:
            gateway.refuse()
            wait_until(lambda: signed.taken)
            wait_until(lambda: gateway.letters("delivered"))
        tries = [signed.next() for _ in range(5)]
    assert len({each.headers["remit-idempotency-key"] for each in tries}) == 1
    assert {each.path for each in tries} == {"/page?team=a"}
    assert signed.posts.empty()


def test_retry_after_is_heeded(database: "Database", files: Path) -> None:
    with ExitStack() as stack:
        signed = stack.enter_context(receiving(429, 200, Retry_After="3000"))
        gateway = stack.enter_context(Gateway(database, [hook(signed.address, files)]).running())
        gateway.refuse()
        signed.next()
        wait_until(lambda: gateway.ask("SELECT 1 FROM outbox WHERE fault IS NOT NULL"))
        ((seconds,),) = gateway.ask("SELECT extract(epoch FROM next_at - clock_timestamp())::float FROM outbox")
        assert 2900 < seconds <= 3000
        gateway.ask("UPDATE outbox SET next_at = now()")
        wait_until(lambda: signed.taken)


def test_a_channel_that_is_back_gets_everything_at_once_the_worst_first(database: "Database", files: Path) -> None:
    with ExitStack() as stack:
        signed = stack.enter_context(receiving(503, 503, 503, 200, Retry_After="3000"))
        gateway = stack.enter_context(Gateway(database, [hook(signed.address, files)]).running())
        gateway.refuse(actor="ana")
        gateway.refuse(actor="sam")
        gateway.ledger.append(Entry(Kind.STORE_EXPOSED, "remit", dataset="d"))
        wait_until(lambda: len(gateway.ask("SELECT 1 FROM outbox WHERE fault IS NOT NULL")) == 3)
        gateway.ask("UPDATE outbox SET next_at = now() WHERE letter -> 'about' ->> 'actor' = 'ana'")
        wait_until(lambda: len(signed.taken) == 3)
        assert [post.json["severity"] for post in signed.taken] == ["SEV3", "SEV2", "SEV3"]


def test_waits_double_to_a_bound_and_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [wait_after(attempts, 1.0) for attempts in (1, 2, 3, 4, 9, 10, 1000)] == [1, 2, 4, 8, 256, 300, 300]
    assert [wait_after(attempts, 0.0) for attempts in (1, 2, 10)] == [0.5, 1, 150]


def test_what_nobody_sent_before_the_end_is_sent_after_the_next_start(database: "Database", files: Path) -> None:
    with receiving(500) as signed:
        with Gateway(database, [hook(signed.address, files)]).running() as gateway:
            gateway.refuse()
            first = signed.next()
        signed.answers[:] = [200]
        with Gateway(database, [hook(signed.address, files)], "gateway-2").running():
            wait_until(lambda: signed.taken)
    assert signed.keys == [first.headers["remit-idempotency-key"]]


def test_what_a_gateway_had_taken_when_it_died_is_sent_by_another_at_once_under_the_same_key(
    database: "Database", files: Path
) -> None:
    with receiving() as signed:
        gateway = Gateway(database, [hook(signed.address, files)], "gateway-dead")
        gateway.delivery._postbox.serve()
        gateway.refuse()
        gateway.alerts.take(signals_of(gateway), after=0, upto=1)
        taken = Outbox(gateway.engine, "gateway-dead").claim("hook")
        assert taken
        assert Outbox(gateway.engine, "gateway-2").claim("hook") is None
        Outbox(gateway.engine, "gateway-2").release()
        assert Outbox(gateway.engine, "gateway-2").claim("hook") is None  # its lock is held: it lives
        gateway.ledger.close()
        with Gateway(database, [hook(signed.address, files)], "gateway-2").running():
            assert signed.next().headers["remit-idempotency-key"] == taken.key


def signals_of(gateway: Gateway) -> list[Alert]:
    made = (signal_of(line.seq, line.doc) for line in after(gateway.engine, 0, 1000))
    return [signal for signal in made if signal]


def test_several_gateways_tell_each_alert_once(database: "Database", files: Path) -> None:
    with receiving() as signed, ExitStack() as stack:
        gateways = [
            stack.enter_context(Gateway(database, [hook(signed.address, files)], f"gateway-{n}").running())
            for n in range(3)
        ]
        for n in range(60):
            gateways[n % 3].refuse(actor=f"p{n}")
        wait_until(lambda: len(gateways[0].letters("delivered")) == 60)
        assert len(signed.taken) == 60
        assert {post.json["about"]["actor"] for post in signed.taken} == {f"p{n}" for n in range(60)}


def test_the_alert_and_its_letters_are_there_together_or_not_at_all(database: "Database", files: Path) -> None:
    gateway = Gateway(database, [hook("127.0.0.1:1", files)])
    gateway.delivery._postbox.serve()
    gateway.refuse()
    gateway.ask("REVOKE INSERT ON outbox FROM remit_gateway")
    with pytest.raises(Exception, match="permission denied"):
        gateway.alerts.take(signals_of(gateway), after=0, upto=1)
    assert gateway.alerts.list() == ()
    gateway.ask("GRANT INSERT ON outbox TO remit_gateway")
    assert len(gateway.alerts.take(signals_of(gateway), after=0, upto=1) or ()) == 1
    assert gateway.letters("waiting") == [("hook", "raised")]
    gateway.ledger.close()


def test_ten_thousand_excesses_in_a_minute_make_a_handful_of_messages_and_lose_no_evidence(
    database: "Database", files: Path
) -> None:
    with receiving() as signed, Gateway(database, [hook(signed.address, files)]).running() as gateway:
        details = {"sensitivity": "high", "data_classes": ["user.a"]}
        flood = [
            Entry(Kind.READ_REFUSED, f"p{n % 3}", dataset="d", code="beyond_rows", excess="beyond", details=details)
            for n in range(10_000)
        ]
        gateway.ledger.change(lambda _: flood, raises_epoch=False)
        wait_until(lambda: gateway.follower.following.lag == 0 and len(gateway.alerts.list()) == 3)
        wait_until(lambda: not gateway.letters("waiting"))
        assert len(signed.taken) == 3
        assert sum(alert.count for alert in gateway.alerts.list()) == 10_000
        assert len(gateway.entries(Kind.READ_REFUSED)) == 10_000


@contextmanager
def statements(gateway: Gateway, seen: Callable[[Any, str, Any], None]) -> Iterator[None]:
    """`seen` gets the cursor, text and parameters of each statement before it is sent."""

    def sent(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        seen(cursor, statement, parameters)

    event.listen(gateway.engine, "before_cursor_execute", sent)
    try:
        yield
    finally:
        event.remove(gateway.engine, "before_cursor_execute", sent)


def test_many_alerts_and_their_letters_need_no_more_statements_than_one(database: "Database", files: Path) -> None:
    gateway = Gateway(database, [hook("127.0.0.1:1", files), "json://127.0.0.1:1/nobody"])
    gateway.delivery._postbox.serve()
    counts = []
    for number in (1, 400):
        upto = [gateway.refuse(actor=f"p{number}-{n}") for n in range(number)][-1]
        signals = [each for each in signals_of(gateway) if each.last_seq > upto - number]
        sent: list[str] = []
        with statements(gateway, lambda _, statement, __, sent=sent: sent.append(statement)):  # type: ignore[misc]
            raised = gateway.alerts.take(signals, after=upto - number, upto=upto)
        assert len(raised or ()) == number
        gateway.ask(f"UPDATE alert_cursor SET seq = {upto + number}")  # past what was raised
        counts.append(len(sent))
    assert counts[0] == counts[1]
    assert len(gateway.letters("waiting")) == 2 * 401
    gateway.ledger.close()


def test_a_letter_is_found_among_many_that_nobody_counted_without_comparing_each_with_each(
    database: "Database", files: Path
) -> None:
    gateway = Gateway(database, [hook("127.0.0.1:1", files)])
    gateway.delivery._postbox.serve()
    gateway.ask("ALTER TABLE outbox SET (autovacuum_enabled = off)")
    for n in range(400):
        gateway.refuse(actor=f"p{n}")
    assert gateway.alerts.take(signals_of(gateway), after=0, upto=400)
    plans: list[str] = []

    def explained(cursor: Any, statement: str, parameters: Any) -> None:
        if "UPDATE outbox" in statement:
            cursor.execute(f"EXPLAIN {statement}", parameters)
            plans.append("\n".join(line for (line,) in cursor.fetchall()))

    with statements(gateway, explained):
        assert Outbox(gateway.engine, "gateway-1").claim("hook")
    (plan,) = plans
    assert "Anti Join" in plan
    assert "Nested Loop" not in plan, plan
    gateway.ledger.close()


LEVELS = b"""
[[levels]]
channels = ["first"]
[[levels]]
after = 15
channels = ["lead"]
[digest]
at = "08:00"
channels = ["first"]
[owners]
"collection.mci" = ["owners"]
"""


@pytest.fixture
def levels(database: "Database", files: Path) -> Iterator[tuple[Gateway, Any, Any, Any]]:
    with receiving() as first, receiving() as lead, receiving() as owners:
        places = {"first": first, "lead": lead, "owners": owners}
        words = [hook(place.address, files, name) for name, place in places.items()]
        with Gateway(database, words, escalation=LEVELS).running() as gateway:
            yield gateway, first, lead, owners


def test_the_next_level_is_called_when_nobody_acknowledges_in_time(levels: tuple[Any, ...]) -> None:
    gateway, first, lead, _ = levels
    gateway.refuse()
    first.next()
    wait_until(lambda: gateway.letters("delivered") == [("first", "raised")])
    ((minutes,),) = gateway.ask(
        "SELECT extract(epoch FROM due_at - now())::float / 60 FROM outbox WHERE channel = 'lead'"
    )
    assert 14 < minutes <= 15
    assert lead.posts.empty()
    gateway.ask("UPDATE outbox SET due_at = due_at - interval '15 min', next_at = next_at - interval '15 min'")
    assert lead.next().json["event"] == "raised"


def test_whoever_acknowledges_calls_off_the_next_level_and_only_who_was_called_hears_of_it(
    levels: tuple[Any, ...],
) -> None:
    gateway, first, lead, _ = levels
    gateway.refuse()
    first.next()
    gateway.alerts.acknowledge(1, by="olga", why="looking")
    told = first.next()
    assert told.json["title"].startswith("acknowledged by olga: SEV3")
    assert told.json["about"]["why"] == "looking"
    assert gateway.letters("not_needed") == [("lead", "raised")]
    assert lead.posts.empty()


def test_what_a_gateway_contained_by_itself_still_calls_the_next_level_until_somebody_is_on_it(
    levels: tuple[Any, ...],
) -> None:
    gateway, first, lead, _ = levels
    gateway.refuse()
    first.next()
    gateway.contain(1, by="remit")
    first.next()
    assert ("lead", "raised") in gateway.letters("waiting")
    gateway.alerts.acknowledge(1, by="olga", why="looking")
    assert first.next().json["event"] == "acknowledged"
    assert gateway.letters("not_needed") == [("lead", "raised")]
    assert lead.posts.empty()


def test_sev4_calls_nobody_and_is_told_to_the_owner_once_a_day(levels: tuple[Any, ...]) -> None:
    gateway, first, lead, owners = levels
    for actor in ("ana", "sam", "ana"):
        gateway.refuse(actor=actor, sensitivity="low", code="no_grant", excess="outside")
    gateway.ledger.append(Entry(Kind.ACCESS_REFUSED, "bob", code="no_rule", excess="outside"))
    wait_until(lambda: sum(alert.count for alert in gateway.alerts.list()) == 4)
    gateway.delivery.look()
    assert not gateway.letters("waiting") + gateway.letters("delivered")
    gateway.now = (gateway.now + timedelta(days=1)).replace(hour=8, minute=0)
    for _ in range(3):
        gateway.delivery.look()
    told, rest = owners.next(), first.next()
    assert told.json["title"].endswith("excesses on `keystrokes`: 3, by 2")
    assert told.json["about"]["owner"] == "collection.mci"
    assert rest.json["title"].endswith("excesses on `remit`: 1, by 1")
    wait_until(lambda: not gateway.letters("waiting"))
    gateway.now += timedelta(hours=15)
    gateway.delivery.look()
    gateway.now += timedelta(days=1)  # nothing new
    gateway.delivery.look()
    gateway.refuse(sensitivity="low", code="no_grant", excess="outside")
    wait_until(lambda: sum(alert.count for alert in gateway.alerts.list()) == 5)
    gateway.now += timedelta(days=4)  # nobody ran for days: one letter for all of them
    gateway.delivery.look()
    assert owners.next().json["about"]["alerts"] == told.json["about"]["alerts"][:1]
    assert owners.posts.empty()
    assert lead.posts.empty()


def test_a_dead_channel_is_told_on_the_others_once_and_so_is_its_return(database: "Database", files: Path) -> None:
    with receiving(500) as dead, receiving() as good:
        words = [hook(dead.address, files, "dead"), hook(good.address, files, "good")]
        with Gateway(database, words).running() as gateway:
            gateway.refuse()
            assert good.next().json["about"]["actor"] == "ana"
            wait_until(lambda: gateway.ask("SELECT 1 FROM channels WHERE failures > 5"))
            gateway.delivery.look()
            assert not gateway.entries(Kind.DELIVERY_BEHIND)
            gateway.ask("UPDATE channels SET failing_since = failing_since - interval '2 min' WHERE name = 'dead'")
            for _ in range(3):
                gateway.delivery.look()
            told = good.next().json["about"]
            assert (told["line"], told["actor"], told["severity"]) == ("delivery_behind", "remit/dead", 3)
            assert "it answered 500" in told["asked"]
            dead.answers[:] = [200]
            wait_until(lambda: not gateway.letters("waiting"))
            for _ in range(3):
                gateway.delivery.look()
            assert len(gateway.entries(Kind.DELIVERY_BEHIND)) == len(gateway.entries(Kind.DELIVERY_BACK)) == 1
            assert len(dead.taken) == 2
    assert "127.0.0.1" not in json.dumps(gateway.entries(Kind.DELIVERY_BEHIND))


def test_a_channel_that_hangs_is_told_on_the_others_when_its_letters_are_late(
    database: "Database", files: Path
) -> None:
    with receiving() as hanging, receiving() as good:
        hanging.opened.clear()
        words = [hook(hanging.address, files, "hangs"), hook(good.address, files, "good")]
        with Gateway(database, words).running() as gateway:
            gateway.refuse()
            good.next()
            hanging.next()
            gateway.ask("UPDATE outbox SET due_at = due_at - interval '6 min' WHERE channel = 'hangs'")
            gateway.delivery.look()
            assert good.next().json["about"]["line"] == "delivery_behind"
            hanging.opened.set()


def test_what_a_channel_left_that_no_gateway_serves_any_more_is_told_on_the_others(
    database: "Database", files: Path
) -> None:
    with receiving(500) as old, receiving() as new:
        with Gateway(database, [hook(old.address, files, "old")]).running() as gateway:
            gateway.refuse()
            wait_until(lambda: gateway.ask("SELECT 1 FROM outbox WHERE fault IS NOT NULL"))
        with Gateway(database, [hook(new.address, files, "new")], "gateway-2").running() as gateway:
            gateway.delivery.look()
            assert new.posts.empty()
            gateway.ask("UPDATE channels SET served_at = served_at - interval '1 hour' WHERE name = 'old'")
            gateway.delivery.look()
            assert new.next().json["about"]["actor"] == "ana"
            assert gateway.letters("moved") == [("old", "raised")]
            assert gateway.ask("SELECT name FROM channels") == [("new",)]


def test_alerting_that_stands_still_is_told_though_the_follower_is_dead_and_counted_once(
    database: "Database", files: Path
) -> None:
    with receiving() as signed:
        gateway = Gateway(database, [hook(signed.address, files)])
        watchman = Watchman(gateway.engine, gateway.ledger, gateway.alerts, gateway.delivery.wake)
        with gateway.delivery:
            gateway.ledger.append(Entry(Kind.READ_COMPLETED, "ana"))
            watchman.look()
            gateway.ask("UPDATE alerting SET moved_at = moved_at - interval '2 min'")
            for _ in range(3):
                watchman.look()
            told = signed.next().json
            assert told["title"].startswith("SEV3 alerting stands still")
            assert "1 entry was not looked at" in told["about"]["asked"]
            with gateway.follower:
                wait_until(lambda: gateway.follower.following.lag == 0)
            watchman.look()
            gateway.delivery.look()
        assert [(alert.code, alert.count) for alert in gateway.alerts.list()] == [("alerting_blind", 1)]
        assert len(gateway.entries(Kind.ALERTING_BLIND)) == len(gateway.entries(Kind.ALERTING_BACK)) == 1
        assert signed.posts.empty()
        gateway.ledger.close()


def test_a_service_that_was_stopped_as_a_whole_is_not_taken_for_blind(database: "Database", files: Path) -> None:
    gateway = Gateway(database, [])
    watchman = Watchman(gateway.engine, gateway.ledger, gateway.alerts, gateway.delivery.wake)
    watchman.look()
    gateway.ledger.append(Entry(Kind.READ_COMPLETED, "ana"))
    gateway.ask(
        "UPDATE alerting SET moved_at = moved_at - interval '1 day', watched_at = watched_at - interval '1 day'"
    )
    watchman.look()
    assert not gateway.entries(Kind.ALERTING_BLIND)
    gateway.ledger.close()


def test_the_figures_say_what_is_open_what_waits_and_that_nothing_is_lost(database: "Database", files: Path) -> None:
    with receiving(500) as signed, Gateway(database, [hook(signed.address, files)]).running() as gateway:
        counted = Counted(gateway.engine)
        gateway.refuse()
        signed.next()
        counted.look()
        assert counted.figures.open[Severity.SEV3] == 1
        assert (counted.figures.waiting, counted.figures.lost, counted.figures.behind) == (1, 0, 0)
        assert counted.figures.to_contain["0.5"] != counted.figures.to_contain["0.5"], "nothing was contained yet"
        assert counted.figures.age > 0
        gateway.contain(1, by="remit")
        counted.look()
        assert counted.figures.open[Severity.SEV3] == 1
        assert counted.figures.to_contain["0.5"] > 0
        signed.answers[:] = [200]
        wait_until(lambda: gateway.letters("delivered"))
        gateway.alerts.acknowledge(1, by="olga", why="")
        wait_until(lambda: not gateway.letters("waiting"))
        counted.look()
        assert (counted.figures.open[Severity.SEV3], counted.figures.waiting) == (0, 0)
        assert counted.figures.to_page["0.5"] > 0
        assert counted.figures.to_acknowledge["0.99"] > 0
        gateway.ask("DELETE FROM outbox")
        counted.look()
        assert counted.figures.lost == 1


def test_what_is_open_again_is_paged_and_acknowledged_from_then_on_in_the_figures(
    database: "Database", files: Path
) -> None:
    with receiving() as signed, Gateway(database, [hook(signed.address, files)]).running() as gateway:
        gateway.refuse()
        wait_until(lambda: gateway.letters("delivered"))
        gateway.ask("UPDATE alerts SET state = 'resolved', first_at = first_at - interval '3 days'")
        gateway.ask("UPDATE outbox SET settled_at = settled_at - interval '3 days'")
        details = {"alert": 1, "path": "whole"}
        gateway.ledger.append(Entry(Kind.HOLD_OPENED, "remit", dataset="keystrokes", details=details))
        wait_until(lambda: ("hook", "reopened") in gateway.letters("delivered"))
        gateway.alerts.acknowledge(1, by="olga", why="on it")
        counted = Counted(gateway.engine)
        counted.look()
        assert 0 < counted.figures.to_page["0.99"] < timedelta(days=1).total_seconds()
        assert 0 < counted.figures.to_acknowledge["0.99"] < timedelta(days=1).total_seconds()


BAD_WORDS = [
    ("nonsense", "is not one that apprise understands"),
    ("nobody-knows://hunter2@x", "is not one that apprise understands"),
    ("slack://hunter2", "is not one that apprise understands"),
    ("", "is not one that apprise understands"),
    ("remit+https://example.com/hunter2", "is without its file: add \\?secret=FILE"),
    ("remit+http://example.com/hunter2?secret=hook", "is not https://"),
    ("remit+https://a:hunter2@example.com/?secret=hook", "is not an address"),
    ("remit+https://example.com/?secret=open", "can be reached by other users"),
    ("remit+https://example.com/?secret=short", "is signed with a secret of fewer than 32 bytes"),
    ("pagerduty+https://example.com", "is without its file: add \\?key=FILE"),
    ("pagerduty+https://example.com?key=nowhere", "No such file"),
    ("first=json://127.0.0.1/", "has the name of another, `first`"),
]


@pytest.mark.parametrize(("word", "why"), BAD_WORDS)
def test_an_address_that_is_not_understood_stops_the_start_and_is_not_told(word: str, why: str, files: Path) -> None:
    for name, value, mode in (("open", SECRET, 0o644), ("short", b"hunter2", 0o600)):
        (files / name).write_bytes(value)
        (files / name).chmod(mode)
    here = Path.cwd()
    os.chdir(files)
    try:
        with pytest.raises(BadAlertUrl, match=f"`REMIT_ALERT_URLS`: address 2.*{why}") as raised:
            channels_of(["first=json://127.0.0.1:9/", word], seen_at="")
    finally:
        os.chdir(here)
    assert "hunter2" not in str(raised.value)


def test_a_page_holds_no_link_but_its_alerts_and_no_picture_for_a_chat_to_fetch(database: "Database") -> None:
    with receiving() as mattermost:
        word = f"mmost://{mattermost.address}/3ccdd113474722377935511fc85d3dd4"
        with Gateway(database, [word]).running() as gateway:
            gateway.refuse()
            page = mattermost.next().json
    assert "SEV3 `ana`" in str(page["text"])
    assert "http" not in json.dumps(page).replace(LINK, "")


def test_without_channels_alerts_are_kept_and_nothing_fails(database: "Database") -> None:
    with Gateway(database, []).running() as gateway:
        gateway.refuse()
        wait_until(lambda: gateway.alerts.list())
        gateway.delivery.look()
        counted = Counted(gateway.engine)
        counted.look()
        assert (counted.figures.waiting, counted.figures.lost) == (0, 0)
