"""How long an exposure report of one dataset takes, over all the time that a generated ledger has."""

import time
from datetime import timedelta
from statistics import median

from conftest import Database

from audit.cosignatures import Quorum
from audit.past import Sought
from audit.report_values import ExposureReport
from audit.reporting import Asked, Reporter

from .generated import BEGIN, time_of

DATASET = "dataset_3"
TIMES = 3


def reporting_seconds(database: Database, entries: int) -> float:
    """The median of some times."""
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        reported(database, entries)
        taken.append(time.perf_counter() - started)
    return median(taken)


def reported(database: Database, entries: int) -> ExposureReport:
    """The report of one dataset, as of the last entry."""
    until = time_of(entries) + timedelta(seconds=1)
    reporter = Reporter(database.engine(), Quorum(), timedelta(hours=1))
    return reporter.report(Sought(DATASET, BEGIN, until, entries), Asked("sam", until))
