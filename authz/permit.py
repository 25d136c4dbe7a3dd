"""A `Permit`: proof that a read was decided and is durably recorded. Only the guard makes one."""

from dataclasses import dataclass, replace

from audit.committer import Recorded
from policy.bundle import Bundle
from policy.decision import Allow
from policy.values import Principal, ReadRequest

_SEAL = object()


@dataclass(frozen=True, slots=True)
class Permitted:
    """Something of Remit's own that the rules allow: which rules, of which bundle, under which control epoch."""

    bundle: Bundle
    rules: tuple[str, ...]
    epoch: int


@dataclass(frozen=True, slots=True)
class Permit:
    """One read that may happen: who asked what, what was decided, under which entry and control epoch.

    `read` is the id of the read. Making one anywhere but in the guard raises `TypeError`: the reader opens
    nothing without it, and the guard makes it only from a recorded decision.
    """

    read: str
    principal: Principal
    request: ReadRequest
    plan: Allow
    digest: str
    recorded: Recorded
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("only the guard makes a permit")

    def under(self, epoch: int) -> "Permit":
        """The same permit, decided again and found good under a newer control epoch."""
        recorded = Recorded(self.recorded.seq, self.recorded.at, epoch)
        return replace(self, recorded=recorded)


def seal(read: str, principal: Principal, request: ReadRequest, plan: Allow, digest: str, recorded: Recorded) -> Permit:
    """Make a permit from a decision that was recorded; a test holds that only the guard calls this."""
    return Permit(read, principal, request, plan, digest, recorded, _SEAL)
