"""What resolves an alert without anybody's doing: an entry that says that it is over. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from .entries import Kind
from .severities import Document

ENDS: Mapping[str, str] = {Kind.WITNESSES_BACK: "witnesses_behind"}
"""The kind of an entry → the code of the alerts that it ends."""


@dataclass(frozen=True, slots=True)
class Mended:
    """Entry `seq` says that what the alerts of `code` were about is over; those that counted later go on."""

    seq: int
    code: str

    @property
    def why(self) -> str:
        """What the alert's own entry says."""
        return f"entry {self.seq} says that it is over"


def mended_of(seq: int, document: Document) -> Mended | None:
    """What entry `seq` ends; None where it ends nothing."""
    code = ENDS.get(str(document.get("kind")))
    return Mended(seq, code) if code else None
