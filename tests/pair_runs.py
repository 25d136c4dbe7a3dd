"""Many pairs of reads on stores that differ out of sight, in chunks that can be gone on with (`noninterference_app`).

python tests/pair_runs.py [PAIRS] [--seed N] [--keep FILE]
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import psycopg
import structlog
from conftest import _named
from noninterference import Outcome
from noninterference_app import compare

from audit.postgres import GATEWAY, Embedded
from audit.schema import migrate

CHUNK = 2_500
"""Pairs that two gateways are started for."""


def compare_many(pairs: int, seed: int, keep: Path | None, processes: int | None) -> Outcome:
    """So many pairs, a chunk in each process; those that `keep` has the outcome of, under this seed, are done."""
    sizes = [min(CHUNK, pairs - first) for first in range(0, pairs, CHUNK)]
    done = _kept(keep, seed)
    with tempfile.TemporaryDirectory(prefix="remit-pairs-") as name:
        Path(name).chmod(0o711)  # the account that runs PostgreSQL has to get through
        with Embedded.open(Path(name) / "home") as server, ProcessPoolExecutor(processes) as workers:
            owner, gateway = server.url("owner"), server.url("gateway")
            waiting = [
                workers.submit(_chunk, number, size, seed, Path(name), (owner, gateway))
                for number, size in enumerate(sizes)
                if number not in done
            ]
            for each in as_completed(waiting):
                number, outcome = each.result()
                done[number] = outcome
                _keep(keep, {"seed": seed, "chunk": number, **asdict(outcome)})
                print(f"{len(done)} of {len(sizes)} chunks", file=sys.stderr, flush=True)
    total = Outcome()
    for number in range(len(sizes)):
        total.add(done[number])
    return total


def _chunk(number: int, pairs: int, seed: int, folder: Path, server: Sequence[str]) -> tuple[int, Outcome]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    owner, gateway = server
    one, other = names = f"one_{number}", f"other_{number}"
    with psycopg.connect(_named(owner, "postgres"), autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
            migrate(_named(owner, name), GATEWAY)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            urls = _named(gateway, one), _named(gateway, other)
            outcome = compare(pairs, seed + number, Path(place), urls)
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    return number, outcome


def _kept(keep: Path | None, seed: int) -> dict[int, Outcome]:
    lines = map(json.loads, keep.read_text().splitlines()) if keep is not None and keep.exists() else []
    mine = [line for line in lines if line.pop("seed") == seed]
    return {line.pop("chunk"): Outcome(**line) for line in mine}


def _keep(keep: Path | None, line: object) -> None:
    if keep is not None:
        with keep.open("a") as file:
            file.write(json.dumps(line) + "\n")


def main() -> int:
    """Compares as many pairs as it is told to; 1 where any differs."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("pairs", type=int, nargs="?", default=100_000)
    arguments.add_argument("--seed", type=int, default=time.time_ns())
    arguments.add_argument("--keep", type=Path, help="a file of finished chunks: what is in it is not asked again")
    arguments.add_argument("--processes", type=int, default=os.cpu_count(), help="how many work at once")
    told = arguments.parse_args()
    started = time.monotonic()
    total = compare_many(told.pairs, told.seed, told.keep, told.processes)
    seconds = time.monotonic() - started
    print(f"{total.pairs:,} pairs of reads through the application in {seconds:.0f} s, seed {told.seed}: {total.kinds}")
    print(f"{len(total.differences)} differences", *total.differences, sep="\n")
    return 1 if total.differences else 0


if __name__ == "__main__":
    sys.exit(main())
