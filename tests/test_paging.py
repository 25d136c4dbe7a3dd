"""A whole gateway calls on-call: from a read over HTTP to a signed webhook and back."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from receivers import Receiver, receiving, wait_until
from service import Service, serving

import remit

if TYPE_CHECKING:
    from tests.conftest import Database

SECRET = b"not a secret, but 32 bytes and more"
LEVELS = '[[levels]]\nchannels = ["pager"]\n[[levels]]\nafter = 10\nchannels = ["lead"]\n'

Paged = tuple[Service, Receiver, Receiver]


@pytest.fixture(scope="module")
def paged(module_database: "Database", folder: Path) -> Iterator[Paged]:
    """A gateway with PagerDuty, as a receiver plays it, and a webhook for the second level."""
    place = Path(tempfile.mkdtemp(dir=folder))
    (place / "key").write_bytes(SECRET)
    (place / "key").chmod(0o600)
    (place / "levels.toml").write_text(LEVELS)
    with receiving(202) as pager, receiving() as lead:
        urls = (
            f"pager=pagerduty+http://{pager.address}?key={place / 'key'}",
            f"lead=remit+http://{lead.address}/page?secret={place / 'key'}",
        )
        settings = {"REMIT_ALERT_URLS": " ".join(urls), "REMIT_ESCALATION": str(place / "levels.toml")}
        with serving(place, module_database.url(), **settings) as service:
            yield service, pager, lead


def metric(service: Service, name: str) -> float:
    lines = service.call("GET", "/metrics", None).text.splitlines()
    return float(next(line for line in lines if line.startswith(name)).rpartition(" ")[2])


def page_about(receiver: Receiver, actor: str) -> dict[str, Any]:
    """The next page about somebody; those of other tests are passed over."""
    while True:
        event = receiver.next().json
        if event.get("payload", {}).get("custom_details", {}).get("actor") == actor:
            return event


def excess_of(service: Service, who: str) -> None:
    grant = service.grant(principal=who, columns=["x"])
    assert service.read(who=who, grant=grant, columns=["x", "screen"]).status_code == 403


def test_an_excess_pages_and_its_acknowledgement_is_told_and_counted(paged: Paged) -> None:
    service, pager, _ = paged
    excess_of(service, "ana")
    event = page_about(pager, "ana")
    assert event["event_action"] == "trigger"
    alert = event["payload"]["custom_details"]["alert"]
    assert event["links"][0]["href"] == f"{service.url}/v1/alerts/{alert}"
    wait_until(lambda: metric(service, 'remit_alerts_open{severity="SEV3"}') >= 1)
    answer = service.call("POST", f"/v1/alerts/{alert}:acknowledge", "olga", json={"why": "looking"})
    assert answer.json()["state"] == "acknowledged"
    while (told := pager.next().json)["event_action"] != "acknowledge":
        """A page of another test."""
    assert told["dedup_key"] == event["dedup_key"]
    still = sum(each["severity"] == 3 and each["state"] == "open" for each in service.alerts())
    wait_until(lambda: metric(service, 'remit_alerts_open{severity="SEV3"}') == still)
    wait_until(lambda: metric(service, 'remit_seconds_to_page{quantile="0.5"}') > 0)
    wait_until(lambda: metric(service, "remit_outbox_waiting") == 0)
    assert metric(service, "remit_alerts_lost") == 0


def test_tokens_refused_in_series_from_one_address_page(paged: Paged) -> None:
    service, pager, _ = paged
    for _ in range(60):
        service.call("GET", "/v1/datasets", None, headers={"Authorization": "Bearer nonsense"})
    event = page_about(pager, "unknown")
    assert event["payload"]["summary"] == "SEV3 tokens are refused in series, all from one address"
    assert "50 refused tokens from 127.0.0.1" in event["payload"]["custom_details"]["asked"]


def test_no_secret_and_no_address_of_a_channel_reaches_logs_ledger_or_outbox(
    paged: Paged, module_database: "Database"
) -> None:
    service, pager, _ = paged
    pager.answers[:] = [500, 202]
    excess_of(service, "lea")
    page_about(pager, "lea")
    page_about(pager, "lea")
    with module_database.engine("owner").connect() as connection:
        kept = connection.exec_driver_sql(
            "SELECT (SELECT json_agg(o)::text FROM outbox o) || (SELECT json_agg(c)::text FROM channels c)"
            " || (SELECT json_agg(e.doc)::text FROM audit_entries e)"
        ).scalar_one()
    assert SECRET.decode() not in kept + service.log()
    assert pager.address not in kept + service.log()


def test_the_second_level_is_called_with_a_webhook_that_its_secret_proves(
    paged: Paged, module_database: "Database"
) -> None:
    service, pager, lead = paged
    excess_of(service, "max")
    page_about(pager, "max")
    with module_database.engine("owner").begin() as connection:
        connection.exec_driver_sql("UPDATE outbox SET due_at = now(), next_at = now() WHERE state = 'waiting'")
    post = lead.next()
    assert remit.verify_webhook(post.body, post.headers, SECRET).event == "raised"
