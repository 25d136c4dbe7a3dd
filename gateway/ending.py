"""Ending a grant by those whom it concerns; administrators end any."""

from audit.errors import NotRecorded, StaleEpoch
from authz.guard import ATTEMPTS
from authz.permit import Permitted
from policy.approving import may_end
from policy.bundle import Bundle
from policy.values import Grant, GrantStatus, Principal

from .parts import Parts


def revoked(parts: Parts, id: str, who: Principal, why: str) -> Grant | None:
    """The grant, revoked by `who` as its requester, reader, owner, privacy or security; None where they are none."""
    for _ in range(ATTEMPTS):
        state = parts.control.refresh()
        grant = parts.grants.get(id)
        if grant is None or not _concerns(parts, grant, who, state.bundle):
            return None
        try:
            under = Permitted(state.bundle, (), state.epoch)
            return parts.grants.change(id, GrantStatus.REVOKED, by=who, why=why, under=under)
        except StaleEpoch:
            continue
    raise NotRecorded("what is in force keeps changing; the grant was never revoked under the newest of it")


def _concerns(parts: Parts, grant: Grant, who: Principal, bundle: Bundle) -> bool:
    if grant.scope.principal == who.name or may_end(grant.scope, who, bundle):
        return True
    request = parts.requests.of_grant(grant.id)
    return request is not None and (request.requester == who.name or request.is_owned_by(who))
