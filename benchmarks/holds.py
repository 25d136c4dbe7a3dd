"""Hold checks: as many alerts as a bad year has, all of their accesses fetched, and each asked in both ways."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
from bundles import bundle_of
from conftest import Database

from audit.ledger import Ledger
from authz.accesses import access_to_json
from authz.grants import GrantStore
from authz.holds import Holds
from policy.bundle import Bundle
from policy.holding import Access, outsiders
from policy.values import Principal, ReadRequest

from .contest import Contest, Goal, timed
from .place import Place
from .scale import Scale

GOAL_SECONDS = 0.001
ALERT = """
    INSERT INTO alerts (severity, state, count, first_seq, last_seq, first_at, last_at, title, evidence)
    VALUES (3, 'resolved', 1, 1, 1, now(), now(), '', '{}') RETURNING id
"""
CHECK = "INSERT INTO hold_checks VALUES (%s, %s, 'events', %s, %s, true, true)"


def contests(place: Place, scale: Scale) -> Iterator[Contest]:
    """One."""
    database, bundle = place.database("held"), bundle_of()
    _fill(database, bundle, scale.holds)
    ledger = Ledger(database.engine(), gateway="bench", clock=lambda: datetime.now(UTC))
    place.stack.callback(ledger.close)
    holds = Holds(database.engine(), GrantStore(database.engine(), ledger))

    def asked() -> int:
        checks = holds.all()
        ways = holds.ask(checks, bundle, (), datetime.now(UTC))
        assert not any(each.by_rules or each.whole for each in ways)
        return len({check.alert for check in checks})

    yield Contest(
        what=f"the hold checks of {scale.holds:,} alerts",
        against="1 ms each",
        goal=Goal("time", 1),
        unit="hold checks",
        how="eleven accesses each, fetched with the grants of whoever asks, each asked by the rules alone and whole",
        ours=lambda: timed(asked),
        theirs=lambda: GOAL_SECONDS,
        cause="Each access is two whole decisions; the database is a twentieth of it.",
    )


def _fill(database: Database, bundle: Bundle, alerts: int) -> None:
    with psycopg.connect(database.url("owner")) as owner, owner.cursor() as cursor:
        for n in range(alerts):
            who = Principal(f"p{n}", teams=("research.ml",), attributes=(("privacy_training", "current"),))
            wide = Access(who, ReadRequest("events", ("screen",), purpose="train_ai_system.computer_use"))
            row = cursor.execute(ALERT).fetchone()
            assert row is not None
            accesses = [wide, *outsiders(wide, bundle)]
            kept = [(row[0], at, json.dumps(access_to_json(each)), at > 1) for at, each in enumerate(accesses, 1)]
            cursor.executemany(CHECK, kept)
