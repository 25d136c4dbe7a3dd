"""Tells once a day of every grant without approval whose review nobody has closed."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, select, update

from audit.entries import Entry, Kind
from audit.ledger import Ledger
from policy.scopes import scope_from_json

from .tables import REQUESTS

DAILY = timedelta(days=1)


class Reviews:
    """Upkeep: to be called every few seconds by every gateway; each review is told of by one of them."""

    def __init__(self, engine: Engine, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._ledger = ledger
        self._clock = clock

    def remind(self) -> int:
        """Write `review.due` for each review that was due a day ago and not told of since; how many."""
        before = self._clock() - DAILY
        with self._engine.connect() as connection:
            if not connection.execute(_due(before)).all():
                return 0
        told: list[int] = []

        def work(connection: Connection) -> Sequence[Entry]:
            # Asked again under the ledger's lock: another gateway may have told meanwhile.
            rows = connection.execute(_due(before)).all()
            ids = [row.id for row in rows]
            connection.execute(update(REQUESTS).where(REQUESTS.c.id.in_(ids)).values(told_at=self._clock()))
            told.append(len(ids))
            return [_entry(row.id, row.requester, row.grant_id, row.scope, row.made_at) for row in rows]

        self._ledger.change(work, raises_epoch=False)
        return told[-1]


def _due(before: datetime):  # type: ignore[no-untyped-def]  # SQLAlchemy's own type says nothing more
    waits = REQUESTS.c.break_glass & REQUESTS.c.reviewed_by.is_(None)
    is_due = (REQUESTS.c.made_at <= before) & ((REQUESTS.c.told_at.is_(None)) | (REQUESTS.c.told_at <= before))
    return select(REQUESTS).where(waits, is_due).order_by(REQUESTS.c.id).limit(100)


def _entry(request: str, requester: str, grant: str, scope: object, made_at: datetime) -> Entry:
    declared = scope_from_json(scope)
    datasets = [one.dataset for one in declared.datasets]
    return Entry(
        Kind.REVIEW_DUE,
        actor=requester,
        dataset=datasets[0] if len(datasets) == 1 else None,
        purpose=declared.purpose,
        grant=grant,
        details={"request": request, "since": made_at.isoformat(), "asked": ", ".join(datasets)},
    )
