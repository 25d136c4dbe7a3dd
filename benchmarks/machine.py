"""The machine and the versions that the numbers come from; without them a number says little."""

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import psycopg

from .place import Place

PACKAGES = ("pycasbin", "cedarpy", "psycopg", "duckdb", "pyarrow", "adbc-driver-manager", "fastapi", "uvicorn")
DURABLE = ("fsync", "full_page_writes", "synchronous_commit", "wal_sync_method")
SYNCS = 50


def machine(place: Place) -> Mapping[str, str]:
    """What there is, by what it is called."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    with psycopg.connect(place.server.url("owner")) as connection:
        server = {name: _shown(connection, name) for name in ("server_version", *DURABLE)}
    return {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {gigabytes:.0f} GB",
        "load before": load(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        "postgresql": server.pop("server_version"),
        "durability": ", ".join(f"{name} {value}" for name, value in server.items()),
        "one 8 kB fdatasync": f"{_sync_seconds(place.folder) * 1e6:.0f} µs",
    }


@dataclass(frozen=True, slots=True)
class Stolen:
    """Ticks of the processor since the machine started: those it worked, and those it was kept from by its host."""

    worked: int
    kept_from: int

    def since(self, before: "Stolen") -> str:
        """How much of what was wanted since `before` the host gave to others."""
        worked, kept_from = self.worked - before.worked, self.kept_from - before.kept_from
        return f"{kept_from / max(1, worked + kept_from):.1%}"


def stolen() -> Stolen:
    """So far; all zeros where the system does not count it."""
    try:
        line = Path("/proc/stat").read_text().split("\n", 1)[0]
    except FileNotFoundError:
        return Stolen(0, 0)
    user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, line.split()[1:9])
    return Stolen(user + nice + system + irq + softirq, steal)


def load() -> str:
    """How many processes wanted a core in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def _shown(connection: "psycopg.Connection[tuple[str]]", name: str) -> str:
    row = connection.execute(f"SHOW {name}").fetchone()
    return row[0] if row else "?"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"


def _sync_seconds(folder: Path) -> float:
    """The median time that the disk takes to keep 8 kB."""
    path, taken = folder / "synced", []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(8192))
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - started)
    path.unlink()
    return median(taken)
