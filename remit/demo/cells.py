"""Columns of made-up data, as Arrow arrays."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa

from .working_day import Floats, Ints


def named(people: Ints) -> pa.Array:
    """The ids of people: 0 is `e0001`."""
    return words([f"e{number + 1:04}" for number in range(int(people.max(initial=0)) + 1)], people)


def instants(day: date, seconds: Floats) -> pa.Array:
    """Seconds of `day` as Arrow timestamps in microseconds, which are UTC without saying so."""
    return pa.array(np.datetime64(day, "us") + (seconds * 1e6).astype("timedelta64[us]"))


def words(known: Sequence[str], indexes: Ints) -> pa.Array:
    """For each index the word that it stands for."""
    return pa.array(known).take(pa.array(indexes))
