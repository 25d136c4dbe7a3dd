"""Check a proof that somebody was handed: with the keys that one trusts, no database and no service."""

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import BadNote, NotProven
from .merkle import leaf_hash
from .notes import SIGNED, Checkpoint, Note, Verifier
from .proofs import Proof, check_inclusion


@dataclass(frozen=True, slots=True)
class Proven:
    """What the proof proves: `entry` (canonical text, UTF-8) is number `seq` of the first `size` of the ledger."""

    entry: bytes
    seq: int
    origin: str
    size: int


def check_proof(text: bytes, keys: Sequence[Verifier], entry: bytes | None = None) -> Proven:
    """What the proof `text` proves, of `entry` or of the entry that it brings along.

    Each of `keys` has to have signed; one of them has to be the ledger's own. Raises `NotProven`, or `BadNote` where it
    is no proof.
    """
    proof = Proof.parse(text)
    own = proof.extra if entry is None else entry
    if own is None:
        raise BadNote("the proof does not bring its entry along; give the entry's text too")
    note = Note.parse(proof.checkpoint)
    checkpoint, signed = Checkpoint.parse(note.text), note.verified(keys)
    if missing := [key for key in keys if key not in signed]:
        raise NotProven(f"the checkpoint is not signed by `{missing[0]}`")
    if not any(key.algorithm == SIGNED and key.name == checkpoint.origin for key in keys):
        raise NotProven(f"none of the keys is that of the ledger `{checkpoint.origin}`")
    check_inclusion(leaf_hash(own), proof.index, checkpoint.size, proof.path, checkpoint.root)
    return Proven(own, proof.index + 1, checkpoint.origin, checkpoint.size)
