"""An entry on its way into the ledger: its canonical text but for the time, which only the ledger's lock may set."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from .canonical import canonical, cleaned, is_writable, quoted
from .entries import Entry, Kind
from .errors import NotCanonical

LONGEST_ID = 200


def stamp(at: datetime) -> str:
    """`2026-11-21T08:38:41.123456Z`: UTC, always with microseconds, so that it sorts as text. `at` is aware UTC."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Draft:
    """The canonical text before and after the time: made in the caller's thread, sealed under the lock."""

    before: str
    after: str
    kind: Kind
    read: str | None

    def sealed(self, at: str) -> bytes:
        """The canonical text, in UTF-8, with the time `at`."""
        return (self.before + at + self.after).encode()


def draft(entry: Entry, gateway: str) -> Draft:
    """What `gateway` has to say of `entry`. Raises `NotCanonical`.

    An entry about a hostile input must still be writable: characters that cannot be written become U+FFFD, and then
    `replaced` says how many they were.
    """
    if entry.read is not None and len(entry.read) > LONGEST_ID:
        raise NotCanonical(f"the id of a read is longer than {LONGEST_ID} characters")
    before, after = _parts(entry, gateway)
    if not (is_writable(before) and is_writable(after)):
        entry, replaced = _cleaned(entry)
        before, after = _parts(entry, gateway, replaced)
    return Draft(before, after, entry.kind, entry.read)


def _parts(entry: Entry, gateway: str, replaced: int = 0) -> tuple[str, str]:
    """Members in the order of their keys, `actor` alone before `at`; by hand, because every read waits for this."""
    members = (
        ("code", entry.code and quoted(entry.code)),
        ("dataset", entry.dataset and quoted(entry.dataset)),
        ("details", canonical(entry.details)),
        ("digest", entry.digest and quoted(entry.digest)),
        ("excess", entry.excess and quoted(entry.excess)),
        ("gateway", quoted(gateway)),
        ("grant", entry.grant and quoted(entry.grant)),
        ("kind", quoted(entry.kind)),
        ("purpose", entry.purpose and quoted(entry.purpose)),
        ("read", entry.read and quoted(entry.read)),
        ("replaced", replaced and str(replaced)),
        ("teams", entry.teams and canonical(entry.teams)),
    )
    rest = ",".join([f'"{name}":{text}' for name, text in members if text])
    return f'{{"actor":{quoted(entry.actor)},"at":"', f'",{rest}}}'


def _cleaned(entry: Entry) -> tuple[Entry, int]:
    """The entry as it can be written, and how many characters were replaced."""
    texts: dict[str, Any] = {name: getattr(entry, name) for name in entry.__slots__ if name != "kind"}
    values, replaced = cleaned(texts)
    return dataclasses.replace(entry, **cast(dict[str, Any], values)), replaced
