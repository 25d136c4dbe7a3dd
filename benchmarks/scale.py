"""How much is measured: all of it, or so little that a test can run every line in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """`seconds` is how long a crowd of callers works in each round; the rest are numbers of what they are named for."""

    rounds: int
    few_rules: int
    rules: int
    many_rules: int
    decisions: int
    seconds: float
    callers: int
    clients: int
    rows: int
    scans: int
    entries: int
    leaves: int
    pages: int
    holds: int
    revocations: int
    streams: int


FULL = Scale(
    rounds=7,
    few_rules=10,
    rules=10_000,
    many_rules=100_000,
    decisions=400_000,
    seconds=1.5,
    callers=64,
    clients=32,
    rows=4_000_000,
    scans=3,
    entries=300_000,
    leaves=10_000_000,
    pages=50,
    holds=1_000,
    revocations=100,
    streams=10,
)
TINY = Scale(
    rounds=2,
    few_rules=10,
    rules=100,
    many_rules=1_000,
    decisions=4_000,
    seconds=0.1,
    callers=8,
    clients=4,
    rows=100_000,
    scans=1,
    entries=2_000,
    leaves=70_000,
    pages=3,
    holds=20,
    revocations=5,
    streams=2,
)
