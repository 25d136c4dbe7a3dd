"""What each block of 2,048 entries holds: for every term, a bitmap of the entries that it stands in.

A search skips to where all of its terms meet, however often each of them occurs. Blocks are derived from the entries by
the database itself (`audit_index_next_block`), after the append and apart from it: an append pays nothing for them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from policy.names import ancestry

ENTRIES = 2_048
LONGEST, DEEPEST = 100, 8
"""How much of a value is in its term, in characters and in levels; what is found is compared whole."""
EXACT, WITHIN = ("actor", "dataset", "grant", "code"), ("team", "purpose", "kind")
MOST = 2_048
"""Bitmaps that one page looks at, so that terms that are everywhere and never meet cost no more than others."""
STRIDES = (64, 512, MOST)
"""Blocks that are looked at together: few at first, for they mostly have all that a page takes."""
EVERY = ""
"""The term of all entries: whichever block has it is done."""

INDEX_NEXT = text("SELECT audit_index_next_block()")
DONE = text("SELECT coalesce(max(block) + 1, 0) FROM audit_blocks WHERE term = :every")
OF_EACH = text("""
    SELECT ARRAY(
        SELECT block FROM audit_blocks WHERE term = own.term AND block BETWEEN :first AND :last
        ORDER BY block DESC LIMIT :most
    ) FROM unnest(CAST(:terms AS text[])) AS own (term)
""")
# The blocks are named, and few: whatever PostgreSQL believes of the table, it has one way to go about it.
MEETING = text("""
    SELECT block, bit_send(bit_and(entries)) FROM audit_blocks WHERE term = ANY(:terms) AND block = ANY(:blocks)
    GROUP BY block HAVING count(*) = :in_all AND bit_count(bit_and(entries)) > 0 ORDER BY block DESC LIMIT :n
""")


@dataclass(frozen=True, slots=True)
class Hits:
    """Entries that hold all terms, newest first; everything from `upto` on has been looked at."""

    seqs: tuple[int, ...]
    upto: int


def index(engine: Engine, most: int = 100) -> int:
    """Indexes whole blocks that are not yet, oldest first, at most `most`; how many. Faults are SQLAlchemy's."""
    for blocks in range(most):
        with engine.begin() as connection:
            if not connection.execute(INDEX_NEXT).scalar_one():
                return blocks
    return most


def terms(sought: Mapping[str, str]) -> tuple[str, ...]:
    """The terms of every entry that fits what is sought, by name; some that do not fit may have them too."""
    exact = tuple(f"{name}:{sought[name][:LONGEST]}" for name in EXACT if name in sought)
    within = (f"{name}:{sought[name][:LONGEST]}" for name in WITHIN if name in sought)
    return exact + tuple(ancestry(term)[-DEEPEST:][0] for term in within)


def first_unindexed(connection: Connection) -> int:
    """The first `seq` that no block tells of yet."""
    return int(connection.execute(DONE, {"every": EVERY}).scalar_one()) * ENTRIES


def hits(connection: Connection, sought: Sequence[str], after: int, before: int, n: int) -> Hits:
    """Up to `n` entries with `after` < seq < `before` that hold all the terms, from at most `MOST` bitmaps."""
    most = MOST // len(sought)
    bounds = {"first": (after + 1) // ENTRIES, "last": (before - 1) // ENTRIES, "most": most}
    of_each = [blocks for (blocks,) in connection.execute(OF_EACH, {"terms": list(sought), **bounds})]
    # Where the rarest term is not, the others need no look; of those in too many blocks, the one that gets furthest.
    blocks = min(of_each, key=lambda own: (len(own), own[-1:]))
    upto = blocks[-1] * ENTRIES if len(blocks) == most else 0
    found: list[int] = []
    for stride in _strides(blocks):
        # Two more, for the blocks at both ends may have nothing between the bounds.
        meeting = {"terms": list(sought), "blocks": stride, "in_all": len(sought), "n": n + 2}
        for block, bits in connection.execute(MEETING, meeting):
            found += [seq for seq in _seqs(block, bits) if after < seq < before]
        if len(found) >= n:
            return Hits(tuple(found[:n]), found[n - 1])
    return Hits(tuple(found), max(upto, after + 1))


def _strides(blocks: list[int]) -> Iterator[list[int]]:
    start = 0
    for stride in STRIDES:
        if part := blocks[start : start + stride]:
            yield part
        start += stride


def _seqs(block: int, sent: bytes) -> list[int]:
    """The entries of a bitmap as PostgreSQL sends it, after four bytes of length; newest first."""
    bits = format(int.from_bytes(sent[4:], "big"), f"0{ENTRIES}b")
    top, place, found = block * ENTRIES, bits.rfind("1"), list[int]()
    while place >= 0:
        found.append(top + place)
        place = bits.rfind("1", 0, place)
    return found
