"""The embedded PostgreSQL: made, started, joined and stopped here; see `postgres_place` for where and as whom.

It listens on one socket in a folder of its own account, lets in by peer authentication only the user who runs this
process, and goes on when that process crashes: the next one joins it.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from .errors import DatabaseUnfit
from .postgres_place import Place, make_passable, place_for
from .postgres_server import DATABASE, GATEWAY, OWNER, fault, make, start, stop, url

__all__ = ["GATEWAY", "OWNER", "Embedded", "Role"]

Role = Literal["gateway", "owner"]


class Embedded:
    """One PostgreSQL server for everybody who opened the same `home`; the last to leave stops it. `place` is where."""

    def __init__(self, place: Place, users: int) -> None:
        self.place = place
        self._users = users

    @classmethod
    def open(cls, home: Path) -> "Embedded":
        """Starts the server of `home`, or joins it. Makes `home` where it is missing (0700, or 0711 as root).

        Raises `DatabaseUnfit`, saying what to do, where there can be no server.
        """
        make_passable(home)
        home = home.resolve()
        with _alone(home):
            place = place_for(home)
            make(place)
            start(place)
            users = os.open(home / "postgresql.users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(users, fcntl.LOCK_SH)
        return cls(place, users)

    def url(self, role: Role) -> str:
        """The libpq URL for `role`: the restricted gateway, or the owner that makes the schema."""
        return url(self.place, OWNER if role == "owner" else GATEWAY, DATABASE)

    def ensure_running(self) -> None:
        """Starts the server again if it died. Raises `DatabaseUnfit` where that fails."""
        with _alone(self.place.home):
            start(self.place)

    def close(self) -> None:
        """Leaves; whoever leaves last stops the server. Closing again does nothing."""
        if self._users < 0:
            return
        with _alone(self.place.home):
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                stop(self.place)
            except BlockingIOError:
                pass  # somebody else is using it
            finally:
                os.close(self._users)
                self._users = -1

    def erase(self) -> None:
        """Closes, and removes the database with all that it recorded: for a home that was made for a trial.

        Raises `DatabaseUnfit` where somebody else is using it.
        """
        self.close()
        with _alone(self.place.home):
            if fault(self.place) is None:
                raise DatabaseUnfit(f"the database of `{self.place.home}` is being used; stop remit there first")
            shutil.rmtree(self.place.data)
            shutil.rmtree(self.place.sockets, ignore_errors=True)
            if self.place.root != self.place.home:
                (self.place.home / "postgresql").unlink()
                self.place.root.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Holds the lock under which the server of `home` is made, started and stopped."""
    lock = os.open(home / "postgresql.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
