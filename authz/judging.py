"""Somebody says what becomes of a request: approves it as it was shown, narrows, denies, withdraws or reviews it.

What always holds:

- Whoever approves names the digest of what they were shown; where it is not that any more, nothing is approved.
- Roles are looked up under the bundle of the control epoch that the approval is written under, those of earlier
  approvals too. One that was given for another effect counts for nothing: a change starts over.
- Nobody stands for two parties, and neither the requester nor anybody who would read under the grant for any.
- The last approval and its grant are one transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from audit.drafts import stamp
from audit.entries import Entry, Json, Kind
from audit.errors import NotRecorded, StaleEpoch
from audit.ledger import Ledger
from policy.decision import Refuse
from policy.effect import Effect, effect_of
from policy.lifecycle import Step
from policy.narrowing import narrowed
from policy.scopes import check_scope
from policy.values import Grant, Principal

from .asking import entry_of
from .control import Control, State
from .grants import new_grant_id, put
from .guard import ATTEMPTS
from .reach import Reach
from .records import Records
from .requests import Approval, Request, RequestStore, locked, save
from .standing import (
    Cannot,
    Reason,
    Seen,
    after,
    changed_since,
    counting,
    hindered,
    lacking,
    needless,
    not_found,
    owners_of,
)

Outcome = Request | Refuse | Cannot
Made = tuple[Outcome, Sequence[Entry]]
"""What comes out of a step, and the entries that it leaves; none where nothing changes."""


class Judging:
    """Every step after asking. Each method may raise `NotRecorded`, `StoreFailed` or a database fault."""

    def __init__(
        self, *, control: Control, ledger: Ledger, requests: RequestStore, reach: Reach, records: Records
    ) -> None:
        self._control = control
        self._ledger = ledger
        self._requests = requests
        self._reach = reach
        self._records = records

    def approve(self, id: str, who: Principal, *, shown: str, comment: str, at: datetime) -> Outcome:
        """Approve what `shown` is the digest of; with the last party's approval the grant is there."""

        def step(connection: Connection, request: Request, effect: Seen, state: State) -> Made:
            if isinstance(effect, Refuse):
                return _too_late(effect), ()
            if shown != effect.digest:
                return changed_since(id), ()
            return self._approved(connection, request, who, effect, comment, at, state)

        return self._take(id, Step.APPROVE, who, at, step)

    def narrow(self, id: str, by: Mapping[str, Any], who: Principal, *, shown: str, why: str, at: datetime) -> Outcome:
        """Make the scope smaller; every approval so far was of something else, and is gone. Raises `MisreadAll`."""
        before = self._requests.get(id)
        if before is None:
            return not_found(id)
        bundle = self._control.refresh().bundle
        effect = effect_of(before.scope, before.reader, bundle)
        if (cannot := hindered(before, Step.NARROW, who, effect, at)) is not None:
            return self._refused(before, Step.NARROW, who, cannot)
        scope = narrowed(before.scope, by, at)
        unfit = check_scope(scope, bundle.catalog, bundle.policies, file="narrowing")
        if unfit is not None and isinstance(effect, Effect):
            raise unfit
        numbers = self._counted(replace(before, scope=scope), who)

        def step(connection: Connection, request: Request, effect: Seen, state: State) -> Made:
            if isinstance(effect, Refuse):
                return _too_late(effect), ()
            if shown != effect.digest or request.scope != before.scope:
                return changed_since(id), ()
            less = effect_of(scope, request.reader, state.bundle)
            if isinstance(less, Refuse):
                return less, ()
            changed = replace(request, scope=scope, approvals=(), reach=numbers, owners=owners_of(less))
            changed = changed.stepped("narrowed", who.name, at, why)
            save(connection, changed)
            details = self._shown(changed, less, state) | {"why": why, "was": shown}
            return changed, [entry_of(Kind.REQUEST_NARROWED, changed, who, state, details)]

        return self._take(id, Step.NARROW, who, at, step)

    def deny(self, id: str, who: Principal, *, why: str, at: datetime) -> Outcome:
        """Refuse it for good."""

        def step(connection: Connection, request: Request, _: Seen, state: State) -> Made:
            changed = replace(request, state=after(request, Step.DENY)).stepped("denied", who.name, at, why)
            save(connection, changed)
            return changed, [entry_of(Kind.REQUEST_DENIED, changed, who, state, {"request": id, "why": why})]

        return self._take(id, Step.DENY, who, at, step)

    def withdraw(self, id: str, who: Principal, *, why: str, at: datetime) -> Outcome:
        """Take one's own request back."""

        def step(connection: Connection, request: Request, _: Seen, state: State) -> Made:
            changed = replace(request, state=after(request, Step.WITHDRAW)).stepped("withdrawn", who.name, at, why)
            save(connection, changed)
            return changed, [entry_of(Kind.REQUEST_WITHDRAWN, changed, who, state, {"request": id, "why": why})]

        return self._take(id, Step.WITHDRAW, who, at, step)

    def review(self, id: str, who: Principal, *, why: str, at: datetime) -> Outcome:
        """Close the review of a grant that nobody approved beforehand."""

        def step(connection: Connection, request: Request, _: Seen, state: State) -> Made:
            if not request.is_under_review:
                said = f"request `{id}` waits for no review"
                return Cannot(Reason.NOT_OPEN, said, "`remit requests list` shows which do"), ()
            changed = replace(request, reviewed_by=who.name).stepped("reviewed", who.name, at, why)
            save(connection, changed)
            return changed, [entry_of(Kind.REVIEW_CLOSED, changed, who, state, {"request": id, "why": why})]

        return self._take(id, Step.REVIEW, who, at, step)

    def _take(
        self,
        id: str,
        step: Step,
        who: Principal,
        at: datetime,
        make: Callable[[Connection, Request, Seen, State], Made],
    ) -> Outcome:
        """Take one step under the newest control epoch, or say why not; a try by the wrong person is recorded too."""
        for _ in range(ATTEMPTS):
            state = self._control.refresh()
            out: list[tuple[Outcome, Request | None]] = []

            def work(connection: Connection, state: State = state, out: list[Any] = out) -> Sequence[Entry]:
                request = locked(connection, id)
                if request is None:
                    out.append((not_found(id), None))
                    return ()
                effect = effect_of(request.scope, request.reader, state.bundle)
                cannot = hindered(request, step, who, effect, at)
                outcome, entries = (cannot, ()) if cannot else make(connection, request, effect, state)
                out.append((outcome, request))
                return entries

            try:
                # Only an approval may put something in force.
                self._ledger.change(work, raises_epoch=step is Step.APPROVE, epoch=state.epoch)
            except StaleEpoch:
                continue
            outcome, request = out[-1]
            if request is not None and isinstance(outcome, Cannot):
                return self._refused(request, step, who, outcome)
            return outcome
        raise NotRecorded("what is in force keeps changing; the step was never decided under the newest of it")

    def _refused(self, request: Request, step: Step, who: Principal, cannot: Cannot) -> Cannot:
        if cannot.reason is not Reason.NOT_APPROVER:
            return cannot
        details: dict[str, Json] = {"request": request.id, "asked": f"{step.value} a request", "why": cannot.detail}
        entry = entry_of(Kind.ACCESS_REFUSED, request, who, self._control.state, details)
        self._ledger.append(replace(entry, code=cannot.reason.value))
        return cannot

    def _approved(
        self,
        connection: Connection,
        request: Request,
        who: Principal,
        effect: Effect,
        comment: str,
        at: datetime,
        state: State,
    ) -> Made:
        approvals = (*counting(request, effect), Approval(who, stamp(at), effect.digest, comment))
        if (cannot := needless(request, who, effect)) is not None:
            return cannot, ()
        left = lacking(effect, approvals)
        changed = replace(request, approvals=approvals).stepped("approved", who.name, at, comment)
        details = self._shown(changed, effect, state) | {"comment": comment, "missing": list(left)}
        if left:
            save(connection, changed)
            return changed, [entry_of(Kind.REQUEST_APPROVED, changed, who, state, details)]
        grant = Grant(new_grant_id(at), request.scope)
        changed = replace(changed, state=after(request, Step.GRANT), grant=grant.id)
        put(connection, grant, by=who.name, at=at)
        save(connection, changed)
        approvers = [each.by.name for each in changed.approvals]
        added: dict[str, Json] = {"request": request.id, "approved_by": approvers}
        added["scope"] = self._records.declared(grant.scope, state.bundle)
        return changed, [
            entry_of(Kind.REQUEST_APPROVED, changed, who, state, details),
            entry_of(Kind.GRANT_ADDED, changed, who, state, added),
        ]

    def _counted(self, request: Request, who: Principal) -> Mapping[str, dict[str, Any]]:
        state = self._control.state
        effect = effect_of(request.scope, request.reader, state.bundle)
        if isinstance(effect, Refuse):
            return {}
        return {name: dict(each) for name, each in self._reach.of(effect, who, request.reader, state).items()}

    def _shown(self, request: Request, effect: Effect, state: State) -> dict[str, Json]:
        """What was on the screen of whoever took the step, and the digest that names it."""
        return {
            "request": request.id,
            "shown": effect.digest,
            "scope": self._records.declared(request.scope, state.bundle),
            "effect": effect.to_json(),
            "reach": request.reach,
        }


def _too_late(refused: Refuse) -> Refuse:
    """What the rules have come to refuse, for whoever decides on it and cannot mend it."""
    return replace(refused, help="deny it; whoever asked can ask anew for what the rules allow")
