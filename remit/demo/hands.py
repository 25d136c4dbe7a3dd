"""What hands do: pointers that move like one, from target to target, and keys that are typed in phrases."""

from datetime import date

import numpy as np
import pyarrow as pa
from numpy.random import Generator

from .cells import instants, named, words
from .texts import APPLICATIONS, PHRASES, TITLES
from .working_day import Floats, Ints, Staff, bursts, one_at_a_time, trimmed, within_bursts

SCREENS = np.array([(1920, 1080), (2560, 1440), (1440, 900), (3840, 2160)])
SAMPLE_SECONDS = 0.016
KEY_SECONDS = 0.14
MOST_SAMPLES_PER_STROKE = 20
"""Fewer than a stroke has on average, so that there are always enough strokes for the rows that are wanted."""


def pointer_events(rng: Generator, staff: Staff, rows: int, day: date) -> pa.Table:
    """`rows` samples in the order of time: strokes from where the last one ended to a new target, some with a click."""
    who, begins = bursts(rng, staff, rows // MOST_SAMPLES_PER_STROKE + 100)
    screen = SCREENS[rng.integers(0, len(SCREENS), len(staff.share))][who]
    targets = screen * rng.beta(1.6, 1.6, screen.shape)
    origins = np.roll(targets, 1, axis=0)
    far = np.hypot(*(targets - origins).T)
    # Fitts's law: the time to a target grows with the logarithm of how far it is
    effort = (9 + 6 * np.log2(far / 40 + 1)) * rng.lognormal(0, 0.2, len(far))
    lengths = trimmed(rng, np.maximum(effort, 6).astype(np.int64), rows)
    stroke, place = within_bursts(lengths)
    gaps = rng.lognormal(np.log(SAMPLE_SECONDS), 0.35, rows)
    times = _times(who, begins, lengths, stroke, gaps)
    bow = rng.normal(0, 0.08, len(far))[stroke]
    path = _paths(rng, origins[stroke], targets[stroke], (place + 1) / lengths[stroke], bow)
    path = np.clip(path, 0, screen[stroke] - 1).astype(np.int32)
    application = rng.choice(len(APPLICATIONS), len(far), p=[0.35, 0.25, 0.2, 0.1, 0.1])
    clicked = (place + 1 == lengths[stroke]) & (rng.random(len(far)) < 0.55)[stroke]
    button = rng.choice(3, rows, p=[0.92, 0.06, 0.02])
    order = np.argsort(times, kind="stable")
    stroke = stroke[order]
    return pa.table(
        {
            "employee_id": named(who[stroke]),
            "occurred_at": instants(day, times[order]),
            "x": path[order, 0],
            "y": path[order, 1],
            "button": pa.array(["left", "right", "middle"]).take(pa.array(button[order], mask=~clicked[order])),
            "application": words(APPLICATIONS, application[stroke]),
            "window_title": words(TITLES, (application * 3 + who % 3)[stroke]),
        }
    )


def keystrokes(rng: Generator, staff: Staff, rows: int, day: date) -> pa.Table:
    """`rows` keys in the order of time: phrases of ordinary office work, each typed in one go."""
    keys = [[*phrase, "Enter"] for phrase in PHRASES]
    sizes = np.array([len(phrase) for phrase in keys])
    who, begins = bursts(rng, staff, rows // int(sizes.min()) + 100)
    phrase = rng.integers(0, len(PHRASES), len(who))
    lengths = trimmed(rng, sizes[phrase], rows)
    burst, place = within_bursts(lengths)
    gaps = rng.lognormal(np.log(KEY_SECONDS), 0.5, rows)
    times = _times(who, begins, lengths, burst, gaps)
    flat = [key for phrase in keys for key in phrase]
    typed = (np.cumsum(sizes) - sizes)[phrase[burst]] + place
    order = np.argsort(times, kind="stable")
    burst = burst[order]
    return pa.table(
        {
            "employee_id": named(who[burst]),
            "occurred_at": instants(day, times[order]),
            "key": words(flat, typed[order]),
            "dwell_ms": rng.lognormal(np.log(85), 0.3, rows).astype(np.int32),
            "application": words(APPLICATIONS, rng.integers(0, len(APPLICATIONS), len(who))[burst]),
        }
    )


def _times(who: Ints, begins: Floats, lengths: Ints, burst: Ints, gaps: Floats) -> Floats:
    elapsed = np.cumsum(gaps)
    lasts: Floats = np.bincount(burst, gaps, minlength=len(lengths)).astype(np.float64)
    before = np.cumsum(lasts) - lasts
    return one_at_a_time(who, begins, lasts)[burst] + elapsed - before[burst]


def _paths(rng: Generator, origins: Floats, targets: Floats, progress: Floats, bow: Floats) -> Floats:
    """Minimum jerk (Flash and Hogan 1985) on a line that bows aside by `bow` of its length, with a little tremor."""
    eased = 10 * progress**3 - 15 * progress**4 + 6 * progress**5
    way = targets - origins
    aside = np.column_stack((-way[:, 1], way[:, 0])) * (bow * np.sin(np.pi * eased))[:, None]
    return origins + way * eased[:, None] + aside + rng.normal(0, 0.7, way.shape)
