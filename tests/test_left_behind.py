"""Grants that the world left behind: their dataset has another name now, or a column another type."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from asking import SENTENCE, approved, looked
from service import CATALOG, EVENTS, Service, scope_of

TYPED = 'x = { class = "user.behavior.pointer", coarse = 100 }'
UNTYPED = 'x = "user.behavior.pointer"'


@contextmanager
def changed(service: Service, catalog: str, events: str = EVENTS) -> Iterator[None]:
    """Another catalog and other events are in force, and then those of before."""
    place = service.folder / "data" / "events" / "part.parquet"
    kept = place.read_bytes()
    try:
        if events != EVENTS:
            duckdb.sql(f"COPY ({events}) TO '{place}' (FORMAT parquet)")
            place.chmod(0o600)
        in_force(service, catalog)
        yield
    finally:
        place.write_bytes(kept)
        place.chmod(0o600)
        in_force(service, CATALOG)


def in_force(service: Service, catalog: str) -> None:
    (service.folder / "catalog.toml").write_text(catalog)
    answer = service.call("POST", "/v1/policy:reload", "eve")
    assert answer.status_code == 200, answer.text


def assert_is_readable(service: Service, request: str, grant: str) -> None:
    """Whoever it concerns still sees what was asked for, approved and read."""
    for who in ("lea", "otto"):
        assert looked(service, request, who)["grant"] == grant
        listed = service.call("GET", "/v1/requests", who)
        assert request in [each["id"] for each in listed.json()["items"]]
    for path in (f"/v1/grants/{grant}", f"/v1/grants/{grant}/reads", "/v1/grants"):
        answer = service.call("GET", path, "lea")
        assert answer.status_code == 200, answer.text
        assert grant in answer.text or path.endswith("reads")
    assert service.call("GET", "/v1/grants:review", "otto").status_code == 200


def test_a_grant_whose_dataset_was_renamed_lets_nobody_read_and_stays_readable(service: Service) -> None:
    request = approved(service, "otto", who="lea", dataset="events", columns=["at", "x"], max_rows=100)
    grant = str(request["grant"])
    assert service.rows("events", "lea", grant=grant, limit=3).num_rows == 3
    with changed(service, CATALOG.replace("datasets.events", "datasets.happenings")):
        assert service.read("events", "lea", grant=grant).json()["code"] == "unknown_dataset"
        assert service.read("happenings", "lea").json()["code"] == "no_grant"
        assert service.read("happenings", "lea", grant=grant).json()["code"] == "no_grant"
        assert_is_readable(service, request["id"], grant)
        again = scope_of(principal="lea", columns=["at"]) | {"justification": SENTENCE, "renews": grant}
        told = service.call("POST", "/v1/requests", "lea", json=again).json()["detail"]
        assert "unknown dataset `events`" in told
        ended = service.call("POST", f"/v1/grants/{grant}:revoke", "lea", json={"why": "it is called otherwise"})
        assert ended.status_code == 200, ended.text
    assert service.read("events", "lea", grant=grant).json()["code"] == "revoked"


def test_a_grant_whose_filter_no_longer_types_lets_nobody_read_and_stays_readable(service: Service) -> None:
    given = {"dataset": "events", "columns": ["at"], "rows": "x < 500"}
    request = approved(service, "otto", who="lea", **given)
    grant = str(request["grant"])
    texts = EVENTS.replace("i::INTEGER AS x", "'n' || i AS x")
    with changed(service, CATALOG.replace(TYPED, UNTYPED, 1), texts):
        refused = service.read("events", "lea", grant=grant)
        assert (refused.status_code, refused.json()["code"]) == (422, "bad_rows")
        assert "does not fit" in refused.json()["detail"]
        assert_is_readable(service, request["id"], grant)
        again = scope_of(principal="lea", **given) | {"justification": SENTENCE, "renews": grant}
        assert service.call("POST", "/v1/requests", "lea", json=again).json()["code"] in ("bad_rows", "bad_request")
    assert service.rows("events", "lea", grant=grant, limit=3).num_rows == 3
