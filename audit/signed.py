"""What was signed of a span: each note read, and its signatures checked, where the span is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policy.amounts import amount

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
    """One stored checkpoint: what it says (None: not readable), and which known keys signed it, witnesses' too."""

    size: int
    checkpoint: Checkpoint | None
    signers: tuple[Verifier, ...]
    wrong: str = ""


def signed_rows(
    session: Session, after: int, last: int, keys: Sequence[Verifier]
) -> tuple[list[SignedRow], list[tuple[int, str]]]:
    """The checkpoints of more than `after` and at most `last` entries; and what cosignatures of them do not hold."""
    cosigned, wrong = _cosigned(session, after, last)
    rows = session.execute(NOTES, (after, last))
    return [_read_note(size, note, keys, cosigned) for size, note in rows], wrong


def _read_note(size: int, note: str, keys: Sequence[Verifier], cosigned: Mapping[int, set[Verifier]]) -> SignedRow:
    """A note that is stored for `size` entries, whatever it holds."""
    try:
        checkpoint = Signed.parse(note).checkpoint
        if checkpoint.size != size:
            return SignedRow(size, None, (), f"the checkpoint of {amount(size, 'entry')} is one of {checkpoint.size}")
        witnesses = cosigned.get(size, set()).intersection(keys)
        return SignedRow(size, checkpoint, (*Note.parse(note.encode()).verified(keys), *witnesses))
    except (BadNote, NotProven) as wrong:
        return SignedRow(size, None, (), f"the checkpoint of {amount(size, 'entry')} does not hold: {wrong}")


def _cosigned(session: Session, after: int, last: int) -> tuple[dict[int, set[Verifier]], list[tuple[int, str]]]:
    """Whose cosignatures of a checkpoint of some size hold; and the size for each that does not, with why."""
    holds, found = dict[int, set[Verifier]](), []
    for size, note, witness, line in session.execute(COSIGNED, (after, last)):
        try:
            key, signature = Verifier.parse(witness), Signature.parse(line.removesuffix("\n"))
            if note is None or not signature.is_by(key):
                raise NotProven("it is of another key, or its checkpoint is gone")
            key.check(Note.parse(note.encode()).text, signature.value)
            holds.setdefault(size, set()).add(key)
        except (BadNote, NotProven) as wrong:
            found.append((size, f"a cosignature of the checkpoint of {amount(size, 'entry')} does not hold: {wrong}"))
    return holds, found


def signed_beyond(session: Session, last: int) -> list[tuple[int, str]]:
    """What was signed of a ledger that has only `last` entries now."""
    low, high = session.execute(BEYOND, (last,)).fetchone() or (None, None)
    what = f"more than these {last} entries were signed: there are checkpoints or cosignatures of {low} to {high}"
    return [] if high is None else [(last, what)]
