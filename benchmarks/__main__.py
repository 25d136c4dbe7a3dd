"""`make bench`: every number that there is a goal for, printed as it comes, and kept in `results.md`."""

import argparse
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import structlog

from . import appends, decisions, growth, proofs, revocations, scans, small_reads, subjects, verify
from .contest import Contest, compare
from .gateways import gateway, gateway_here
from .machine import load, machine
from .picture import draw, figure_of
from .place import Place, place
from .report import line, rewrite_growth, write
from .scale import FULL, TINY, Scale


def main() -> int:
    """Measures everything; 0 whatever the numbers are, for a goal that was missed is a line to read, not a fault."""
    arguments = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    arguments.add_argument("--tiny", action="store_true", help="a few seconds for each line; the numbers mean nothing")
    arguments.add_argument("--only", default="", metavar="TEXT", help="the lines that have this in them; keeps nothing")
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="FOLDER", help="where it is kept")
    arguments.add_argument(
        "--growth", action="store_true", help="instead: how cost grows; half an hour, and 20 GB of disk"
    )
    told = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    scale, started = TINY if told.tiny else FULL, time.monotonic()
    results = []
    with place() as where:
        facts = machine(where)
        print(*(f"{name}: {value}" for name, value in facts.items()), "", sep="\n", flush=True)
        if told.growth:
            measure_growth(where, growth.TINY if told.tiny else growth.FULL, scale, told.out, facts)
            return 0
        for contest in contests(where, scale):
            if told.only in f"{contest.what}, against {contest.against}":
                results.append(compare(contest, scale.rounds))
                print(line(results[-1]), flush=True)
    if not told.only:
        write(told.out, results, {**facts, "load after": load()}, datetime.now(UTC))
    print(f"\n{len(results)} lines in {time.monotonic() - started:.0f} s")
    return 0


def measure_growth(where: Place, extent: growth.Extent, scale: Scale, out: Path, facts: Mapping[str, str]) -> None:
    """Measures how cost grows, and keeps it as numbers, as a picture and in `results.md`."""

    def tell(curve: growth.Curve) -> None:
        along = ", ".join(f"{figure_of(y)} at {x:,}" for x, y in curve.points)
        print(f"{curve.panel}, {curve.label}: {along} {curve.over} ({curve.unit})", flush=True)

    curves, asked = growth.measure(where, extent, scale, tell)
    measured = {"measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "load after": load()}
    growth.write(out, curves, asked, {**facts, **measured})
    draw(curves, out / "growth.svg")
    rewrite_growth(out)


def contests(where: Place, scale: Scale) -> Iterator[Contest]:
    """All of them, in the order of the design's table."""
    yield from decisions.contests(scale)
    yield from appends.contests(where, scale)
    with gateway(where, "gateway", scale) as service:
        yield from scans.contests(where, service, scale)
        with gateway_here(where, service, "subjects") as parts:
            yield from subjects.contests(parts, scale)
        yield from small_reads.contests(where, service, scale)
    yield from revocations.contests(where, scale)
    yield from verify.contests(where, scale)
    yield from proofs.contests(where, scale)


if __name__ == "__main__":
    sys.exit(main())
