"""When people are at their desks: shifts between 8 and 18, lunch, meetings, pauses, and bursts in between.

All times are seconds since midnight, all people are numbers from 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MINUTES = 24 * 60
IN_A_MEETING = 0.08
"""How much of the usual activity is left in a meeting."""


@dataclass(frozen=True, slots=True)
class Staff:
    """Everybody's day: `share` (people) of all activity; `elapsed` (people × minutes) of their own, rising to 1."""

    share: Floats
    elapsed: Floats


def plan_day(rng: Generator, people: int) -> Staff:
    """One day of `people`, each with a shift, a lunch, up to 4 meetings, 6 pauses and a pace of their own."""
    minutes = np.arange(MINUTES)
    starts = np.clip(rng.normal(8 * 60 + 50, 35, people), 8 * 60, 10.25 * 60)
    ends = np.minimum(starts + rng.normal(8.5 * 60, 25, people), 18 * 60)
    active = np.exp(rng.normal(0, 0.6, (people, MINUTES)))
    active *= _between(minutes, starts, ends)
    lunch = rng.normal(12 * 60 + 25, 20, people)
    active *= ~_between(minutes, lunch, lunch + rng.normal(42, 9, people))
    for _ in range(4):
        meeting = rng.integers(18, 34, people) * 30
        held = rng.random(people) < 0.6
        during = _between(minutes, meeting, meeting + rng.choice([30, 60], people)) & held[:, None]
        active *= np.where(during, IN_A_MEETING, 1)
    for _ in range(6):
        pause = rng.uniform(starts, ends)
        active *= ~_between(minutes, pause, pause + rng.lognormal(np.log(7), 0.5, people))
    pace = rng.lognormal(0, 0.35, people) * active.sum(axis=1)
    return Staff(pace / pace.sum(), np.cumsum(active, axis=1) / active.sum(axis=1, keepdims=True))


def bursts(rng: Generator, staff: Staff, count: int) -> tuple[Ints, Floats]:
    """Who did something and when it began, `count` times, in the order of people and then of time."""
    who = np.repeat(np.arange(len(staff.share)), rng.multinomial(count, staff.share))
    # each person's line rises from their number to the next, so that one search serves everybody
    lines = (staff.elapsed + np.arange(len(staff.share))[:, None]).ravel()
    minute = np.searchsorted(lines, who + rng.random(count), side="right") % MINUTES
    begins = minute * 60 + rng.uniform(0, 60, count)
    order = np.lexsort((begins, who))
    return who[order], begins[order]


def one_at_a_time(who: Ints, begins: Floats, lasts: Floats) -> Floats:
    """Moves each burst behind the one before it of the same person: nobody has two right hands."""
    before = np.cumsum(lasts) - lasts
    apart = who * 1e6
    moved: Floats = np.maximum.accumulate(begins + apart - before) - apart + before
    return moved


def within_bursts(lengths: Ints) -> tuple[Ints, Ints]:
    """For bursts of these lengths, each event's burst and its place in it, from 0."""
    burst = np.repeat(np.arange(len(lengths)), lengths)
    return burst, np.arange(len(burst)) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def trimmed(rng: Generator, lengths: Ints, total: int) -> Ints:
    """The lengths with bursts left out at random, and one cut short, so that they add up to `total`."""
    order = rng.permutation(len(lengths))
    left = total - (np.cumsum(lengths[order]) - lengths[order])
    kept = np.empty_like(lengths)
    kept[order] = np.clip(left, 0, lengths[order])
    if kept.sum() != total:
        raise ValueError(f"{lengths.sum()} events are too few for {total} rows")
    return kept


def _between(minutes: Ints, first: Floats | Ints, last: Floats | Ints) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (minutes >= first[:, None]) & (minutes < last[:, None])
    return inside
