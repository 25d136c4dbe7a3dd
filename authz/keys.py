"""Keys: one master in `REMIT_HOME`, and what is derived from it, each for one use.

A key is never stored twice nor shown; whoever holds the master can undo every pseudonym by trying values.
"""

import secrets
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from audit.errors import KeyUnfit
from audit.keyfiles import kept

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
            master = kept(path, lambda: secrets.token_bytes(SIZE))
        except KeyUnfit as fault:
            raise KeysUnfit(str(fault)) from fault
        if len(master) != SIZE:
            raise KeysUnfit(f"`{path}` is damaged: a master key has {SIZE} bytes; restore it from a backup")
        return cls(master)

    def of_grant(self, grant: str) -> bytes:
        """The 32-byte key of a grant's pseudonyms: they join within the grant and never across grants."""
        return self._derive(b"remit/grant/1\0" + grant.encode())

    def of_literals(self) -> bytes:
        """The 32-byte key under which the ledger hashes literals that name a person or a device."""
        return self._derive(b"remit/literals/1\0")

    def _derive(self, info: bytes) -> bytes:
        # RFC 5869; the master is uniformly random, so it needs no salt.
        return HKDF(SHA256(), SIZE, salt=None, info=info).derive(self._master)
