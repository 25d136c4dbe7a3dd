"""Somebody asks for a scope: what the rules make of it is shown at once, and what they never allow is not taken in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from audit.entries import Entry, Json, Kind
from audit.errors import NotRecorded, StaleEpoch
from audit.ledger import Ledger
from policy.decision import Refuse
from policy.effect import Effect, effect_of, reader_of
from policy.lifecycle import RequestState
from policy.values import Grant, Principal, Scope

from .control import Control, State
from .grants import new_grant_id, put
from .guard import ATTEMPTS
from .reach import Numbers, Reach
from .records import Records, described
from .requests import Request, RequestStore, add, new_request_id
from .standing import Cannot, Reason, owners_of

MOST_OPEN = 20
MOST_A_DAY = 100
MOST_UNREVIEWED = 3
"""Requests of one person: that wait for somebody, that were made within a day, and that nobody has reviewed yet."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What somebody asks for, understood and checked: a scope, whether at once, and which grant it would renew."""

    scope: Scope
    break_glass: bool = False
    renews: str | None = None


class Asking:
    """Takes requests in. Every method may raise `NotRecorded`, `StoreFailed` or a database fault."""

    def __init__(
        self, *, control: Control, ledger: Ledger, requests: RequestStore, reach: Reach, records: Records
    ) -> None:
        self._control = control
        self._ledger = ledger
        self._requests = requests
        self._reach = reach
        self._records = records

    def create(self, declared: Declared, who: Principal, at: datetime) -> Request | Refuse | Cannot:
        """Put a request in, or say why the rules never allow it; the entry stands before anybody sees the request."""
        if (cannot := _too_many(self._requests.counts(who.name), declared)) is not None:
            return cannot
        for _ in range(ATTEMPTS):
            state = self._control.refresh()
            reader = reader_of(declared.scope, who)
            effect = effect_of(declared.scope, reader, state.bundle)
            if isinstance(effect, Refuse):
                self._ledger.append(self._refused(declared, who, effect, state))
                return effect
            numbers = {} if declared.break_glass else self._reach.of(effect, who, reader, state)
            try:
                return self._put(declared, who, at, effect, numbers, state)
            except StaleEpoch:
                continue
        raise NotRecorded("what is in force keeps changing; the request was never decided under the newest of it")

    def _put(
        self,
        declared: Declared,
        who: Principal,
        at: datetime,
        effect: Effect,
        numbers: Mapping[str, Numbers],
        state: State,
    ) -> Request | Cannot:
        request = Request(
            id=new_request_id(at),
            requester=who.name,
            asked=declared.scope,
            scope=declared.scope,
            reader=reader_of(declared.scope, who),
            made_at=at,
            owners=owners_of(effect),
            reach={name: dict(each) for name, each in numbers.items()},
            renews=declared.renews,
            break_glass=declared.break_glass,
        ).stepped("asked for", who.name, at)
        grant = Grant(new_grant_id(at), declared.scope) if declared.break_glass else None
        if grant is not None:
            request = replace(request, state=RequestState.GRANTED, grant=grant.id)
            request = request.stepped("broke the glass", who.name, at, declared.scope.justification)
        done: list[Request | Cannot] = []

        def work(connection: Connection) -> Sequence[Entry]:
            # Counted again under the ledger's lock: of two that come at once only one may be the last.
            if (cannot := _too_many(self._requests.counts(who.name, connection), declared)) is not None:
                done.append(cannot)
                return []
            done.append(request)
            entries = [self._created(request, who, effect, state)]
            if grant is not None:
                put(connection, grant, by=who.name, at=at)
                entries.append(self._break_glass(request, grant, who, effect, state))
            add(connection, request)
            return entries

        self._ledger.change(work, raises_epoch=declared.break_glass, epoch=state.epoch)
        return done[-1]

    def _created(self, request: Request, who: Principal, effect: Effect, state: State) -> Entry:
        details: dict[str, Json] = {
            "request": request.id,
            "scope": self._records.declared(request.scope, state.bundle),
            "effect": effect.to_json(),
            "shown": effect.digest,
            "reach": request.reach,
            "reader": {"name": request.reader.name, "attributes": dict(request.reader.attributes)},
        }
        if request.renews is not None:
            details["renews"] = request.renews
        return entry_of(Kind.REQUEST_CREATED, request, who, state, details)

    def _refused(self, declared: Declared, who: Principal, refusal: Refuse, state: State) -> Entry:
        """What was asked in vain. It is no excess: to ask first is what everybody should do."""
        return Entry(
            Kind.REQUEST_REFUSED,
            actor=who.name,
            teams=who.teams,
            purpose=declared.scope.purpose,
            code=refusal.code.value,
            digest=state.bundle.digest,
            details={
                "scope": self._records.declared(declared.scope, state.bundle),
                "columns": list(refusal.columns),
                "data_classes": list(refusal.data_classes),
                "rules": list(refusal.rules),
                "lacked": list(refusal.lacked),
            },
        )

    def _break_glass(self, request: Request, grant: Grant, who: Principal, effect: Effect, state: State) -> Entry:
        details: dict[str, Json] = {
            "principal": described(who),
            "request": request.id,
            "scope": self._records.declared(grant.scope, state.bundle),
            "declared": "nothing that anybody approved",
            "asked": ", ".join(one.dataset for one in effect.datasets),
            "why": grant.scope.justification,
            "data_classes": sorted({each.column.data_class for one in effect.datasets for each in one.columns}),
            "sensitivity": str(effect.sensitivity),
        }
        return entry_of(Kind.GRANT_BREAK_GLASS, request, who, state, details)


def entry_of(kind: Kind, request: Request, who: Principal, state: State, details: Mapping[str, Json]) -> Entry:
    """An entry about a request; its dataset is named where there is only one."""
    datasets = request.scope.datasets
    return Entry(
        kind,
        actor=who.name,
        teams=who.teams,
        dataset=datasets[0].dataset if len(datasets) == 1 else None,
        purpose=request.scope.purpose,
        grant=request.grant,
        digest=state.bundle.digest,
        details=details,
    )


def _too_many(counts: tuple[int, int, int], declared: Declared) -> Cannot | None:
    is_open, is_new, unreviewed = counts
    if declared.break_glass and unreviewed >= MOST_UNREVIEWED:
        said = f"{unreviewed} grants of yours without approval wait for their review"
        return Cannot(Reason.TOO_MANY, said, "have somebody else review them first: `remit requests list` shows which")
    if not declared.break_glass and is_open >= MOST_OPEN:
        said = f"{is_open} requests of yours are open, and more than {MOST_OPEN} nobody can look at"
        return Cannot(Reason.TOO_MANY, said, "withdraw those that you do not need: `remit requests list` shows them")
    if is_new >= MOST_A_DAY:
        said = f"you made {is_new} requests within a day"
        return Cannot(Reason.TOO_MANY, said, "ask again tomorrow, for all that you need in one request")
    return None
