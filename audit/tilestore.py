"""The stored tree in the database: tiles are put there once, and every proof comes from them alone."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .errors import NotReadable
from .head import Session
from .proofs import Nodes
from .tiles import Edge, Place, Tile, node_in, tile_of

T = TypeVar("T")

PUT = "INSERT INTO audit_tiles (level, index, hashes) SELECT * FROM unnest(%s::int[], %s::bigint[], %s::bytea[])"
GET = """
    SELECT level, index, hashes FROM audit_tiles JOIN unnest(%s::int[], %s::bigint[]) w (level, index)
    USING (level, index)
"""
TREE = "SELECT origin, size, edge FROM audit_tree"
TILES_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class StoredTree:
    """The ledger's name, and the right edge of its tree as far as it is stored."""

    origin: str
    edge: Edge

    @classmethod
    def empty(cls) -> "StoredTree":
        """Nothing is stored."""
        return cls("", Edge())

    @classmethod
    def read(cls, session: Session) -> "StoredTree":
        """As this transaction sees it. Raises `NotReadable` where it was changed so that it cannot be one."""
        row = session.execute(TREE).fetchone()
        if row is None:
            raise NotReadable("audit_tree has lost its row; run `remit audit verify`")
        try:
            return cls(row[0], Edge.unpacked(row[1], row[2]))
        except ValueError as problem:
            raise NotReadable(f"audit_tree was changed: {problem}; run `remit audit verify`") from problem

    def work(self, session: Session, made: Callable[[Nodes], T]) -> T:
        """What `made` makes of the tree's nodes, none beyond the stored size, with one question to the database.

        `made` is called twice, first with nodes that are empty. Raises `NotReadable` where a tile is missing.
        """
        places = set[Place]()

        def noted(level: int, index: int) -> bytes:
            places.add(tile_of(level, index))
            return b""

        made(noted)
        stored = {place for place in places if not self.edge.holds(place)}
        tiles = tiles_at(session, stored) | {(level, -1): row for level, row in enumerate(self.edge.rows)}

        def node(level: int, index: int) -> bytes:
            place = tile_of(level, index)
            return node_in(tiles[place if place in stored else (place[0], -1)], level, index)

        if missing := stored - tiles.keys():
            raise NotReadable("tile {} of level {} is missing; run `remit audit verify`".format(*min(missing)[::-1]))
        return made(node)


def tiles_at(session: Session, places: Iterable[Place]) -> dict[Place, bytes]:
    """The full tiles at these places, as far as they are there."""
    wanted = list(places)
    columns = [level for level, _ in wanted], [index for _, index in wanted]
    found = session.execute(GET, columns, binary=True).fetchall() if wanted else []
    return {(level, index): bytes(hashes) for level, index, hashes in found}


def put_tiles(session: Session, tiles: Sequence[Tile]) -> None:
    """Stores tiles that were filled."""
    for at in range(0, len(tiles), TILES_AT_ONCE):
        some = tiles[at : at + TILES_AT_ONCE]
        columns = [tile.level for tile in some], [tile.index for tile in some], [tile.hashes for tile in some]
        session.execute(PUT, columns)
