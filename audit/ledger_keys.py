"""The keys that sign checkpoints: one file, made at first use.

Each line is a key: the first is new, the second, if there is one, is the one before it and signs along until the next
rotation, so that whoever trusts it has time to learn of the new one. `RETIRED` lines name keys that sign no more.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import keyfiles
from .errors import BadNote, KeyUnfit, NotProven
from .notes import SIGNED, Signature, Signer, Verifier

NAME = "ledger.key"
RETIRED = "RETIRED "
SIGNING = 2
"""Keys that sign at the same time, at most."""
REMEMBERED = 8
"""Retired keys that the file still names: each has long been said in the ledger."""


@dataclass(frozen=True, slots=True)
class LedgerKeys:
    """Who signs the checkpoints of a gateway, newest first, and who does not any more."""

    signers: tuple[Signer, ...]
    retired: tuple[Verifier, ...] = ()

    @property
    def origin(self) -> str:
        """The ledger that they sign for: its name is theirs."""
        return self.signers[0].name

    def voucher(self, of: Signer) -> str:
        """The signature line by which the key before `of` vouches for it; empty where there is none before it."""
        before = self.signers[self.signers.index(of) + 1 :]
        return str(before[0].sign(vouching_for(of.verifier))).removesuffix("\n") if before else ""

    def rotated(self) -> "LedgerKeys":
        """With a new key in front; the one before it signs along, any older one no more."""
        new, gone = Signer.make(self.origin, SIGNED), self.signers[SIGNING - 1 :]
        retired = (*(signer.verifier for signer in gone), *self.retired)
        return LedgerKeys((new, *self.signers[: SIGNING - 1]), retired[:REMEMBERED])

    def __bytes__(self) -> bytes:
        lines = [signer.text() for signer in self.signers] + [f"{RETIRED}{vkey}" for vkey in self.retired]
        return "".join(f"{line}\n" for line in lines).encode()

    @classmethod
    def parse(cls, text: str) -> "LedgerKeys":
        """What `bytes` writes. Raises `BadNote`."""
        lines = [line for line in text.splitlines() if line]
        signers = tuple(Signer.parse(line) for line in lines if not line.startswith(RETIRED))
        retired = tuple(Verifier.parse(line.removeprefix(RETIRED)) for line in lines if line.startswith(RETIRED))
        if not 0 < len(signers) <= SIGNING or any(signer.algorithm != SIGNED for signer in signers):
            raise BadNote(f"one or {SIGNING} keys sign checkpoints")
        if len({signer.name for signer in signers} | {vkey.name for vkey in retired}) > 1:
            raise BadNote("all keys of a ledger have its name")
        return cls(signers, retired)


def is_vouched_for(vkey: str, voucher: str, trusted: Iterable[str]) -> bool:
    """Whether one of the `trusted` vkeys signed `voucher`, for this key. Both may hold anything."""
    try:
        key, signature = Verifier.parse(vkey), Signature.parse(voucher)
        for before in map(Verifier.parse, trusted):
            if before.algorithm == SIGNED and before.name == key.name and signature.is_by(before):
                before.check(vouching_for(key), signature.value)
                return True
    except (BadNote, NotProven):
        pass
    return False


def vouching_for(key: Verifier) -> str:
    """What is signed. It is no checkpoint, whose second line is a number."""
    return f"{key.name}\nvouches for the key\n{key}\n"


def made_or_read(path: Path, origin: str) -> LedgerKeys:
    """The keys in the file; a new one for `origin` where there is none. Raises `KeyUnfit`."""
    return _parsed(path, keyfiles.kept(path, lambda: bytes(LedgerKeys((Signer.make(origin, SIGNED),)))))


def read(path: Path) -> LedgerKeys:
    """The keys in the file. Raises `KeyUnfit`, also where there is none."""
    return _parsed(path, keyfiles.read(path))


def rotate(path: Path) -> LedgerKeys:
    """Puts a new key in front, whole or not at all; a running gateway takes it up by itself. Raises `KeyUnfit`."""
    keys = read(path).rotated()
    try:
        keyfiles.replace(path, bytes(keys))
    except OSError as fault:
        raise KeyUnfit(f"`{path}`: {fault.strerror}; it stays as it was") from fault
    return keys


def _parsed(path: Path, content: bytes) -> LedgerKeys:
    try:
        return LedgerKeys.parse(content.decode())
    except (BadNote, UnicodeDecodeError) as wrong:
        raise KeyUnfit(f"`{path}` holds no keys of a ledger ({wrong}); restore it from a backup") from None
