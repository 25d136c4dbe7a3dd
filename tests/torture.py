"""Everything that takes long, with its last results in `benchmarks/torture.md`; `make torture` runs all of it.

python tests/torture.py [decisions] [pairs] [api] [alerts] [containing] [mutations] [syscalls] [kills]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import api_runs
import checkpoint_faults
import faulting
from checkpoint_faults import signing
from faulting import Fault, Trial, calls_of_a_read
from killed import contained, outlived
from service import serving

from audit.postgres import GATEWAY, Embedded
from audit.schema import migrate

HERE = Path(__file__).parent
RESULTS = HERE.parent / "benchmarks" / "torture.md"
HEAD = """\
# The last long runs

Written by `make torture`: each line by the last run of its part that found nothing.

| part | when (UTC) | seconds | what was compared or asked, and what was found |
| --- | --- | --- | --- |
"""
ROLES = ("ana", "sam", "olga", "eve", "bob", None)
EXAMPLES = 100
KILLS = 1000


def decisions(seed: int) -> str:
    """A million random decisions by Remit, stock Casbin and a naive reference."""
    return script("differential.py", "1000000", "--seed", str(seed))


def pairs(seed: int) -> str:
    """A hundred thousand pairs of reads on stores that differ in what the reader may not see."""
    return script("pair_runs.py", "100000", "--seed", str(seed))


def api(_: int) -> str:
    """Schemathesis at length, as everybody."""
    with _folder() as folder, serving(folder, "") as service:
        said = [api_runs.run(service, who, EXAMPLES).strip().splitlines()[-1].strip("= ") for who in ROLES]
    return f"{EXAMPLES} examples for each call as {', '.join(map(str, ROLES))}: {'; '.join(said)}"


def alerts(seed: int) -> str:
    """A thousand gateways killed while they record, raise and send alerts."""
    with _folder() as place, Embedded.open(place / "home") as server:
        migrate(server.url("owner"), GATEWAY)
        return str(outlived(server.url("gateway"), place, kills=KILLS, seed=seed))


def containing(seed: int) -> str:
    """A hundred gateways killed while they contain alerts."""
    with _folder() as place, Embedded.open(place / "home") as server:
        migrate(server.url("owner"), GATEWAY)
        return contained(server.url("gateway"), kills=KILLS // 10, seed=seed, alerts=KILLS)


def mutations(seed: int) -> str:
    """More than ten thousand changes to ledgers of four shapes, and a thousand ledgers that nobody touched."""
    return script("mutation_runs.py", "10000", "1000", str(seed % 10**6))


def syscalls(_: int) -> str:
    """Every call on the way of a read and of a checkpoint fails, or its process dies in it, one by one."""
    with _folder() as one, Embedded.open(one / "database") as database:
        migrate(database.url("owner"), GATEWAY)
        with serving(one, database.url("gateway")) as service:
            reading = Trial(service, database)
            reads = [_each(place, calls_of_a_read(reading, place), reading.hold) for place in faulting.PLACES]
    with _folder() as two, signing(two) as signed:
        checkpoints = [_each(place, signed.calls(place), signed.hold) for place in checkpoint_faults.PLACES]
    return f"on the way of a read: {', '.join(reads)}; of a checkpoint: {', '.join(checkpoints)}; all held"


def kills(seed: int) -> str:
    """A thousand `kill -9` under load: of gateways, of their PostgreSQL's backends and its postmaster."""
    return script("onslaught.py", str(KILLS), str(seed))


def _each(place: Fault, made: int, hold: Callable[[Fault], None]) -> str:
    print(f"{place.name}: {made} calls", flush=True)
    assert made, "where no call is made nothing is tried"
    for when in range(1, made + 1):
        hold(place.at(when))
    return f"{place.name} {made}"


@contextmanager
def _folder() -> Iterator[Path]:
    """An own account of PostgreSQL's has to get through it, where root runs this."""
    with tempfile.TemporaryDirectory(prefix="remit-torture-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


PARTS: Mapping[str, Callable[[int], str]] = {
    "decisions": decisions,
    "pairs": pairs,
    "api": api,
    "alerts": alerts,
    "containing": containing,
    "mutations": mutations,
    "syscalls": syscalls,
    "kills": kills,
}


def script(name: str, *arguments: str) -> str:
    """What one of the scripts beside this one says, in one line; raises where it found a difference."""
    done = subprocess.run(
        [sys.executable, str(HERE / name), *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    print(done.stdout, end="")
    if done.returncode:
        raise SystemExit(f"{name} found differences")
    return "; ".join(done.stdout.split("\n")).strip("; ")


def record(part: str, at: datetime, seconds: float, said: str) -> None:
    """Put the line of a part in the place of its last one."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    kept = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    kept[part] = f"| {part} | {at:%Y-%m-%d %H:%M} | {seconds:.0f} | {said.replace('|', '/')} |"
    RESULTS.write_text(HEAD + "".join(f"{kept[name]}\n" for name in PARTS if name in kept))


def main() -> None:
    """Run the parts that are named, or all of them; the first that finds anything ends it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parts", nargs="*", choices=[*PARTS, []])
    arguments.add_argument("--seed", type=int, default=time.time_ns())
    told = arguments.parse_args()
    for part in told.parts or PARTS:
        started, at = time.monotonic(), datetime.now(UTC)
        print(f"{part}: {PARTS[part].__doc__}", flush=True)
        said = PARTS[part](told.seed)
        record(part, at, time.monotonic() - started, said)


if __name__ == "__main__":
    main()
