"""Whether what is searched is what was hashed: parsed once for entries that are worded alike.

Most entries are an earlier one's with another time, read and count of rows. Where both texts are the earlier ones' but
for these, which mean only themselves where they stand, they say the same because the earlier ones did.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from .replay import Role

MOST = 4_096
"""Wordings that are kept, of some kilobytes each."""
AT, READ = 27, 34
"""Characters of a time, and of a read's id."""
PLAIN = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-:."
"""What means only itself in a text of JSON."""
# In the places of time and read these parse only where they are whole texts: no JSON has them outside of one.
AT_MARK, READ_MARK, ROWS_MARK = b"@time@", b"@read@", b'"@rows@"'
ROWS = re.compile(rb'"rows": ([0-9]+)[,}]')
FRACTION = re.compile(rb"[ ,:\[]-?[0-9]+\.0")

Pieces = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an entry says, None where that is no object, and whether the searched document `agrees`."""

    agrees: bool
    entry: Mapping[str, Any] | None
    role: Role | None

    def text(self, name: str) -> str:
        """The value of this name, as text."""
        return str((self.entry or {}).get(name))


Said = tuple[Meaning, str, str]
"""What an entry says, its time and its read: in the meaning there may be marks for these."""


@dataclass(slots=True)
class Wordings:
    """The wordings so far, each with that of its document, and what both say."""

    known: dict[Pieces, tuple[Pieces, Meaning]] = field(default_factory=dict)

    def said(self, canonical: bytes | None, document: bytes | None) -> Said:
        """What an entry says; the texts may be anything."""
        canonical, document = canonical or b"", document or b""
        pieces, values = cut(canonical)
        alike = self.known.get(pieces)
        if alike is not None and filled(alike[0], values) == document:
            return alike[1], values[0].decode(), values[1].decode()
        meaning = _meaning(canonical, document)
        if alike is None and pieces and meaning.agrees:
            self._learn(pieces, values, document)
        return meaning, meaning.text("at"), meaning.text("read")

    def _learn(self, pieces: Pieces, values: Pieces, document: bytes) -> None:
        theirs = _cut_document(document, values)
        if not theirs or any(mark in document for mark in (AT_MARK, READ_MARK, ROWS_MARK)):
            return
        marked = (AT_MARK, READ_MARK) if len(values) == 2 else (AT_MARK, ROWS_MARK, READ_MARK)
        meaning = _meaning(filled(pieces, marked), filled(theirs, (AT_MARK, READ_MARK, ROWS_MARK)[: len(values)]))
        is_placed = (meaning.text("at"), meaning.text("read")) == (AT_MARK.decode(), READ_MARK.decode())
        # What changes what is in force is rare, and says more than can be marked.
        if meaning.agrees and is_placed and meaning.role is not None and meaning.role.changes is None:
            if len(self.known) >= MOST:
                self.known.clear()
            self.known[pieces] = theirs, meaning


def cut(text: bytes) -> tuple[Pieces, Pieces]:
    """A canonical text in pieces, and what was between: time, id of the read, and in some a count of rows.

    The count is between the others, and ends an object. No pieces where the text has no such places.
    """
    at, read = text.find(b'"at":"') + 6, text.rfind(b'"read":"') + 8
    moment, name = text[at : at + AT], text[read : read + READ]
    if at < 6 or read < at + AT or (moment + name).translate(None, PLAIN):
        return (), ()
    rows = text.find(b'"rows":', at + AT, read) + 7
    if rows >= 7:
        count = text[rows : text.find(b"}", rows)]
        if count.isdigit() and count[:1] != b"0":
            before, after = text[at + AT : rows], text[rows + len(count) : read]
            return (text[:at], before, after, text[read + READ :]), (moment, name, count)
    return (text[:at], text[at + AT : read], text[read + READ :]), (moment, name)


def template_of(pieces: Pieces) -> Mapping[str, Any] | None:
    """What every text of these pieces says, but for marks; None where time, read and count are not what they seem."""
    marked = (AT_MARK, READ_MARK) if len(pieces) == 3 else (AT_MARK, ROWS_MARK, READ_MARK)
    doc = parsed(filled(pieces, marked))
    if doc is None or (doc.get("at"), doc.get("read")) != (AT_MARK.decode(), READ_MARK.decode()):
        return None
    details = doc.get("details")
    counted = details.get("rows") if isinstance(details, dict) else None
    is_placed = len(pieces) == 3 or counted == ROWS_MARK.decode().strip('"')
    return doc if is_placed and isinstance(details, dict) else None


def _cut_document(text: bytes, values: Pieces) -> Pieces:
    """The pieces of a document, cut where it has the values: time, read, rows; none where they are not so in it."""
    spots, at = [text.find(b'"at": "' + values[0]) + 7, text.find(b'"read": "' + values[1]) + 9], 0
    if len(values) > 2:
        spots.append(next((found.start(1) for found in ROWS.finditer(text) if found[1] == values[2]), 0))
    pieces = list[bytes]()
    for spot, value in zip(spots, values, strict=True):
        if spot < at or text[spot : spot + len(value)] != value:
            return ()
        pieces.append(text[at:spot])
        at = spot + len(value)
    return (*pieces, text[at:])


def filled(pieces: Pieces, values: Pieces) -> bytes:
    """The text with `values` between the pieces."""
    if len(values) == 2:
        return b"".join((pieces[0], values[0], pieces[1], values[1], pieces[2]))
    return b"".join((pieces[0], values[0], pieces[1], values[1], pieces[2], values[2], pieces[3]))


def _meaning(canonical: bytes, document: bytes) -> Meaning:
    hashed, searched = parsed(canonical), parsed(document)
    agrees = hashed is not None and hashed == searched
    if agrees and (_is_ambiguous(document) or _is_ambiguous(canonical)):
        agrees = _same(hashed, searched)
    return Meaning(agrees, hashed, None if hashed is None else Role.of(hashed))


def parsed(text: bytes) -> dict[str, Any] | None:
    """The object that a text writes; None where it writes none, or is too deep to be read."""
    try:
        value = from_json(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _is_ambiguous(text: bytes) -> bool:
    """Whether it may hold what Python takes for equal to something else: `true == 1 == 1.0`."""
    return b"true" in text or b"false" in text or (b".0" in text and FRACTION.search(text) is not None)


def _same(one: object, other: object) -> bool:
    """Whether two values that are equal in Python are also of the same types."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return all(map(_same, one, other))
    return type(one) is type(other)
