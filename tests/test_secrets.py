"""Secrets planted wherever somebody can write or a fault can happen: none comes out where it does not belong."""

import base64
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from conftest import Database
from service import Service, serving
from wire import Wire

from audit.engines import engine_for
from audit.errors import AuditError
from audit.restored import origin_of
from audit.verify import verify

PLANTED = "pl4nted-s3cret"
PASSWORD, HOOK = "passw0rd-of-the-database", "h00k-of-the-webhook"
SECONDS = 60
"""How long a page may take on a machine that does much else."""


@dataclass(frozen=True, slots=True)
class Told:
    """Everything that was kept or told, by where; what was answered; and what nobody may find in any of it."""

    kept: Mapping[str, str]
    answers: str
    secrets: tuple[str, ...]


@pytest.fixture(scope="module")
def told(module_database: Database, folder: Path) -> Iterator[Told]:
    """A gateway with secrets in its settings, to which everything happens; a webhook that answers 404 to all of it."""
    place = Path(tempfile.mkdtemp(dir=folder))
    parts = urlsplit(module_database.url())
    url = urlunsplit(parts._replace(netloc=f"{parts.netloc.partition('@')[0]}:{PASSWORD}@"))
    hook = Wire()
    address = hook.url.replace("http://", "json://")
    try:
        with serving(place, url, REMIT_ALERT_URLS=f"{address}/{HOOK}?+X-Key={HOOK}") as service:
            answers, tokens = planted_everywhere(service)
            answers += broken(service, module_database, hook)
            shown = shown_by(service)
            service.stop()  # then it has said all that it will
            home = place / "home"
            *_, signs = (home / "ledger.key").read_text().strip().split("+", 4)  # base64 has pluses too
            master = (home / "master.key").read_bytes()
            secrets = (PASSWORD, HOOK, signs, master.hex(), base64.b64encode(master).decode(), *tokens)
            yield Told(shown | written(service, module_database), "\n".join(answers), secrets)
    finally:
        hook.close()


def planted_everywhere(service: Service) -> tuple[list[str], list[str]]:
    """Plants it in every field, header, query and body that there is; what was answered, and parts of tokens sent."""
    grant = service.grant(columns=["x"], justification="why")
    fields = ("dataset", "grant", "purpose", "rows", "limit", "columns", "training_run", PLANTED)
    bodies = [{"dataset": "events", "grant": grant, field: PLANTED} for field in fields]
    bodies += [{"dataset": "events", "grant": grant, "columns": [PLANTED]}]
    bodies += [{"dataset": "events", "rows": f"{column} = '{PLANTED}'"} for column in ("who", "x", PLANTED)]
    answers = [service.call("POST", "/v1/reads", json=body) for body in bodies]
    raw = [f'{{"dataset": "events", "{PLANTED}"', f'{{"{PLANTED}": 1, "{PLANTED}": 2}}', PLANTED, f"\x00{PLANTED}"]
    for path, who in (("/v1/reads", "ana"), ("/v1/grants", "eve"), ("/v1/alerts/1:acknowledge", "olga")):
        answers += [service.call("POST", path, who, content=body.encode()) for body in raw]
    for name in ("Accept", "Content-Type", "User-Agent", "Cookie", "X-Forwarded-For", "Traceparent", PLANTED):
        answers.append(service.call("POST", "/v1/reads", json={"dataset": "events"}, headers={name: PLANTED}))
    good = service.token("ana")
    answers += [service.call("GET", f"/v1/{PLANTED}"), service.call("GET", f"/v1/datasets/{PLANTED}")]
    answers += [service.call("GET", f"/v1/datasets?{PLANTED}={PLANTED}&access_token={good}")]
    answers += [service.call("DELETE", f"/v1/datasets?token={PLANTED}")]
    forged = [PLANTED, f"{good}{PLANTED}", f"{PLANTED}.{PLANTED}.{PLANTED}", good[:-3], good]
    forged += [f"{_encoded({'alg': PLANTED, 'kid': PLANTED})}.{good.split('.')[1]}.{PLANTED}"]
    for token in forged:
        answers.append(service.call("GET", "/v1/datasets", None, headers={"Authorization": f"Bearer {token}"}))
    _, claims, signature = good.split(".")
    return [answer.text for answer in answers if answer.status_code >= 400], [claims[:60], signature[:60]]


def _encoded(header: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")


def broken(service: Service, database: Database, hook: Wire) -> list[str]:
    """What is answered while the database hangs up on everybody and nobody takes the page."""
    answers = [service.read(columns=["key_ms"]).text]  # beyond the scope, on sensitive data: that pages
    until = time.monotonic() + SECONDS
    while not hook.asked:
        assert time.monotonic() < until, service.log()[-4000:]
        time.sleep(0.05)
    assert HOOK in str(hook.asked[0]), "the webhook gets what is its own"
    with psycopg.connect(database.url("owner"), autocommit=True) as owner:
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    return [*answers, service.read(grant="g").text, service.call("GET", "/v1/datasets").text]


def shown_by(service: Service) -> dict[str, str]:
    """What the gateway shows of itself, once it is well again."""
    until = time.monotonic() + SECONDS
    while service.call("GET", "/readyz", None).status_code != 200:
        assert time.monotonic() < until, service.log()[-4000:]
        time.sleep(0.05)
    asked = {"/metrics": None, "/readyz": None, "/openapi.json": None, "/v1/alerts": "olga"}
    asked |= {"/v1/audit/checkpoint": "sam", "/v1/audit/entries?limit=1000": "sam", "/v1/grants": "eve"}
    return {path: service.call("GET", path, who).text for path, who in asked.items()}


def written(service: Service, database: Database) -> dict[str, str]:
    """Everything that is kept, by where: every table of the database, the log, the files beside the keys."""
    kept = {"log": service.log()}
    for path in (service.folder / "home").rglob("*"):
        if path.is_file() and path.suffix != ".key":
            kept[path.name] = path.read_text("latin-1")
    with psycopg.connect(database.url("owner")) as owner:
        tables = owner.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        for (table,) in tables.fetchall():
            kept[table] = "\n".join(text for (text,) in owner.execute(f"SELECT t::text FROM {table} t"))
    return kept


def test_what_is_planted_in_fields_headers_queries_bodies_and_tokens_is_neither_kept_nor_told(told: Told) -> None:
    assert len(told.kept["audit_entries"].splitlines()) > 20, "it was refused and recorded"
    for place, text in told.kept.items():
        for secret in (PLANTED, PLANTED.encode().hex(), base64.b64encode(PLANTED.encode()).decode().rstrip("=")):
            found = text.find(secret)
            assert found < 0, (place, text[max(0, found - 300) : found + 100])


def test_keys_passwords_webhooks_and_tokens_come_out_nowhere_also_where_something_breaks(told: Told) -> None:
    everywhere = told.kept | {"answers": told.answers}
    found = [(place, secret) for place, text in everywhere.items() for secret in told.secrets if secret in text]
    assert found == []


@pytest.mark.parametrize("password", [f"%{PASSWORD}", f"x@{PASSWORD}", f"x@@{PASSWORD}", f"x%zz{PASSWORD}"])
def test_a_password_that_is_not_written_as_a_url_wants_it_is_not_told_on_the_way_out(password: str) -> None:
    for opened in (engine_for, verify, origin_of):
        with pytest.raises(AuditError, match=r"not libpq's: .* in a password") as refused:
            opened(f"postgresql://remit_gateway:{password}@127.0.0.1:1/remit")
        assert PASSWORD not in str(refused.value)
