"""The one guard: decide, record, and only then let a read through.

What always holds:

- Nothing is opened without a `Permit`, and a permit exists only after its entry is durable.
- What was decided under an older control epoch is not recorded but decided again.
- A refusal leaves an entry too; where even that cannot be written, `NotRecorded` is raised and nobody reads.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from audit.committer import Recorded
from audit.entries import Kind
from audit.errors import NotRecorded, StaleEpoch
from audit.ledger import Ledger
from policy.decide import decide
from policy.decision import Allow, Decision, Refuse
from policy.values import Principal, ReadRequest

from .control import Control
from .grants import GrantStore
from .permit import Permit, seal
from .records import Records

ATTEMPTS = 50
"""How often a read is decided again while the control epoch keeps rising, before it counts as a fault."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A read that was refused: why, and the entry that says so."""

    read: str
    refusal: Refuse
    recorded: Recorded


@dataclass(frozen=True, slots=True)
class Checked:
    """What would have happened to a read, and the entry that says it was asked; `rows` is the filter it would get."""

    read: str
    decision: Decision
    rows: str
    recorded: Recorded


class Guard:
    """Stands between who asks and the reader. Every method may raise `NotRecorded` or a database fault."""

    def __init__(
        self,
        *,
        control: Control,
        grants: GrantStore,
        ledger: Ledger,
        records: Records,
        clock: Callable[[], datetime],
    ) -> None:
        self._control = control
        self._grants = grants
        self._ledger = ledger
        self._records = records
        self._clock = clock

    def authorize(self, request: ReadRequest, principal: Principal) -> Permit | Refused:
        """Decide and record one read. The permit's entry is durable when this returns."""
        read = new_read_id()
        for _ in range(ATTEMPTS):
            state, asked = self._control.state, time.monotonic()
            epoch, grants = self._grants.candidates(principal, request.dataset, request.grant)
            if epoch != state.epoch:
                state = self._control.refresh()
                if epoch != state.epoch:
                    continue
            decision = decide(request, principal, grants, state.pauses, state.bundle, self._clock())
            try:
                match decision:
                    case Allow() as plan:
                        entry = self._records.authorized(read, principal, request, plan, state.bundle)
                        recorded = self._ledger.append(entry, epoch=state.epoch)
                        self._control.confirm(recorded.epoch, asked)
                        return seal(read, principal, request, plan, state.bundle.digest, recorded)
                    case Refuse() as refusal:
                        kind = Kind.READ_REFUSED
                        entry = self._records.refused(read, principal, request, refusal, state.bundle, kind)
                        return Refused(read, refusal, self._ledger.append(entry, epoch=state.epoch))
            except StaleEpoch:
                self._control.refresh()
        raise NotRecorded("what is in force keeps changing; the read was never decided under the newest of it")

    def check(self, request: ReadRequest, principal: Principal) -> Checked:
        """Say what would happen and why; reads nothing, and records that it was asked."""
        read = new_read_id()
        state = self._control.refresh()
        _, grants = self._grants.candidates(principal, request.dataset, request.grant)
        decision = decide(request, principal, grants, state.pauses, state.bundle, self._clock())
        bundle = state.bundle
        match decision:
            case Allow() as plan:
                entry = replace(
                    self._records.authorized(read, principal, request, plan, bundle), kind=Kind.READ_CHECKED
                )
                rows = self._records.applied(plan, bundle, redacted=False)
            case Refuse() as refusal:
                entry = self._records.refused(read, principal, request, refusal, bundle, Kind.READ_CHECKED)
                rows = ""
        return Checked(read, decision, rows, self._ledger.append(entry))

    def still(self, permit: Permit) -> Permit | str:
        """The permit under what is in force now, or what ends its stream: a code, or `rules_changed`.

        A plan that would come out otherwise today (a treatment, a filter) ends too: what runs was decided as
        something else. Its own budget does not end it; that is charged as it streams.
        """
        state = self._control.state
        grant = self._grants.get(permit.plan.grant.id)
        request = replace(permit.request, grant=permit.plan.grant.id)
        grants = [replace(grant, rows_used=0, has_met_more=False)] if grant else []
        decision = decide(request, permit.principal, grants, state.pauses, state.bundle, self._clock())
        match decision:
            case Refuse() as refusal:
                return refusal.code.value
            case Allow() as plan if _shape(plan) != _shape(permit.plan):
                return "rules_changed"
        return permit.under(state.epoch)


def _shape(plan: Allow) -> tuple[object, ...]:
    return plan.purpose, plan.columns, plan.scope_rows, plan.asked_rows, plan.dataset.location, plan.dataset.store


def new_read_id() -> str:
    """128 random bits: a read's id tells nothing of any other read."""
    return f"r-{secrets.token_hex(16)}"
