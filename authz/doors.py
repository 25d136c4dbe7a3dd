"""The doors that are open, kept for the next read: a DuckDB takes 15 ms to make, and a small read 3 ms."""

import threading
from pathlib import Path

from .files import pin
from .stores import Door

DOORS = 32
"""How many stay open; the one that was used longest ago is closed for the next."""


class Doors:
    """One door for each location, made anew where its files are not those of before. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._doors: dict[str, Door] = {}
        self._makers: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def door(self, location: str) -> Door:
        """The door to the files that `location` matches now. Raises `StoreFailed`."""
        files = pin(location, self._folder)
        door = self._kept(location)
        if door is not None and door.files == files:
            return door
        with self._making(location):
            # Whoever waited for another's may take that one.
            door = self._kept(location)
            if door is not None and door.files == files:
                return door
            return self._replace(location, Door(files, door.looks if door is not None else None))

    def drop(self, location: str) -> None:
        """Close a door behind which something broke: a fatal fault of DuckDB is one of the whole database."""
        with self._lock:
            door = self._doors.pop(location, None)
        if door is not None:
            door.close()

    def close(self) -> None:
        """Close every door."""
        for location in tuple(self._doors):
            self.drop(location)

    def _kept(self, location: str) -> Door | None:
        with self._lock:
            door = self._doors.pop(location, None)
            if door is not None:
                self._doors[location] = door
            return door

    def _making(self, location: str) -> threading.Lock:
        """Held while a door is made: many reads that come at once would each make one, and keep one of them."""
        with self._lock:
            return self._makers.setdefault(location, threading.Lock())

    def _replace(self, location: str, door: Door) -> Door:
        """Put `door` in the place of the one that is there."""
        with self._lock:
            old = self._doors.pop(location, None)
            self._doors[location] = door
            idle = self._doors.pop(next(iter(self._doors))) if len(self._doors) > DOORS else None
        for closed in (old, idle):
            if closed is not None:
                closed.close()
        return door
