"""Check a proof that somebody was handed: with the keys that one trusts, no database and no service."""

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import BadNote, NotProven
from .merkle import leaf_hash
from .notes import SIGNED, Checkpoint, Note, Verifier
from .proofs import Proof, check_inclusion


@dataclass(frozen=True, slots=True)
class Proven:
    """What the proof proves: `entry` (canonical text, UTF-8) is number `seq` of the first `size` of the ledger.

    `by` are the trusted keys that signed that.
    """

    entry: bytes
    seq: int
    origin: str
    size: int
    by: tuple[Verifier, ...]


def check_proof(text: bytes, keys: Sequence[Verifier], entry: bytes | None = None) -> Proven:
    """What the proof `text` proves, of `entry` or of the entry that it brings along.

    Of `keys` those have to have signed that `signed_by` names. Raises `NotProven`, or `BadNote` where it is no proof.
    """
    proof = Proof.parse(text)
    own = proof.extra if entry is None else entry
    if own is None:
        raise BadNote("the proof does not bring its entry along; give the entry's text too")
    note = Note.parse(proof.checkpoint)
    checkpoint = Checkpoint.parse(note.text)
    by = signed_by(note, checkpoint, keys)
    if not any(_is_of(key, checkpoint) for key in by):
        raise NotProven(f"none of the keys is that of the ledger `{checkpoint.origin}`")
    check_inclusion(leaf_hash(own), proof.index, checkpoint.size, proof.path, checkpoint.root)
    return Proven(own, proof.index + 1, checkpoint.origin, checkpoint.size, by)


def signed_by(note: Note, checkpoint: Checkpoint, keys: Sequence[Verifier]) -> tuple[Verifier, ...]:
    """Those of `keys` that signed `note`: every witness among them has to, and of keys of the ledger one.

    Each gateway has a key of its own, and any of them signs the next checkpoint. Raises `NotProven`.
    """
    signed = tuple(note.verified(keys))
    own = [key for key in keys if _is_of(key, checkpoint)]
    if own and not any(key in signed for key in own):
        raise NotProven(f"the checkpoint is not signed by {' or '.join(f'`{key}`' for key in own)}")
    if missing := [key for key in keys if key not in own and key not in signed]:
        raise NotProven(f"the checkpoint is not signed by `{missing[0]}`")
    return signed


def _is_of(key: Verifier, checkpoint: Checkpoint) -> bool:
    return key.algorithm == SIGNED and key.name == checkpoint.origin
