"""What is written down: one `Entry` for each thing that happened, and every kind there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

Json = str | int | bool | None | Sequence["Json"] | Mapping[str, "Json"]
"""What canonical JSON can say: only ASCII keys, strings, booleans, null, integers below 2⁵³."""

WRITER = "remit"
"""The actor of what Remit does of itself: nobody in person."""


class Kind(StrEnum):
    """Every kind of entry that is written so far."""

    READ_AUTHORIZED = "read.authorized"
    READ_REFUSED = "read.refused"
    READ_COMPLETED = "read.completed"
    READ_INTERRUPTED = "read.interrupted"
    READ_CHECKED = "read.checked"
    IDENTITY_REFUSED = "identity.refused"
    POLICY_ACTIVATED = "policy.activated"
    POLICY_REFUSED = "policy.refused"
    POLICY_ACCEPTED = "policy.accepted"
    STORE_UNDECLARED = "store.undeclared"
    STORE_EXPOSED = "store.exposed"
    GRANT_ADDED = "grant.added"
    GRANT_REVOKED = "grant.revoked"
    GRANT_SUSPENDED = "grant.suspended"
    GRANT_RESUMED = "grant.resumed"
    GRANT_BREAK_GLASS = "grant.break_glass"
    REQUEST_COUNTED = "request.counted"
    REQUEST_CREATED = "request.created"
    REQUEST_REFUSED = "request.refused"
    REQUEST_NARROWED = "request.narrowed"
    REQUEST_APPROVED = "request.approved"
    REQUEST_DENIED = "request.denied"
    REQUEST_WITHDRAWN = "request.withdrawn"
    REVIEW_DUE = "review.due"
    REVIEW_CLOSED = "review.closed"
    SUBJECT_ERASED = "subject.erased"
    PAUSE_SET = "pause.set"
    PAUSE_LIFT_PROPOSED = "pause.lift_proposed"
    PAUSE_LIFTED = "pause.lifted"
    ALERT_RAISED = "alert.raised"
    ALERT_ACKNOWLEDGED = "alert.acknowledged"
    ALERT_CONTAINED = "alert.contained"
    ALERT_RESOLVED = "alert.resolved"
    ALERT_REOPENED = "alert.reopened"
    HOLD_STORED = "hold.stored"
    HOLD_CHECKED = "hold.checked"
    HOLD_OPENED = "hold.opened"
    HOLD_CLOSED = "hold.closed"
    HOLD_WOULD_OPEN = "hold.would_open"
    HOLD_ACCEPTED = "hold.accepted"
    AUDIENCE_EXCEEDED = "audience.exceeded"
    AUDIT_READ = "audit.read"
    EXPOSURE_REPORTED = "exposure.reported"
    ACCESS_REFUSED = "access.refused"
    CHECKPOINT_REFUSED = "checkpoint.refused"
    VERIFY_FAILED = "verify.failed"
    KEY_ACTIVATED = "ledger.key_activated"
    KEY_RETIRED = "ledger.key_retired"
    WITNESS_REFUSED = "witness.refused"
    WITNESSES_BEHIND = "witnesses.behind"
    WITNESSES_BACK = "witnesses.back"
    DELIVERY_BEHIND = "delivery.behind"
    DELIVERY_BACK = "delivery.back"
    ALERTING_BLIND = "alerting.blind"
    ALERTING_BACK = "alerting.back"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. The named fields are what a trail is searched by; `details` are the kind's own.

    Never holds the data itself nor a token. `read` is the id of the read, `grant` of the grant,
    `digest` the bundle's that decided.
    """

    kind: Kind
    actor: str
    teams: tuple[str, ...] = ()
    read: str | None = None
    dataset: str | None = None
    purpose: str | None = None
    grant: str | None = None
    code: str | None = None
    excess: str | None = None
    digest: str | None = None
    details: Mapping[str, Json] = field(default_factory=dict)
