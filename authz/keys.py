"""Keys: one master in `REMIT_HOME`, and what is derived from it, each for one use.

A key is never stored twice nor shown; whoever holds the master can undo every pseudonym by trying values.
"""

import os
import secrets
import stat
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import KeysUnfit

NAME = "master.key"
SIZE = 32
"""Bytes of the master and of every derived key."""


class Keys:
    """Derives keys from one master of 32 bytes."""

    def __init__(self, master: bytes) -> None:
        if len(master) != SIZE:
            raise KeysUnfit(f"a master key has {SIZE} bytes, not {len(master)}")
        self._master = master

    @classmethod
    def open(cls, home: Path) -> "Keys":
        """The keys of a `REMIT_HOME`; makes its master on first use. Raises `KeysUnfit`."""
        path = home / NAME
        try:
            if not os.path.lexists(path):
                _make(path)
            return cls(_read(path))
        except OSError as fault:
            raise KeysUnfit(f"`{path}`: {fault.strerror}; it must be readable by this user only") from fault

    def of_grant(self, grant: str) -> bytes:
        """The 32-byte key of a grant's pseudonyms: they join within the grant and never across grants."""
        return self._derive(b"remit/grant/1\0" + grant.encode())

    def of_literals(self) -> bytes:
        """The 32-byte key under which the ledger hashes literals that name a person or a device."""
        return self._derive(b"remit/literals/1\0")

    def _derive(self, info: bytes) -> bytes:
        # RFC 5869; the master is uniformly random, so it needs no salt.
        return HKDF(SHA256(), SIZE, salt=None, info=info).derive(self._master)


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{NAME}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(SIZE))
            file.flush()
            os.fsync(file.fileno())
        # A link appears whole or not at all, and never replaces a master that another process made meanwhile.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise KeysUnfit(f"`{path}` must be a file that belongs to the user who runs remit")
        if found.st_mode & 0o077:
            raise KeysUnfit(f"`{path}` can be reached by other users: `chmod 600` it, and replace it if it was read")
        master = file.read(SIZE + 1)
    if len(master) != SIZE:
        raise KeysUnfit(f"`{path}` is damaged: a master key has {SIZE} bytes; restore it from a backup")
    return master
