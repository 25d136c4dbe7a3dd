"""Grants as they are kept: added, revoked, suspended and charged in PostgreSQL, each change with its entry."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, func, insert, or_, select, text, update

from audit.entries import Entry, Kind
from audit.errors import NotRecorded
from audit.ledger import Ledger
from policy.lifecycle import becomes
from policy.names import ancestry
from policy.scopes import scope_from_json, scope_to_json
from policy.values import Grant, GrantStatus, Principal, Scope

from .permit import Permitted
from .records import Records
from .tables import GRANT_DATASETS, GRANT_SUBJECTS, GRANTS

KIND_OF = {
    GrantStatus.ACTIVE: Kind.GRANT_RESUMED,
    GrantStatus.SUSPENDED: Kind.GRANT_SUSPENDED,
    GrantStatus.REVOKED: Kind.GRANT_REVOKED,
}
"""The entry that each change of status leaves."""

# Grants beside the control epoch that they were found under, also where there is none.
_NAMED = text(
    """
    SELECT head.epoch, grants.id, scope, status, rows_used, subjects, is_spent, added_at
    FROM audit_head AS head LEFT JOIN (
        grants LEFT JOIN grant_subjects ON grant_subjects.grant_id = grants.id
    ) ON grants.id = :named
    """
)
# An hour more than in force: the decision goes by the gateway's clock, which may differ from the database's.
_CANDIDATES = text(
    """
    SELECT head.epoch, grants.id, scope, status, rows_used, subjects, is_spent, added_at
    FROM audit_head AS head LEFT JOIN (
        grants LEFT JOIN grant_subjects ON grant_subjects.grant_id = grants.id
    ) ON grants.id IN (
        SELECT grant_id FROM grant_datasets
        WHERE dataset = :dataset AND (principal = :principal OR team = ANY(:teams)) AND ends > now() - interval '1 hour'
        UNION ALL (
            SELECT grant_id FROM grant_datasets
            WHERE dataset = :dataset AND principal = :principal AND ends <= now() - interval '1 hour'
            ORDER BY ends DESC LIMIT 1
        )
        UNION ALL
        SELECT grant_id FROM unnest(CAST(:teams AS text[])) AS own (team), LATERAL (
            SELECT grant_id FROM grant_datasets
            WHERE dataset = :dataset AND team = own.team AND ends <= now() - interval '1 hour'
            ORDER BY ends DESC LIMIT 1
        ) AS ended
    ) ORDER BY grants.id
    """
)
_OF_MANY = text(
    """
    SELECT id, scope, status, rows_used, subjects, is_spent, added_at
    FROM grants LEFT JOIN grant_subjects ON grant_subjects.grant_id = grants.id WHERE id IN (
        SELECT grant_id FROM grant_datasets WHERE dataset = ANY(:datasets) AND ends > now() - interval '1 hour'
            AND (principal = ANY(:principals) OR team = ANY(:teams))
    ) ORDER BY id
    """
)
_CHARGE = text(
    """
    WITH held AS (
        SELECT id, least(CAST(:rows AS bigint), (scope->>'max_rows')::bigint - rows_used) AS given
        FROM grants WHERE id = :grant FOR UPDATE
    )
    UPDATE grants SET rows_used = rows_used + held.given FROM held WHERE grants.id = held.id AND held.given > 0
    RETURNING held.given
    """
)
_REFUND = text("UPDATE grants SET rows_used = rows_used - :rows WHERE id = :grant AND rows_used >= :rows")


class GrantStore:
    """Grants and their budgets. Every method speaks to PostgreSQL; faults are SQLAlchemy's.

    What changes a grant raises `NotRecorded`, or `StaleEpoch` where `under` was permitted under an older epoch.
    """

    def __init__(self, engine: Engine, ledger: Ledger) -> None:
        # What changes a grant goes through the ledger; all else is one statement, which needs no BEGIN and COMMIT.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._ledger = ledger

    def candidates(self, principal: Principal, dataset: str, named: str | None = None) -> tuple[int, list[Grant]]:
        """Grants of `principal` or its teams that name `dataset`, whatever became of them, ordered by id.

        Before them the control epoch under which they were found; `NotRecorded` where the ledger has lost its head.

        Of those that have ended there is the last one for each of them: each ended grant is refused alike, and a read
        must not cost more for all that there ever were. Where one is `named` it alone is looked at, whosever it is.
        """
        query, sought = _NAMED, dict[str, object](named=named)
        if named is None:
            teams = sorted({outer for team in principal.teams for outer in ancestry(team)})
            query, sought = _CANDIDATES, {"principal": principal.name, "teams": teams, "dataset": dataset}
        with self._engine.connect() as connection:
            found = connection.execute(query, sought).all()
        if not found:
            raise NotRecorded("audit_head has lost its row; run `remit audit verify`")
        return found[0].epoch, [_grant(row) for row in found if row.id is not None]

    def get(self, grant: str) -> Grant | None:
        """The grant with this id, or None."""
        with self._engine.connect() as connection:
            row = connection.execute(_with_subjects().where(GRANTS.c.id == grant)).one_or_none()
        return _grant(row) if row else None

    def page(self, principal: Principal | None, before: str | None, limit: int) -> list[Grant]:
        """Up to `limit` grants, newest id first, below `before`; of `principal` and its teams, or everybody's."""
        query = _with_subjects().order_by(GRANTS.c.id.desc()).limit(limit)
        if principal is not None:
            teams = sorted({outer for team in principal.teams for outer in ancestry(team)})
            query = query.where(or_(GRANTS.c.principal == principal.name, GRANTS.c.team.in_(teams)))
        if before is not None:
            query = query.where(GRANTS.c.id < before)
        with self._engine.connect() as connection:
            return [_grant(row) for row in connection.execute(query)]

    def of_datasets(self, datasets: Sequence[str], after: str, limit: int) -> list[Grant]:
        """Up to `limit` grants above `after` on these datasets that have not ended nor been revoked, oldest first."""
        named = select(GRANT_DATASETS.c.grant_id).where(GRANT_DATASETS.c.dataset.in_(datasets))
        living = GRANTS.c.id.in_(named) & (GRANTS.c.ends > func.now()) & (GRANTS.c.status != GrantStatus.REVOKED.value)
        with self._engine.connect() as connection:
            query = _with_subjects().where(living & (GRANTS.c.id > after)).order_by(GRANTS.c.id).limit(limit)
            return [_grant(row) for row in connection.execute(query)]

    def add(self, scope: Scope, *, by: Principal, at: datetime, under: Permitted, records: Records) -> Grant:
        """Put a grant in and record its text, without literals that name somebody; the control epoch rises with it."""
        grant = Grant(new_grant_id(at), scope)
        declared = records.declared(scope, under.bundle)

        def work(connection: Connection) -> Sequence[Entry]:
            put(connection, grant, by=by.name, at=at)
            return [_entry(Kind.GRANT_ADDED, grant, by, under, {"scope": declared})]

        self._ledger.change(work, epoch=under.epoch)
        return grant

    def change(self, grant: str, status: GrantStatus, *, by: Principal, why: str, under: Permitted) -> Grant | None:
        """Set what became of a grant, with its entry and a new control epoch; None where there is no such grant.

        A grant that is revoked stays revoked: then nothing changes, and it is returned as it is.
        """
        changed: list[Grant | None] = []

        def work(connection: Connection) -> Sequence[Entry]:
            after, entries = self.put_status(connection, grant, status, by=by, why=why, under=under)
            changed.append(after)
            return entries

        self._ledger.change(work, epoch=under.epoch)
        return changed[-1]

    def put_status(
        self, connection: Connection, grant: str, status: GrantStatus, *, by: Principal, why: str, under: Permitted
    ) -> tuple[Grant | None, list[Entry]]:
        """As `change`, within a change of the ledger: the grant as it is then, and the entry where it changed."""
        locked = _with_subjects().where(GRANTS.c.id == grant).with_for_update(of=GRANTS)
        row = connection.execute(locked).one_or_none()
        before = _grant(row) if row else None
        if before is None or not becomes(before.status, status):
            return before, []
        connection.execute(update(GRANTS).where(GRANTS.c.id == grant).values(status=status.value))
        after = replace(before, status=status)
        return after, [_entry(KIND_OF[status], after, by, under, {"why": why})]

    def of_many(self, principals: Collection[str], teams: Collection[str], datasets: Collection[str]) -> list[Grant]:
        """Every grant that has not ended, of one of these principals or teams, for one of these datasets; by id."""
        sought = {"principals": list(principals), "teams": list(teams), "datasets": list(datasets)}
        with self._engine.connect() as connection:
            return [_grant(row) for row in connection.execute(_OF_MANY, sought)]

    def charge(self, grant: str, rows: int) -> int:
        """Charge up to `rows` to a budget, durably; returns how many were left to charge (0: it is used up)."""
        with self._engine.begin() as connection:
            given = connection.execute(_CHARGE, {"grant": grant, "rows": rows}).scalar_one_or_none()
        return int(given or 0)

    def refund(self, grant: str, rows: int) -> None:
        """Give back what was charged and never left; a crash before this keeps the charge."""
        with self._engine.begin() as connection:
            connection.execute(_REFUND, {"grant": grant, "rows": rows})


def put(connection: Connection, grant: Grant, *, by: str, at: datetime) -> None:
    """Write a grant in the caller's transaction, whose entries say so."""
    scope = grant.scope
    connection.execute(insert(GRANTS).values(_columns(grant, by, at)))
    each = {"grant_id": grant.id, "principal": scope.principal, "team": scope.team, "ends": scope.ends}
    connection.execute(insert(GRANT_DATASETS), [{**each, "dataset": one.dataset} for one in scope.datasets])


def new_grant_id(at: datetime) -> str:
    """`g-` with the time in front, so that ids sort by age, and 40 random bits."""
    return f"g-{at:%Y%m%d%H%M%S}-{secrets.token_hex(5)}"


def _columns(grant: Grant, by: str, at: datetime) -> dict[str, object]:
    scope = grant.scope
    return {
        "id": grant.id,
        "scope": scope_to_json(scope),
        "status": grant.status.value,
        "rows_used": 0,
        "principal": scope.principal,
        "team": scope.team,
        "added_by": by,
        "added_at": at,
        "ends": scope.ends,
    }


def _grant(row: Row[Any]) -> Grant:
    scope, status = scope_from_json(row.scope), GrantStatus(row.status)
    return Grant(row.id, scope, status, row.rows_used, row.subjects or 0, bool(row.is_spent), row.added_at)


def _with_subjects() -> Select[Any]:
    counted = GRANT_SUBJECTS.c
    joined = GRANTS.outerjoin(GRANT_SUBJECTS, counted.grant_id == GRANTS.c.id)
    return select(GRANTS, counted.subjects, counted.is_spent).select_from(joined)


def _entry(kind: Kind, grant: Grant, by: Principal, under: Permitted, details: dict[str, object]) -> Entry:
    return Entry(
        kind,
        actor=by.name,
        teams=by.teams,
        grant=grant.id,
        purpose=grant.scope.purpose,
        digest=under.bundle.digest,
        details=details,  # type: ignore[arg-type]  # JSON by construction
    )
