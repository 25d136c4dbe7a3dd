"""Verify: recomputing the whole ledger, against only fetching it."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

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
    url = database.url()
    # In a process of its own, as `remit audit verify` is: with the threads of other lines it would have to start new
    # processes where it copies itself.
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        yield Contest(
            what="verify integrity",
            against="binary COPY of the same rows",
            goal=Goal("time", 1.5),
            unit="entries",
            how=f"{scale.entries:,} entries as a year of reads leaves them, under a checkpoint; ours looks at the "
            "stored tree and at completeness as well; the opponent fetches the very same rows by the same index in one "
            "COPY over one connection, with the same driver, and looks at nothing",
            cause="sending an entry takes the database 3 to 4 µs of a core; hashing it, comparing its two texts and "
            "replaying it 5 to 6 more, in Python, and 3 of these are looking at each of its bytes three times. In "
            "processor time that is 2.5 to 3 times the opponent's, and two idle cores share it: ours needs both, the "
            "opponent one, so that whatever else runs on the machine counts for ours alone",
            ours=lambda: alone.submit(verified, url).result(),
            theirs=lambda: alone.submit(copied, url).result(),
        )


def verified(url: str) -> float:
    """Seconds for each entry, all of them verified."""

    def work() -> int:
        verdict = verify(url)
        assert verdict.integrity, verdict.problems
        assert verdict.completeness, verdict.problems
        return verdict.size

    return timed(work)


def copied(url: str) -> float:
    """Seconds for each entry, all of them only fetched."""

    def work() -> int:
        with psycopg.connect(url) as session:
            session.execute(BY_INDEX)
            with session.cursor().copy(ROWS.format("true")) as copy:
                return sum(1 for _ in copy) - 1  # the end's mark

    return timed(work)
