"""Hold checks as they are kept: what must stay refused for each alert, asked of the decision again and again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, delete, insert, select, update

from audit.entries import WRITER, Entry, Json, Kind
from audit.severities import BY_RULES, WHOLE
from audit.signals import Alert
from policy.bundle import Bundle
from policy.holding import Access, Force, Held, Ways, held, outsiders, ways
from policy.names import ancestry
from policy.values import Grant, Pause

from .accesses import access_from_json, access_to_json
from .grants import GrantStore
from .tables import HOLD_CHECKS

MOST_TOLD = 20
"""Accesses that one entry names; it says how many there are in all."""


@dataclass(frozen=True, slots=True)
class Check:
    """One access that must stay refused, for which alert, and which ways to it were open when it was last asked."""

    alert: int
    number: int
    held: Held
    was: Ways

    @property
    def dataset(self) -> str:
        """The dataset that is asked for."""
        return self.held.access.request.dataset


class Holds:
    """The hold checks there are. Faults are SQLAlchemy's."""

    def __init__(self, engine: Engine, grants: GrantStore) -> None:
        self._engine = engine
        self._grants = grants

    def all(self, alert: int | None = None) -> tuple[Check, ...]:
        """Every check, or those of one alert."""
        query = select(HOLD_CHECKS).order_by(HOLD_CHECKS.c.alert, HOLD_CHECKS.c.number)
        if alert is not None:
            query = query.where(HOLD_CHECKS.c.alert == alert)
        with self._engine.connect() as connection:
            return tuple(map(_check, connection.execute(query)))

    def ask(self, checks: Sequence[Check], bundle: Bundle, pauses: Sequence[Pause], at: datetime) -> tuple[Ways, ...]:
        """For each check which of the ways that count are open under `bundle`, `pauses` and the grants of now."""
        pool = self.pool(check.held.access for check in checks)
        told: dict[object, Ways] = {}
        found = []
        for check in checks:
            access = check.held.access
            # Alerts of one dataset have most of their outsiders in common; 1 is not `true`, as everywhere.
            same = access, tuple([value.__class__ for _, value in access.principal.attributes])
            if same not in told:
                told[same] = ways(access, Force(bundle, pool.of(access), pauses, at))
            found.append(_counted(check.held, told[same]))
        return tuple(found)

    def made(
        self, accesses: Sequence[Access], bundle: Bundle, pauses: Sequence[Pause], at: datetime, suspended: str | None
    ) -> tuple[Held, ...]:
        """What must stay refused of `accesses` to datasets that there are, and of ten outsiders like the first of them.

        `suspended` is a grant that is about to be.
        """
        accesses = [access for access in accesses if access.request.dataset in bundle.catalog.datasets]
        others = outsiders(accesses[0], bundle) if accesses else ()
        pool = self.pool([*accesses, *others])
        found = []
        for access in (*accesses, *others):
            force = Force(bundle, pool.of(access), pauses, at)
            found.append(held(access, force, is_outsider=access in others, suspended=suspended))
        return tuple(each for each in found if each.by_rules or each.whole)

    def pool(self, accesses: Iterable[Access]) -> "Pool":
        """The grants that may cover any of `accesses`, fetched at once."""
        asked = list(accesses)
        if not asked:
            return Pool(())
        teams = {outer for each in asked for team in each.principal.teams for outer in ancestry(team)}
        names = {each.principal.name for each in asked}
        return Pool(self._grants.of_many(names, teams, {each.request.dataset for each in asked}))


def put(connection: Connection, alert: Alert, helds: Sequence[Held]) -> Entry:
    """Keep what must stay refused for `alert` instead of what was kept before, in a change; the entry that says so."""
    connection.execute(delete(HOLD_CHECKS).where(HOLD_CHECKS.c.alert == alert.id))
    if helds:
        connection.execute(insert(HOLD_CHECKS), [_row(alert.id, number, each) for number, each in enumerate(helds, 1)])
    return Entry(
        Kind.HOLD_STORED,
        WRITER,
        dataset=alert.dataset,
        grant=alert.grant,
        code=alert.code,
        details={
            "alert": alert.id,
            "checks": len(helds),
            "outsiders": sum(each.is_outsider for each in helds),
            "by_rules": sum(each.by_rules for each in helds),
            "whole": sum(each.whole for each in helds),
        },
    )


def put_ways(connection: Connection, found: Sequence[tuple[Check, Ways]]) -> None:
    """Keep which ways are open now, in a change."""
    if found:
        rows = [
            {"of": check.alert, "at": check.number, "rules": now.by_rules, "path": now.whole} for check, now in found
        ]
        connection.execute(_WAYS, rows)


def told(kind: Kind, alert: int, path: str, checks: Sequence[Check], **more: Json) -> Entry:
    """The entry that says what of one alert's checks is open, or closed again, in one way."""
    accesses: list[Json] = [access_to_json(check.held.access) for check in checks[:MOST_TOLD]]
    details: dict[str, Json] = {"alert": alert, "path": path, "accesses": accesses, "in_all": len(checks)}
    details["asked"] = "; ".join(sentence(check.held.access) for check in checks[:3])
    details["declared"] = f"nothing: alert {alert} closed it"
    return Entry(kind, WRITER, dataset=checks[0].dataset, details={**details, **more})


def sentence(access: Access) -> str:
    """An access in words: who reads what for which purpose."""
    who, request = access.principal, access.request
    teams = f" of {', '.join(who.teams)}" if who.teams else " of no team"
    purpose = f" for {request.purpose}" if request.purpose else ""
    return f"{who.name}{teams} reads {', '.join(request.columns or ('everything',))} of {request.dataset}{purpose}"


def by_way(found: Iterable[tuple[Check, Ways]]) -> dict[tuple[int, str], list[Check]]:
    """The checks by their alert and by the way that is open of them."""
    groups: dict[tuple[int, str], list[Check]] = {}
    for check, now in found:
        for path, is_open in ((BY_RULES, now.by_rules), (WHOLE, now.whole)):
            if is_open:
                groups.setdefault((check.alert, path), []).append(check)
    return groups


class Pool:
    """Grants by whom and what they are for, so that each access meets only those that may cover it."""

    def __init__(self, grants: Iterable[Grant]) -> None:
        self._of: dict[tuple[str, str | None, str | None], list[Grant]] = {}
        for grant in grants:
            for scope in grant.scope.datasets:
                key = scope.dataset, grant.scope.principal, grant.scope.team
                self._of.setdefault(key, []).append(grant)

    def of(self, access: Access) -> list[Grant]:
        """Those for its dataset that are its principal's, or one of its teams'."""
        if not self._of:
            return []
        who, dataset = access.principal, access.request.dataset
        teams = {outer for team in who.teams for outer in ancestry(team)}
        keys: list[tuple[str, str | None, str | None]] = [(dataset, who.name, None)]
        keys += [(dataset, None, team) for team in teams]
        return [grant for key in keys for grant in self._of.get(key, ())]


_WAYS = (
    update(HOLD_CHECKS)
    .where(HOLD_CHECKS.c.alert == bindparam("of"), HOLD_CHECKS.c.number == bindparam("at"))
    .values(open_rules=bindparam("rules"), open_whole=bindparam("path"))
)


def _counted(held: Held, now: Ways) -> Ways:
    return Ways(held.by_rules and now.by_rules, held.whole and now.whole)


def _check(row: Row[Any]) -> Check:
    access = access_from_json(row.dataset, row.access)
    counted = Held(access, row.outsider, row.counts_rules, row.counts_whole)
    return Check(row.alert, row.number, counted, Ways(row.open_rules, row.open_whole))


def _row(alert: int, number: int, each: Held) -> dict[str, object]:
    return {
        "alert": alert,
        "number": number,
        "dataset": each.access.request.dataset,
        "access": access_to_json(each.access),
        "outsider": each.is_outsider,
        "counts_rules": each.by_rules,
        "counts_whole": each.whole,
    }
