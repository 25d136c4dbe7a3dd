"""Contests: ours and an opponent do the same work, round by round in turns; what counts is the median of the ratios."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Literal

Measure = Callable[[], float]
"""Does some of the work and says how many seconds each unit of it took."""


@dataclass(frozen=True, slots=True)
class Goal:
    """At most `bound` times the opponent's time, or at least `bound` times its speed; None is no goal, only a look."""

    of: Literal["time", "speed"]
    bound: float | None

    def ratio(self, ours: float, theirs: float) -> float:
        """The ratio of two times as this goal counts it."""
        return ours / theirs if self.of == "time" else theirs / ours

    def missing(self, ratio: float) -> float:
        """By which share of the bound `ratio` misses it; 0 or less where it is reached."""
        bound = ratio if self.bound is None else self.bound
        return (ratio - bound) / bound if self.of == "time" else (bound - ratio) / bound


@dataclass(frozen=True, slots=True)
class Contest:
    """One line of the table. `how` says what each side did; `missing` says why there is no opponent today.

    `unit` is what is counted, in the plural. `cause` says where the time goes, for the day when the goal is missed.
    """

    what: str
    against: str
    goal: Goal
    unit: str
    how: str
    ours: Measure
    theirs: Measure
    cause: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds for each unit in each round: ours, theirs."""

    contest: Contest
    rounds: tuple[tuple[float, float], ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(self.contest.goal.ratio(ours, theirs) for ours, theirs in self.rounds)

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios; None where nothing was measured."""
        return median(self.ratios) if self.rounds else None

    @property
    def is_reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none, or nothing was measured."""
        if self.ratio is None or self.contest.goal.bound is None:
            return None
        return self.contest.goal.missing(self.ratio) <= 0


def compare(contest: Contest, rounds: int) -> Result:
    """Measures both sides `rounds` times after a round that does not count; who goes first changes each time."""
    if contest.missing:
        return Result(contest, ())
    contest.ours(), contest.theirs()
    taken = []
    for turn in range(rounds):
        if turn % 2:
            theirs, ours = contest.theirs(), contest.ours()
        else:
            ours, theirs = contest.ours(), contest.theirs()
        taken.append((ours, theirs))
    return Result(contest, tuple(taken))


def timed(work: Callable[[], int]) -> float:
    """Seconds for each unit of `work`, which returns how many units it did."""
    started = time.perf_counter()
    units = work()
    return (time.perf_counter() - started) / units


def crowd(works: Sequence[Callable[[], int]], seconds: float) -> float:
    """Each of `works` again and again in a thread of its own for `seconds`; seconds for each unit that all of them did.

    A unit that has begun is waited for, and its time counts.
    """
    start = threading.Barrier(len(works) + 1)

    def run(work: Callable[[], int]) -> int:
        start.wait()
        until, units = time.perf_counter() + seconds, 0
        while time.perf_counter() < until:
            units += work()
        return units

    with ThreadPoolExecutor(len(works)) as threads:
        running = [threads.submit(run, work) for work in works]
        start.wait()
        return timed(lambda: sum(each.result() for each in running))
