"""Keep a login: in the keyring of the system where it has one, else in a file that nobody else can read.

What always holds:

1. A file is private from its first byte, appears whole or not at all, and is on the disk before its tokens are used.
2. A file or folder that others could read or write is refused: its tokens may be known, or somebody else's.
3. Whoever changes a login holds its lock, so that two processes never spend one refresh token.
"""

import fcntl
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from remit.errors import LoginFailed

from . import keyrings
from .values import Login

T = TypeVar("T")
LOCK_SECONDS = 60
PRIVATE = 0o077
Place = Literal["keyring", "file"]


@dataclass(frozen=True, slots=True)
class Note:
    """What a file of the folder holds: a login, or that the keyring does."""

    gateway: str
    kept_in: Place
    login: Login | None = None


_NOTE, _LOGIN = TypeAdapter(Note), TypeAdapter(Login)


class Keeping:
    """The logins of one user of this machine, at most one for each gateway."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Keeping":
        """Those of the user whose environment it is (XDG Base Directory Specification: `XDG_STATE_HOME`)."""
        state = environment.get("XDG_STATE_HOME") or ""
        base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
        return cls(base / "remit" / "logins")

    def get(self, gateway: str) -> Login | None:
        """The login at `gateway`; raises `LoginFailed` where it is there but cannot be used."""
        path = self._path(gateway, "json")
        text = self._read(path)
        if text is None:
            return None
        note = _understood(_NOTE, text, f"`{path}`")
        if note.kept_in == "file":
            return note.login
        kept = keyrings.get(gateway)
        return None if kept is None else _understood(_LOGIN, kept, "the keyring")

    def put(self, login: Login) -> Place:
        """Keeps `login` in the place of an earlier one for its gateway; says where."""
        gateway = login.target.gateway
        place = self._in_keyring(gateway, _LOGIN.dump_json(login).decode())
        self._write(Note(gateway, place, None if place == "keyring" else login))
        return place

    def forget(self, gateway: str) -> None:
        """Takes the login at `gateway` away, wherever it is kept."""
        path = self._path(gateway, "json")
        text = self._read(path)
        if text is not None and _understood(_NOTE, text, f"`{path}`").kept_in == "keyring":
            keyrings.forget(gateway)
        path.unlink(missing_ok=True)

    @staticmethod
    def _in_keyring(gateway: str, login: str) -> Place:
        try:
            if not keyrings.is_there():
                return "file"
            keyrings.put(gateway, login)
        except LoginFailed:
            # it is locked, or broke: the refresh token is fresh, and lost where nothing keeps it
            return "file"
        return "keyring"

    @contextmanager
    def locked(self, gateway: str) -> Iterator[None]:
        """Holds what nobody else may hold meanwhile, in this process or another."""
        self._make_folder()
        descriptor = os.open(self._path(gateway, "lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _wait_for(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _path(self, gateway: str, ending: str) -> Path:
        return self._folder / f"{hashlib.sha256(gateway.encode()).hexdigest()[:32]}.{ending}"

    def _read(self, path: Path) -> bytes | None:
        try:
            _check_private(self._folder, self._folder.stat())
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LoginFailed(
                f"`{path}` cannot be read: {error.strerror}; take it away and run `remit login`"
            ) from error
        with os.fdopen(descriptor, "rb") as file:
            _check_private(path, os.fstat(descriptor))
            return file.read()

    def _write(self, note: Note) -> None:
        self._make_folder()
        path = self._path(note.gateway, "json")
        try:
            descriptor, draft = tempfile.mkstemp(dir=self._folder)  # mode 0600, and a name that was not there before
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(_NOTE.dump_json(note))
                    file.flush()
                    os.fsync(file.fileno())
                Path(draft).replace(path)
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise
            _fsync(self._folder)
        except OSError as error:
            raise LoginFailed(
                f"the login cannot be kept in `{path}`: {error.strerror}; make room, then log in"
            ) from error

    def _make_folder(self) -> None:
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise LoginFailed(f"`{self._folder}` cannot be made: {error.strerror}; set XDG_STATE_HOME") from error
        _check_private(self._folder, self._folder.stat())


def _check_private(path: Path, found: os.stat_result) -> None:
    is_folder = stat.S_ISDIR(found.st_mode)
    if found.st_uid != os.geteuid():
        raise LoginFailed(f"`{path}` belongs to somebody else; take it away, then run `remit login`")
    if found.st_mode & PRIVATE:
        mode = "700" if is_folder else "600"
        raise LoginFailed(
            f"others on this machine can get at `{path}`, so a login in it may be known to them; run "
            f"`chmod {mode} {path}`, then `remit logout` and `remit login`"
        )


def _understood(shape: TypeAdapter[T], text: bytes | str, where: str) -> T:
    try:
        return shape.validate_json(text)
    except ValidationError:
        # its text quotes what it does not understand, and that may be a token
        raise LoginFailed(f"the login in {where} is not understood; run `remit login` again") from None


def _wait_for(descriptor: int) -> None:
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise LoginFailed("another process has been changing this login for a minute; end it") from None
            time.sleep(0.02)


def _fsync(folder: Path) -> None:
    # without this a power cut could bring back a refresh token that the provider takes for stolen
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
