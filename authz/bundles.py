"""Which bundle is in force, for every gateway of one ledger."""

from sqlalchemy import Connection, Engine, select, update

from audit.tables import BUNDLE_IN_FORCE


class BundleStore:
    """The digest of the bundle that was activated last; empty before the first. Faults are SQLAlchemy's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def in_force(self) -> str:
        """The digest that every gateway has to decide under."""
        with self._engine.connect() as connection:
            return str(connection.execute(select(BUNDLE_IN_FORCE.c.digest)).scalar_one())

    def put(self, connection: Connection, digest: str) -> None:
        """Put a bundle in force, in the transaction that records it."""
        connection.execute(update(BUNDLE_IN_FORCE).values(digest=digest))
