"""`make bench`: every number that there is a goal for, printed as it comes, and kept in `results.md`."""

import argparse
import logging
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import structlog

from . import appends, decisions, scans, small_reads, verify
from .contest import Contest, compare
from .gateways import gateway
from .machine import load, machine
from .place import Place, place
from .report import line, write
from .scale import FULL, TINY, Scale


def main() -> int:
    """Measures everything; 0 whatever the numbers are, for a goal that was missed is a line to read, not a fault."""
    arguments = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    arguments.add_argument("--tiny", action="store_true", help="a few seconds for each line; the numbers mean nothing")
    arguments.add_argument("--only", default="", metavar="TEXT", help="the lines that have this in them; keeps nothing")
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="FOLDER", help="where it is kept")
    told = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    scale, started = TINY if told.tiny else FULL, time.monotonic()
    results = []
    with place() as where:
        facts = machine(where)
        print(*(f"{name}: {value}" for name, value in facts.items()), "", sep="\n", flush=True)
        for contest in contests(where, scale):
            if told.only in f"{contest.what}, against {contest.against}":
                results.append(compare(contest, scale.rounds))
                print(line(results[-1]), flush=True)
    if not told.only:
        write(told.out, results, {**facts, "load after": load()}, datetime.now(UTC))
    print(f"\n{len(results)} lines in {time.monotonic() - started:.0f} s")
    return 0


def contests(where: Place, scale: Scale) -> Iterator[Contest]:
    """All of them, in the order of the design's table."""
    yield from decisions.contests(scale)
    yield from appends.contests(where, scale)
    with gateway(where, "gateway", scale) as service:
        yield from scans.contests(where, service, scale)
        yield from small_reads.contests(where, service, scale)
    yield from verify.contests(where, scale)


if __name__ == "__main__":
    sys.exit(main())
