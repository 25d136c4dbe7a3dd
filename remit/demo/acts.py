"""What a story is made of: who does what, in words and as a command."""

from dataclasses import dataclass

REQUEST = "REQUEST"
"""Stands in a command for the id of the request that ana made last."""
GRANT = "GRANT"
"""The same for the grant that she got last."""


@dataclass(frozen=True, slots=True)
class Act:
    """One step of the story: who does what, in words and as a command, and how that must end.

    `breaks` names somebody in the middle of whose read it is done, and whose rows have to stop there.
    """

    who: str
    says: str
    command: tuple[str, ...]
    exit: int = 0
    breaks: str | None = None
