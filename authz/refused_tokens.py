"""Refused tokens as entries: at most 10 a minute for each address, then one that counts the rest.

So many from one address within 10 minutes are a series, which is an entry of its own, and an alert.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from audit.entries import Entry, Kind
from audit.ledger import Ledger

EACH_MINUTE = 10
ADDRESSES = 10_000
"""Addresses that are counted one by one; beyond them the rest is counted together, so that memory stays bounded."""
THE_REST = "other addresses"
SERIES = 50
SERIES_WITHIN = 600.0
"""Seconds within which so many refused tokens from one address are a series; it is told once."""


@dataclass(slots=True)
class _Window:
    ends: float
    refused: int = 0


class RefusedTokens:
    """Counts and records refusals; safe to share between threads. Raises `NotRecorded` where it cannot record."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}
        self._series: dict[str, _Window] = {}

    def record(self, address: str, reason: str) -> None:
        """Write the refusal of a token that came from `address`, unless the address has had its share."""
        if self._count(address):
            self._ledger.append(_entry(address, {"reason": reason}))
        if self._completes_series(address):
            why = f"{SERIES} refused tokens from {address} within {SERIES_WITHIN / 60:.0f} minutes; the last: {reason}"
            said: dict[str, str | int] = {"reason": "a series", "series": SERIES, "refused": 0, "why": why}
            self._ledger.append(_entry(address, said, code="identities_refused"))

    def sweep(self, *, all: bool = False) -> None:
        """Write the counts of the minutes that are over, or of `all`; to be called now and then, and at the end."""
        with self._lock:
            now = self._clock()
            over = {address: window for address, window in self._windows.items() if all or window.ends <= now}
            self._series = {address: window for address, window in self._series.items() if window.ends > now}
        for address, window in over.items():
            uncounted = window.refused - EACH_MINUTE
            if uncounted > 0:
                self._ledger.append(_entry(address, {"reason": "more of the same", "refused": uncounted}))
            with self._lock:
                # Only now: what could not be written is counted again.
                self._windows.pop(address, None)

    def _count(self, address: str) -> bool:
        with self._lock:
            if address not in self._windows and len(self._windows) >= ADDRESSES:
                address = THE_REST
            window = self._windows.setdefault(address, _Window(self._clock() + 60))
            window.refused += 1
            return window.refused <= EACH_MINUTE

    def _completes_series(self, address: str) -> bool:
        with self._lock:
            now = self._clock()
            if address not in self._series and len(self._series) >= ADDRESSES:
                address = THE_REST
            window = self._series.get(address)
            if window is None or window.ends <= now:
                window = self._series[address] = _Window(now + SERIES_WITHIN)
            window.refused += 1
            return window.refused == SERIES


def _entry(address: str, details: Mapping[str, str | int], code: str = "bad_token") -> Entry:
    return Entry(Kind.IDENTITY_REFUSED, actor="unknown", code=code, details={"address": address, **details})
