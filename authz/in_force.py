"""What is in force for every gateway of one ledger: the bundle and the pauses, under one control epoch."""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, text, update

from audit.errors import NotRecorded
from policy.values import Pause

from .tables import BUNDLE_ACCEPTANCES, BUNDLE_IN_FORCE

# One statement, hence of one moment.
_IN_FORCE = text(
    """
    SELECT head.epoch, bundle.digest, kind, target, reason
    FROM audit_head AS head CROSS JOIN bundle_in_force AS bundle LEFT JOIN pauses ON true ORDER BY set_at, pauses.id
    """
)


@dataclass(frozen=True, slots=True)
class InForce:
    """What was in force under `epoch`: the digest of the bundle, empty before the first, and every pause."""

    epoch: int
    digest: str
    pauses: tuple[Pause, ...]


class InForceStore:
    """What every gateway has to decide under. Faults are SQLAlchemy's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def read(self) -> InForce:
        """What is in force now. Raises `NotRecorded` where the ledger has lost its head."""
        with self._engine.connect() as connection:
            rows = connection.execute(_IN_FORCE).all()
        if not rows:
            raise NotRecorded("audit_head or bundle_in_force has lost its row; run `remit audit verify`")
        pauses = tuple([Pause(row.kind, row.target, row.reason) for row in rows if row.kind is not None])
        return InForce(rows[0].epoch, rows[0].digest, pauses)

    def put_bundle(self, connection: Connection, digest: str) -> None:
        """Put a bundle in force, in the transaction that records it; whoever accepted it did so for this once."""
        connection.execute(delete(BUNDLE_ACCEPTANCES).where(BUNDLE_ACCEPTANCES.c.digest == digest))
        connection.execute(update(BUNDLE_IN_FORCE).values(digest=digest))
