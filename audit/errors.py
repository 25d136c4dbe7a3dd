"""What can go wrong with the ledger and its database.

AuditError
├── NotRecorded          nothing may be done on the strength of this entry; it may or may not be in the ledger
│   ├── NotCanonical     the entry cannot be said in canonical JSON; it is not in the ledger
│   └── ClockBehind      this machine's clock is behind the ledger; it is not in the ledger
├── StaleEpoch           decided under an older control epoch; decide again
├── BadNote              not a signed note, a checkpoint, a key or a proof, as their specifications write them
├── NotProven            a signature or a proof that does not hold
├── NotCosigned          a witness did not co-sign, or did not say what it has co-signed
│   └── OtherHistory     it has co-signed a ledger that this one did not grow out of
├── KeyUnfit             a file that should hold a key cannot be used; says what to do
└── DatabaseUnfit        the database cannot hold a ledger as it is; says what to do
"""


class AuditError(Exception):
    """The root of this package's errors."""


class NotRecorded(AuditError):
    """The entry was not confirmed as durable. Its outcome may be unknown: act as if it had never been written."""


class NotCanonical(NotRecorded):
    """The entry holds something that canonical JSON cannot say: a float, a huge integer, a key that is not ASCII."""


class ClockBehind(NotRecorded):
    """The clock is more than 60 seconds behind the last entry, and time in entries never runs back."""


class StaleEpoch(AuditError):
    """The control epoch has been raised since the caller decided; `current` is what it is now."""

    def __init__(self, current: int) -> None:
        super().__init__(f"decided under an older control epoch than {current}; decide again")
        self.current = current


class NotReadable(AuditError):
    """The ledger could not be read to the end, so nothing can be said of it."""


class DatabaseUnfit(AuditError):
    """The database, or where it should live, cannot hold a ledger as it is; the message says what to do."""


class BadNote(AuditError):
    """Not what its specification allows; nothing in it may be used."""


class NotProven(AuditError):
    """A signature or a proof that does not hold: what it was for may not be believed."""


class NotCosigned(AuditError):
    """A witness did not co-sign: it is away, or something on the way is not as it should be."""


class OtherHistory(NotCosigned):
    """A witness has co-signed a ledger that this one did not grow out of."""


class KeyUnfit(AuditError):
    """A file that should hold a key cannot be used; the message says what to do."""
