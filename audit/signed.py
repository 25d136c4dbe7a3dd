"""What was signed of a span: each note read, and its signatures checked, where the span is read."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from policy.amounts import amount

from .checkpoints import Signed
from .errors import BadNote, NotProven
from .head import Session
from .notes import Checkpoint, Note, Signature, Verifier

NOTES = "SELECT size, note FROM audit_checkpoints WHERE size > %s AND size <= %s ORDER BY size"
COSIGNED = "SELECT size, witness, line FROM audit_cosignatures WHERE size > %s AND size <= %s ORDER BY size"
BEYOND = """
    SELECT min(size), max(size) FROM (SELECT size FROM audit_checkpoints UNION ALL SELECT size FROM audit_cosignatures)
    WHERE size < 1 OR size > %s
"""
Found = tuple[int, str]
"""A size, and what is wrong there."""


@dataclass(frozen=True, slots=True)
class SignedRow:
    """One stored checkpoint: what it says (None: not readable), and which known keys signed it, witnesses' too."""

    size: int
    checkpoint: Checkpoint | None
    signers: tuple[Verifier, ...]
    wrong: str = ""


def signed_rows(
    session: Session, after: int, last: int, keys: Sequence[Verifier]
) -> tuple[list[SignedRow], list[Found]]:
    """The checkpoints of more than `after` and at most `last` entries; and what cosignatures of them do not hold."""
    lines = dict[int, list[tuple[str, str]]]()
    for size, witness, line in session.execute(COSIGNED, (after, last)):
        lines.setdefault(size, []).append((witness, line))
    signed, found = list[SignedRow](), list[Found]()
    for size, note in session.execute(NOTES, (after, last)):
        # One text, read once: a database that told another one to each question would have both believed.
        witnesses, wrong = _cosigned(size, note, lines.pop(size, ()))
        signed.append(_read_note(size, note, keys, witnesses))
        found += wrong
    found += [(size, f"{_of(size)} does not hold: its checkpoint is gone") for size, own in lines.items() for _ in own]
    return signed, found


def _read_note(size: int, note: str, keys: Sequence[Verifier], witnesses: Collection[Verifier]) -> SignedRow:
    """A note that is stored for `size` entries, whatever it holds."""
    try:
        checkpoint = Signed.parse(note).checkpoint
        if checkpoint.size != size:
            return SignedRow(size, None, (), f"the checkpoint of {amount(size, 'entry')} is one of {checkpoint.size}")
        own = tuple(key for key in keys if key in witnesses)
        return SignedRow(size, checkpoint, (*Note.parse(note.encode()).verified(keys), *own))
    except (BadNote, NotProven) as wrong:
        return SignedRow(size, None, (), f"the checkpoint of {amount(size, 'entry')} does not hold: {wrong}")


def _cosigned(size: int, note: str, lines: Iterable[tuple[str, str]]) -> tuple[set[Verifier], list[Found]]:
    """Whose cosignatures of this note hold; and why each does not that does not."""
    holds, found = set[Verifier](), list[Found]()
    for witness, line in lines:
        try:
            key, signature = Verifier.parse(witness), Signature.parse(line.removesuffix("\n"))
            if not signature.is_by(key):
                raise NotProven("it is of another key")
            key.check(Note.parse(note.encode()).text, signature.value)
            holds.add(key)
        except (BadNote, NotProven) as wrong:
            found.append((size, f"{_of(size)} does not hold: {wrong}"))
    return holds, found


def _of(size: int) -> str:
    return f"a cosignature of the checkpoint of {amount(size, 'entry')}"


def signed_beyond(session: Session, last: int) -> list[tuple[int, str]]:
    """What was signed of a ledger that has only `last` entries now."""
    low, high = session.execute(BEYOND, (last,)).fetchone() or (None, None)
    what = f"more than these {last} entries were signed: there are checkpoints or cosignatures of {low} to {high}"
    return [] if high is None else [(last, what)]
