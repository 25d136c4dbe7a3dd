"""Work that is done again and again beside the reads, each in a thread of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger()

EVERY = 2.0
"""Seconds between two rounds of upkeep, where nothing else is said."""


@contextmanager
def every_few_seconds(
    work: Callable[[], object], every: float = EVERY, hurry: threading.Event | None = None
) -> Iterator[None]:
    """Does `work` in a thread until the end of the `with`, and at once when `hurry` is set.

    Whatever goes wrong is logged and tried again.
    """
    stopping, wake = threading.Event(), hurry or threading.Event()

    def run() -> None:
        while not stopping.is_set():
            wake.wait(every)
            wake.clear()
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
