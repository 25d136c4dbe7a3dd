"""The stored tree is the tree: its tiles are those of the leaves, and every proof follows from them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from audit.errors import NotReadable
from audit.ledger import _session
from audit.merkle import Frontier, leaf_hash
from audit.proofs import check_consistency, check_inclusion, prove_consistency, prove_inclusion, root_of
from audit.tiles import TILE_BYTES, WIDTH, Edge, folded
from audit.tilestore import StoredTree, put_tiles

MOST = 70_000
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(MOST)]
sizes = st.integers(0, MOST)


def grown(*cuts):
    """The edge over all leaves up to the last cut, in steps, and every tile that was filled."""
    edge, tiles, before = Edge(), [], 0
    for cut in cuts:
        edge, full = edge.extended(LEAVES[before:cut])
        tiles, before = tiles + full, cut
    return edge, tiles


@settings(max_examples=8)
@given(st.lists(sizes, min_size=1, max_size=5).map(sorted))
def test_a_tree_grown_in_any_steps_has_the_same_tiles_edge_and_frontier(cuts):
    edge, tiles = grown(*cuts)
    at_once, all_at_once = grown(cuts[-1])
    assert edge.size == cuts[-1]
    assert edge.frontier() == at_once.frontier() == Frontier().extended(LEAVES[: cuts[-1]])
    assert Edge.unpacked(edge.size, edge.packed()).packed() == at_once.packed()
    key = lambda tile: (tile.level, tile.index)  # noqa: E731
    assert sorted(tiles, key=key) == sorted(all_at_once, key=key)


def test_a_full_tile_holds_256_hashes_and_its_root_is_a_hash_of_the_level_above():
    edge, tiles = grown(MOST)
    lowest = [tile for tile in tiles if tile.level == 0]
    assert [tile.index for tile in lowest] == list(range(MOST // WIDTH))
    assert all(len(tile.hashes) == TILE_BYTES for tile in tiles)
    assert b"".join(tile.hashes for tile in lowest) == b"".join(LEAVES[: MOST // WIDTH * WIDTH])
    assert edge.rows[0] == b"".join(LEAVES[MOST // WIDTH * WIDTH :])
    (above,) = [tile for tile in tiles if tile.level == 1]
    assert above.hashes + edge.rows[1] == b"".join(folded(tile.hashes) for tile in lowest)


def test_an_edge_of_another_size_is_refused():
    with pytest.raises(ValueError, match="edge of a tree of 257 leaves has 64 bytes, not 32"):
        Edge.unpacked(257, bytes(32))


@pytest.fixture(scope="module")
def stored(module_database):
    """A session on a database that stores the tree of all leaves."""
    edge, tiles = grown(300, 65_536, MOST)
    with module_database.engine("owner").connect() as connection:
        session = _session(connection)
        put_tiles(session, tiles)
        yield session, StoredTree("example.com/log", edge)


def test_proofs_from_stored_tiles_hold_at_any_size_the_tree_ever_had(stored):
    session, tree = stored
    chosen = random.Random(1)
    ends = [1, 2, 255, 256, 257, 65_535, 65_536, 65_537, MOST]
    for size in ends + [chosen.randint(1, MOST) for _ in range(5)]:
        root = Frontier().extended(LEAVES[:size]).root()
        assert tree.work(session, lambda node, size=size: root_of(size, node)) == root
        for index in {0, size - 1, chosen.randrange(size)}:
            path = tree.work(session, lambda node, at=(index, size): prove_inclusion(*at, node))
            check_inclusion(LEAVES[index], index, size, path, root)
        first = chosen.randint(1, size)
        path = tree.work(session, lambda node, at=(first, size): prove_consistency(*at, node))
        check_consistency(first, size, Frontier().extended(LEAVES[:first]).root(), root, path)


def test_another_implementation_finds_the_same_root_and_path_over_tiles(stored):
    session, tree = stored
    other = InmemoryTree(algorithm="sha256")
    for number in range(600):
        other.append_entry(b"entry %d" % number)
    proof = other.prove_inclusion(17, 600).serialize()["path"]
    assert tree.work(session, lambda node: root_of(600, node)) == other.get_root(600)
    assert [LEAVES[16], *tree.work(session, lambda node: prove_inclusion(16, 600, node))] == list(
        map(bytes.fromhex, proof)
    )


def test_a_tile_that_is_gone_is_no_proof(stored):
    session, tree = stored
    with session.transaction(force_rollback=True):
        session.execute("ALTER TABLE audit_tiles DISABLE TRIGGER ALL")
        session.execute("DELETE FROM audit_tiles WHERE level = 0 AND index = 3")
        with pytest.raises(NotReadable, match="tile 3 of level 0 is missing"):
            tree.work(session, lambda node: prove_inclusion(3 * WIDTH, MOST, node))
