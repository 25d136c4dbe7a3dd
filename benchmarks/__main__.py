"""`make bench`: every number that there is a goal for, printed as it comes, and kept in `results.md`."""

import argparse
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from . import (
    appends,
    decisions,
    growth,
    holds,
    pages,
    proofs,
    revocations,
    scans,
    small_reads,
    subjects,
    verify,
    witnessed,
)
from .contest import Contest, Result, compare
from .failed import Failed
from .gateways import gateway, gateway_here
from .machine import load, machine, stolen
from .picture import draw, figure_of
from .place import Place, place
from .questions import Asked
from .report import line, rewrite_growth, write
from .scale import FULL, TINY, Scale

SCANS = ("governed scan, ", "governed scan through HTTP")
SUBJECTS = ("governed scan with its subjects accounted for",)
SMALL_READS = ("small audited reads",)
LINES: Mapping[str, Sequence[str]] = {
    "decisions": ("decision at ",),
    "appends": ("durable appends, ", "appends with hashing"),
    "checkpoints": ("durable appends with checkpoints",),
    "scans and small reads": (*SCANS, *SUBJECTS, *SMALL_READS),
    "revocations": ("revocation to the ",),
    "pages": ("an excess delivered",),
    "verify": ("verify integrity",),
    "proofs": ("a proof at ",),
    "hold checks": ("the hold checks of ",),
}
"""How the lines of each step begin: what nobody asked for is not prepared."""


def main() -> int:
    """Measures everything; 1 where something could not be measured. A goal that was missed is a line, and no fault."""
    arguments = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    arguments.add_argument("--tiny", action="store_true", help="a few seconds for each line; the numbers mean nothing")
    only = "the lines that have this in them, or those of one step, like `revocations`; keeps nothing"
    arguments.add_argument("--only", default="", metavar="TEXT", help=only)
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="FOLDER", help="where it is kept")
    arguments.add_argument(
        "--growth", action="store_true", help="instead: how cost grows; up to half an hour, and 20 GB of disk"
    )
    told = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    scale, started = TINY if told.tiny else FULL, time.monotonic()
    with place() as where:
        facts, before = machine(where), stolen()
        print(*(f"{name}: {value}" for name, value in facts.items()), "", sep="\n", flush=True)
        if told.growth:
            failed = measure_growth(where, growth.TINY if told.tiny else growth.FULL, scale, told.out, facts)
        else:
            results, failed = measure(where, scale, told.only)
            after = {"load after": load(), "kept from us by the host": stolen().since(before)}
            if not told.only:
                write(told.out, results, {**facts, **after}, datetime.now(UTC), failed)
            print(*(f"{name}: {value}" for name, value in after.items()), sep="\n")
    print(f"\ntook {time.monotonic() - started:.0f} s")
    for step, why in failed.items():
        print(f"failed: {step}: {why}", file=sys.stderr)
    return 1 if failed else 0


def measure(where: Place, scale: Scale, only: str) -> tuple[list[Result], Failed]:
    """Every line that has `only` in it, told as it comes, and what failed, which keeps nothing else from its turn.

    Where `only` is the name of a step, its lines alone, and nothing is prepared for others.
    """
    results, failed = list[Result](), Failed()
    for name, step in steps(where, scale, only).items():
        if not is_asked(only, LINES[name]):
            continue
        with failed.noted(name):
            for contest in step():
                line_of = f"{contest.what}, against {contest.against}"
                if only in line_of or only == name:
                    with failed.noted(line_of):
                        results.append(compare(contest, scale.rounds))
                        print(line(results[-1]), flush=True)
    return results, failed


def measure_growth(where: Place, extent: growth.Extent, scale: Scale, out: Path, facts: Mapping[str, str]) -> Failed:
    """Measures how cost grows, and keeps it as numbers, as a picture and in `results.md`; what failed."""
    failed, curves, asked = Failed(), list[growth.Curve](), list[Asked]()
    for name, step in growth.steps(where, extent, scale, asked).items():
        started = time.monotonic()
        with failed.noted(name):
            for curve in step():
                along = ", ".join(f"{figure_of(y)} at {x:,}" for x, y in curve.points)
                print(f"{curve.panel}, {curve.label}: {along} {curve.over} ({curve.unit})", flush=True)
                curves.append(curve)
        print(f"    {name} took {time.monotonic() - started:.0f} s", flush=True)
    measured = {"measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "load after": load()}
    growth.write(out, curves, asked, {**facts, **measured}, failed)
    if curves:
        draw(curves, out / "growth.svg")
    rewrite_growth(out)
    return failed


def is_asked(only: str, lines: Sequence[str]) -> bool:
    """Whether one of these lines may be meant: by its step's name, or by its text.

    Text that is of no line's beginning may be of any line's opponent.
    """
    if only in LINES:
        return any(line in LINES[only] for line in lines)
    known = any(only in line or line in only for each in LINES.values() for line in each)
    return not only or not known or any(only in line or line in only for line in lines)


def steps(where: Place, scale: Scale, only: str = "") -> Mapping[str, Callable[[], Iterator[Contest]]]:
    """All of them, in the order of the design's table; each prepares what it needs, and lets go of it."""

    def with_a_gateway() -> Iterator[Contest]:
        with gateway(where, "gateway", scale) as service:
            if is_asked(only, SCANS):
                yield from scans.contests(where, service, scale)
            if is_asked(only, SUBJECTS):
                with gateway_here(where, service, "subjects") as parts:
                    yield from subjects.contests(parts, scale)
            if is_asked(only, SMALL_READS):
                yield from small_reads.contests(where, service, scale)

    return {
        "decisions": partial(decisions.contests, scale),
        "appends": partial(appends.contests, where, scale),
        "checkpoints": partial(witnessed.contests, where, scale),
        "scans and small reads": with_a_gateway,
        "revocations": partial(revocations.contests, where, scale),
        "pages": partial(pages.contests, where, scale),
        "verify": partial(verify.contests, where, scale),
        "proofs": partial(proofs.contests, where, scale),
        "hold checks": partial(holds.contests, where, scale),
    }


if __name__ == "__main__":
    sys.exit(main())
