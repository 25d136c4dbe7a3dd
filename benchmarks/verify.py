"""Verify: recomputing the whole ledger, against only fetching it."""

from collections.abc import Iterator

import psycopg

from audit.checkpointer import Checkpointer
from audit.checkpoints import BY_INDEX
from audit.ledger_keys import NAME
from audit.spans import ROWS
from audit.verify import verify

from .appends import ledger_on
from .contest import Contest, Goal, timed
from .generated import ledger_of
from .place import Place
from .scale import Scale


def contests(place: Place, scale: Scale) -> Iterator[Contest]:
    """One, on a generated ledger that is signed."""
    database = ledger_of(place, "verified", scale.entries)
    ledger, home = ledger_on(place, database), place.subfolder("signing")
    Checkpointer(database.engine(), ledger, key=home / NAME, home=home).look()

    def verified() -> int:
        verdict = verify(database.url())
        assert verdict.integrity, verdict.problems
        assert verdict.completeness, verdict.problems
        return verdict.size

    def copied() -> int:
        with psycopg.connect(database.url()) as session:
            session.execute(BY_INDEX)
            with session.cursor().copy(ROWS.format("true")) as copy:
                assert sum(len(block) for block in copy) > scale.entries
        return scale.entries

    yield Contest(
        what="verify integrity",
        against="binary COPY of the same rows",
        goal=Goal("time", 1.5),
        unit="entries",
        how=f"{scale.entries:,} entries under a checkpoint, stored tree and completeness as well; the opponent fetches "
        "the very same rows in one COPY and looks at nothing",
        cause="parsing the two JSON texts of each entry and hashing it takes longer than sending it; processes share "
        "the work, and the database wants the same cores",
        ours=lambda: timed(verified),
        theirs=lambda: timed(copied),
    )
