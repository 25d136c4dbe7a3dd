"""What a log and its witness say to each other: c2sp.org/tlog-witness."""

from dataclasses import dataclass
from hashlib import sha256

from .errors import BadNote
from .notes import LARGEST_NOTE, Checkpoint, Note, base64, decimal
from .proofs import LONGEST_PROOF, hashes_of

LARGEST = LARGEST_NOTE + (LONGEST_PROOF + 1) * 64
"""Bytes of a body."""
OLD = "old "
SIZE_TYPE = "text/x.tlog.size"
"""The content type of the size that a witness knows, where it is not what the log said."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint's note, and the proof that it grew out of the tree of `old` leaves."""

    old: int
    proof: tuple[bytes, ...]
    note: Note

    @property
    def checkpoint(self) -> Checkpoint:
        """What the log says. Raises `BadNote`."""
        return Checkpoint.parse(self.note.text)

    @classmethod
    def parse(cls, body: bytes) -> "Submission":
        """Raises `BadNote`; the checkpoint itself is not looked at."""
        head, gap, note = body.partition(b"\n\n")
        if not gap or not head.isascii():
            raise BadNote("a submission is an old size, a proof, an empty line and a checkpoint")
        old, *proof = head.decode().split("\n")
        if not old.startswith(OLD):
            raise BadNote("a submission begins with `old` and a size")
        return cls(decimal(old.removeprefix(OLD)), hashes_of(proof), Note.parse(note))

    def __bytes__(self) -> bytes:
        head = "\n".join([f"{OLD}{self.old}", *map(base64, self.proof)])
        return f"{head}\n\n{self.note}".encode()


def address(origin: str) -> str:
    """How a log is named in addresses and file names: the specification's origin hash."""
    return sha256(origin.encode()).hexdigest()
