"""The time by which is decided what has begun and what has ended."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta


class SteadyClock:
    """`clock`, but never behind the time that has passed since the start: set back, it opens nothing that has ended.

    `passed` gives seconds that no setting of the clock changes. One that leaps ahead is believed as long as it does.
    """

    def __init__(self, clock: Callable[[], datetime], passed: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._passed = passed
        self._started = clock(), passed()

    def __call__(self) -> datetime:
        """The time, aware."""
        at, passed = self._started
        return max(self._clock(), at + timedelta(seconds=self._passed() - passed))

    def seconds(self) -> float:
        """The same, in seconds since 1970."""
        return self().timestamp()
