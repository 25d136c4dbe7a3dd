"""Which bundle is in force, for every gateway of one ledger."""

from sqlalchemy import Connection, Engine, delete, select, update

from .tables import BUNDLE_ACCEPTANCES, BUNDLE_IN_FORCE


class BundleStore:
    """The digest of the bundle that was activated last; empty before the first. Faults are SQLAlchemy's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def in_force(self) -> str:
        """The digest that every gateway has to decide under."""
        with self._engine.connect() as connection:
            return str(connection.execute(select(BUNDLE_IN_FORCE.c.digest)).scalar_one())

    def put(self, connection: Connection, digest: str) -> None:
        """Put a bundle in force, in the transaction that records it; whoever accepted it did so for this once."""
        connection.execute(delete(BUNDLE_ACCEPTANCES).where(BUNDLE_ACCEPTANCES.c.digest == digest))
        connection.execute(update(BUNDLE_IN_FORCE).values(digest=digest))
