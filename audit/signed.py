"""What was signed of a span: each note read, and its signatures checked, where the span is read."""

from collections.abc import Sequence
from dataclasses import dataclass

from .checkpoints import Signed
from .errors import BadNote, NotProven
from .head import Session
from .notes import Checkpoint, Note, Signature, Verifier

NOTES = "SELECT size, note FROM audit_checkpoints WHERE size > %s AND size <= %s ORDER BY size"
COSIGNED = """
    SELECT size, note, witness, line FROM audit_cosignatures LEFT JOIN audit_checkpoints USING (size)
    WHERE size > %s AND size <= %s ORDER BY size
"""
BEYOND = """
    SELECT min(size), max(size) FROM (SELECT size FROM audit_checkpoints UNION ALL SELECT size FROM audit_cosignatures)
    WHERE size < 1 OR size > %s
"""


@dataclass(frozen=True, slots=True)
class SignedRow:
    """One stored checkpoint: what it says (None where it cannot be read), and which known keys signed it."""

    size: int
    checkpoint: Checkpoint | None
    signers: tuple[Verifier, ...]
    wrong: str = ""


def signed_rows(session: Session, after: int, last: int, keys: Sequence[Verifier]) -> list[SignedRow]:
    """The checkpoints of more than `after` and at most `last` entries."""
    return [read_note(size, note, keys) for size, note in session.execute(NOTES, (after, last))]


def read_note(size: int, note: str, keys: Sequence[Verifier]) -> SignedRow:
    """A note that is stored for `size` entries, whatever it holds."""
    try:
        checkpoint = Signed.parse(note).checkpoint
        if checkpoint.size != size:
            return SignedRow(size, None, (), f"the checkpoint of {size} entries is one of {checkpoint.size}")
        return SignedRow(size, checkpoint, Note.parse(note.encode()).verified(keys))
    except (BadNote, NotProven) as wrong:
        return SignedRow(size, None, (), f"the checkpoint of {size} entries does not hold: {wrong}")


def wrong_cosignatures(session: Session, after: int, last: int) -> list[tuple[int, str]]:
    """The stored cosignatures that are not what they say: the size of their checkpoint, and why."""
    found = []
    for size, note, witness, line in session.execute(COSIGNED, (after, last)):
        try:
            key, signature = Verifier.parse(witness), Signature.parse(line.removesuffix("\n"))
            if note is None or not signature.is_by(key):
                raise NotProven("it is of another key, or its checkpoint is gone")
            key.check(Note.parse(note.encode()).text, signature.value)
        except (BadNote, NotProven) as wrong:
            found.append((size, f"a cosignature of the checkpoint of {size} entries does not hold: {wrong}"))
    return found


def signed_beyond(session: Session, last: int) -> list[tuple[int, str]]:
    """What was signed of a ledger that has only `last` entries now."""
    low, high = session.execute(BEYOND, (last,)).fetchone() or (None, None)
    what = f"more than these {last} entries were signed: there are checkpoints or cosignatures of {low} to {high}"
    return [] if high is None else [(last, what)]
