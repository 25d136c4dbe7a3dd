"""Ask one witness to co-sign a checkpoint: the log's side of c2sp.org/tlog-witness.

Nothing that a witness answers is believed before its signature was checked; all it can do is not to sign.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx2

from policy.amounts import amount

from .errors import BadNote, NotCosigned, NotProven, OtherHistory
from .notes import COSIGNED, Checkpoint, Note, Signature, Verifier, decimal
from .submissions import SIZE_TYPE, Submission, address

Proofs = Callable[[int, int], Sequence[bytes]]
"""`(old, size)` → the proof that the tree of `size` leaves grew out of that of `old`."""
TIMEOUT = 5.0
LARGEST_ANSWER = 256 * 1024
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class WitnessAt:
    """A witness: where it is asked, and the key that it signs with."""

    url: str
    key: Verifier

    def __post_init__(self) -> None:
        if self.key.algorithm != COSIGNED:
            raise BadNote(f"`{self.key.name}` is the key of a log, not of a witness")


class Cosigner:
    """Asks one witness; remembers how far that is, so that it is asked once. For one thread at a time."""

    def __init__(self, witness: WitnessAt) -> None:
        self.witness = witness
        self._client = httpx2.Client(timeout=TIMEOUT, trust_env=False, headers={"Accept-Encoding": "identity"})
        self._known = 0

    def close(self) -> None:
        """Let go of its connections."""
        self._client.close()

    def cosign(self, note: Note, prove: Proofs) -> Signature:
        """Its cosignature of this checkpoint. Raises `NotCosigned`; what `prove` raises is not caught."""
        size = Checkpoint.parse(note.text).size
        for _ in range(ATTEMPTS):
            if self._known > size:
                known, self._known = self._known, 0
                raise OtherHistory(f"it has co-signed {amount(known, 'entry')}, and here is a checkpoint of {size}")
            asked = Submission(self._known, tuple(prove(self._known, size)), note)
            status, kind, text = self._ask("POST", "/add-checkpoint", bytes(asked))
            if status == httpx2.codes.OK:
                signature = self._own(note, text)
                self._known = size
                return signature
            if status != httpx2.codes.CONFLICT or kind != SIZE_TYPE:
                fault = OtherHistory if status in (409, 422) else NotCosigned
                raise fault(f"it answered {status}: {_line(text)}")
            self._known = _size(text)
        raise NotCosigned("it does not stay with the size that it says it knows")

    def latest(self, origin: str) -> Note | None:
        """What it co-signed last of a log, checked to be its; None where it never did. Raises `NotCosigned`."""
        status, _, text = self._ask("GET", f"/{address(origin)}/checkpoint")
        if status == httpx2.codes.NOT_FOUND:
            return None
        if status != httpx2.codes.OK:
            raise NotCosigned(f"it answered {status}: {_line(text)}")
        try:
            note = Note.parse(text)
            signed = note.verified([self.witness.key])
            known = Checkpoint.parse(note.text).origin == origin
        except (BadNote, NotProven) as fault:
            raise NotCosigned(f"what it answered does not hold: {fault}") from fault
        if not signed or not known:
            raise NotCosigned(f"it did not sign what it answered; is `{self.witness.key.name}` its key?")
        return note

    def _own(self, note: Note, text: bytes) -> Signature:
        """The line of the answer that is this witness's. Lines of other keys are passed over."""
        try:
            lines = Note.parse(f"{note.text}\n".encode() + text)
            own = [line for line in lines.signatures if line.is_by(self.witness.key)]
            lines.verified([self.witness.key])
        except (BadNote, NotProven) as fault:
            raise NotCosigned(f"what it answered does not hold: {fault}") from fault
        if not own:
            raise NotCosigned(f"it signed with another key than `{self.witness.key}`")
        return own[0]

    def _ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, str, bytes]:
        """Status, content type and body of its answer."""
        try:
            with self._client.stream(method, self.witness.url.rstrip("/") + path, content=body) as response:
                text = bytearray()
                for chunk in response.iter_raw():
                    text += chunk
                    if len(text) > LARGEST_ANSWER:
                        raise NotCosigned(f"its answer is larger than {LARGEST_ANSWER} bytes")
                return response.status_code, response.headers.get("content-type", ""), bytes(text)
        except (httpx2.HTTPError, httpx2.InvalidURL) as fault:
            raise NotCosigned(f"it cannot be reached: {type(fault).__name__}") from fault


def _size(text: bytes) -> int:
    try:
        return decimal(text.decode("ascii").removesuffix("\n"))
    except (UnicodeDecodeError, BadNote) as fault:
        raise NotCosigned("the size that it says it knows is none") from fault


def _line(text: bytes) -> str:
    """The first line of an answer, short and without anything that a terminal would act on."""
    first = text.decode("utf-8", "replace").partition("\n")[0][:200]
    return "".join(sign if sign.isprintable() else "?" for sign in first)
