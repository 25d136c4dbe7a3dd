"""An entry on its way into the ledger: its canonical text but for the time, which only the ledger's lock may set."""

from dataclasses import dataclass
from datetime import datetime

from .canonical import canonical, clean, clean_text
from .entries import Entry, Json, Kind
from .errors import NotCanonical

NAMED = ("read", "dataset", "purpose", "grant", "code", "excess", "digest")
LONGEST_ID = 200


def stamp(at: datetime) -> str:
    """`2026-11-21T08:38:41.123456Z`: UTC, always with microseconds, so that it sorts as text. `at` is aware UTC."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Draft:
    """The canonical text before and after the time: made in the caller's thread, sealed under the lock.

    `actor` sorts before `at` and every other key after it; a test holds that sealing gives RFC 8785.
    """

    before: str
    after: str
    kind: Kind
    read: str | None

    def sealed(self, at: str) -> bytes:
        """The canonical text, in UTF-8, with the time `at`."""
        return (self.before + at + self.after).encode()


def draft(entry: Entry, gateway: str) -> Draft:
    """What `gateway` has to say of `entry`. Raises `NotCanonical`.

    Characters that cannot be written are replaced by U+FFFD, and then `replaced` says how many they were.
    """
    if entry.read is not None and len(entry.read) > LONGEST_ID:
        raise NotCanonical(f"the id of a read is longer than {LONGEST_ID} characters")
    named: dict[str, Json] = {name: value for name in NAMED if (value := getattr(entry, name)) is not None}
    named.update(kind=entry.kind, gateway=gateway, details=entry.details)
    if entry.teams:
        named["teams"] = entry.teams
    rest, replaced = clean(named)
    actor, replaced_in_actor = clean_text(entry.actor)
    if not isinstance(rest, dict):
        raise TypeError("a mapping is cleaned to a dict")
    if replaced + replaced_in_actor:
        rest["replaced"] = replaced + replaced_in_actor
    after = '",' + canonical(rest)[1:]
    return Draft(f'{{"actor":{canonical(actor)},"at":"', after, entry.kind, entry.read)
