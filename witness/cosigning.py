"""Whether a checkpoint may be co-signed: c2sp.org/tlog-witness, `add-checkpoint`, in the order that it gives.

What always holds: of two checkpoints that this key ever co-signed for one log, the smaller tree is the beginning of
the larger. For that, what was co-signed last is read, compared, replaced on disk and only then signed, all of it under
one lock. It holds as long as nobody puts an older folder back.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from audit.errors import BadNote, NotProven
from audit.merkle import EMPTY_ROOT
from audit.notes import COSIGNED, SIGNED, Checkpoint, Note, Signer, Verifier
from audit.proofs import check_consistency
from audit.submissions import SIZE_TYPE, Submission, address

from .memory import Memory, Seen

log = structlog.get_logger()

TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status, and what to say with it."""

    status: int
    text: str
    kind: str = TEXT


class Witness:
    """Co-signs with one key for the logs that it knows; a log is named as its keys are. `clock` gives seconds.

    Faults of its memory are raised, and nothing is signed.
    """

    def __init__(self, signer: Signer, logs: Iterable[Verifier], memory: Memory, clock: Callable[[], float]) -> None:
        self._signer, self._memory, self._clock = signer, memory, clock
        self._logs = _by_name(logs)
        if signer.algorithm != COSIGNED:
            raise BadNote(f"`{signer.name}` is a key for notes; a witness needs one for cosignatures")

    def add(self, body: bytes) -> Answer:
        """The answer to a submission: 200 with its cosignature, which nobody gets who does not get this."""
        try:
            asked = Submission.parse(body)
            checkpoint = asked.checkpoint
        except BadNote as fault:
            return _refused(400, fault)
        if checkpoint.origin not in self._logs:
            return _refused(404, f"`{checkpoint.origin}` is not a log that this witness knows")
        try:
            signed = asked.note.verified(self._logs[checkpoint.origin])
        except NotProven as fault:
            return _refused(403, fault)
        if not signed:
            return _refused(403, f"no key that this witness knows of `{checkpoint.origin}` signed this")
        if asked.old > checkpoint.size:
            return _refused(400, f"a tree of {checkpoint.size} did not grow out of one of {asked.old}")
        with self._memory.held(checkpoint.origin):
            return self._decide(asked, checkpoint, signed)

    def latest(self, name: str) -> Answer:
        """What it co-signed last of the log whose hashed name this is, with its cosignature."""
        origin = next((origin for origin in self._logs if address(origin) == name), None)
        seen = None if origin is None else self._memory.latest(origin)
        if seen is None:
            return _refused(404, "this witness has co-signed nothing of this log")
        return Answer(200, f"{seen.note}{self._cosignature(seen)}")

    def _decide(self, asked: Submission, checkpoint: Checkpoint, signed: tuple[Verifier, ...]) -> Answer:
        seen = self._memory.latest(checkpoint.origin)
        size, root = (seen.checkpoint.size, seen.checkpoint.root) if seen else (0, EMPTY_ROOT)
        if asked.old != size:
            return Answer(409, f"{size}\n", SIZE_TYPE)
        if checkpoint.size == size and checkpoint.root != root:
            self._tell("another_history", seen, asked)
            return _refused(409, f"this witness has co-signed another tree of {size} leaves")
        try:
            check_consistency(size, checkpoint.size, root, checkpoint.root, asked.proof)
        except NotProven as fault:
            self._tell("not_proven", seen, asked)
            return _refused(422, fault)
        known = tuple(each for each in asked.note.signatures if any(each.is_by(key) for key in signed))
        now = Seen(Note(asked.note.text, known), int(self._clock()))
        self._memory.keep(now)
        # A crash before this line leaves a log that is told the new size and asks again; after it there is nothing new.
        return Answer(200, self._cosignature(now))

    def _cosignature(self, seen: Seen) -> str:
        return str(self._signer.sign(seen.note.text, at=seen.at))

    def _tell(self, event: str, seen: Seen | None, asked: Submission) -> None:
        # Both are signed by the log: together they may prove to anybody that it told two stories.
        log.error(event, known=seen and str(seen.note), asked=str(asked.note))


def _refused(status: int, why: object) -> Answer:
    return Answer(status, f"{why}\n")


def _by_name(keys: Iterable[Verifier]) -> Mapping[str, tuple[Verifier, ...]]:
    logs: dict[str, tuple[Verifier, ...]] = {}
    for key in keys:
        if key.algorithm != SIGNED:
            raise BadNote(f"`{key.name}` is a witness's key, not a log's")
        logs[key.name] = (*logs.get(key.name, ()), key)
    return logs
