"""Work that is done again and again beside the reads, each in a thread of its own."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger()

EVERY = 2.0
"""Seconds between two rounds of upkeep, where nothing else is said."""
GOLDEN = (5**0.5 - 1) / 2

_started = itertools.count(1)


@contextmanager
def every_few_seconds(
    work: Callable[[], object], every: float = EVERY, hurry: threading.Event | None = None
) -> Iterator[None]:
    """Does `work` in a thread until the end of the `with`, and at once when `hurry` is set.

    The first round begins sooner, each work's at another moment. Whatever goes wrong is logged and tried again.
    """
    stopping, wake = threading.Event(), hurry or threading.Event()
    first = first_after(next(_started), every)

    def run() -> None:
        seconds = first
        while not stopping.is_set():
            wake.wait(seconds)
            wake.clear()
            seconds = every
            if stopping.is_set():
                return
            try:
                work()
            except Exception as fault:  # noqa: BLE001  # upkeep that dies of one fault would not be there for the next
                log.warning("upkeep_failed", fault=type(fault).__name__)

    thread = threading.Thread(target=run, name="upkeep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        wake.set()
        thread.join()


def first_after(number: int, every: float) -> float:
    """Seconds until the first round of the `number`th work: all at one moment, they would hold up whoever reads then.

    A golden section of a round from one to the next leaves no two of a few close to each other, however many there are.
    """
    return every * (number * GOLDEN % 1)
