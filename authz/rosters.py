"""Who comes first in which batch of rows that were read before: the next read of the same rows need not look at each.

A roster follows from the files as they were pinned, the filter, and the size of batches: rows come in the files' order.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

import pyarrow as pa

from policy.rows import Filter

LARGEST = 4_000_000
"""Bytes of a roster that is kept: enough for some 200,000 people."""

BATCH_BYTES = 150
"""About what a batch takes of it."""

KEPT, MOST = 8_000_000, 16
"""Bytes, and number, of all rosters of one set of files; the one that was asked for longest ago makes room."""


@dataclass(frozen=True, slots=True)
class Batch:
    """How many rows a batch has, how many of them are nobody's, and how many people it and those before it have."""

    rows: int
    nameless: int
    people: int


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody whose rows these are, as the store has their names, in the order of their first rows; the batches."""

    names: pa.Array
    batches: tuple[Batch, ...]

    @property
    def rows(self) -> int:
        """How many rows it tells of."""
        return sum(batch.rows for batch in self.batches)

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return int(self.names.nbytes) + BATCH_BYTES * len(self.batches)


@dataclass(frozen=True, slots=True)
class Which:
    """What decides which rows come in which batch, and which column says whose they are."""

    filters: tuple[Filter, ...]
    subject: str
    batch_rows: int


class Rosters:
    """The rosters of one set of pinned files. Thread-safe."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Which, Roster] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, which: Which) -> Roster | None:
        """The roster of these rows, where somebody read all of them before."""
        with self._lock:
            roster = self._kept.get(which)
            if roster is not None:
                self._kept.move_to_end(which)
            return roster

    def keep(self, which: Which, roster: Roster) -> None:
        """Keep the roster of rows that were read from the first to the last."""
        if roster.size > LARGEST:
            return
        with self._lock:
            self._kept[which] = roster
            self._kept.move_to_end(which)
            while len(self._kept) > MOST or sum(each.size for each in self._kept.values()) > KEPT:
                self._kept.popitem(last=False)
