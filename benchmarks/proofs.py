"""Proofs: one entry's, as it is handed out, from the stored tree of a ledger of ten million entries."""

import itertools
import os
import random
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import psycopg
from conftest import Database

from audit.cosignatures import Quorum
from audit.handed import check_proof
from audit.merkle import HASH_BYTES, leaf_hash
from audit.notes import SIGNED, Checkpoint, Note, Signer
from audit.proving import proof
from audit.tiles import Edge
from audit.tilestore import StoredTree, put_tiles

from .contest import Contest, Goal, timed
from .entries import a_read_as_text
from .place import Place
from .scale import Scale

GOAL_SECONDS = 0.005
AT_ONCE = 1 << 16
ENTRIES = 64
SIGNER = Signer.make("bench.example/ledger", SIGNED)
ENTRY = "INSERT INTO audit_entries (seq, canonical, leaf) VALUES (%s, %s, %s)"
TREE = "UPDATE audit_tree SET origin = %s, size = %s, edge = %s"
SIGN = "INSERT INTO audit_checkpoints (size, note, at) VALUES (%s, %s, now())"


LEAVES = "COPY (SELECT leaf FROM audit_entries WHERE seq > {} ORDER BY seq) TO STDOUT (FORMAT BINARY)"


def sign_all(database: Database) -> None:
    """Stores the tree over all entries, and signs it, as far as that was not done before."""
    with psycopg.connect(database.url("owner")) as reader, psycopg.connect(database.url("owner")) as owner:
        edge = StoredTree.read(owner).edge
        with reader.cursor().copy(LEAVES.format(edge.size)) as copy:
            # The last row is the end's mark, and has no leaf.
            leaves = (bytes(row[-HASH_BYTES:]) for row in copy if len(row) > HASH_BYTES)
            while some := list(itertools.islice(leaves, AT_ONCE)):
                edge, full = edge.extended(some)
                put_tiles(owner, full)
        _sign(owner, edge)


def proving(database: Database, entries: int, times: int) -> float:
    """Milliseconds that it takes to prove one of the first `entries` and to check that: the median."""
    taken = []
    for seq in random.Random(entries).choices(range(1, entries + 1), k=times):
        started = time.perf_counter()
        check_proof(proof(database.engine(), Quorum(), seq), [SIGNER.verifier])
        taken.append(time.perf_counter() - started)
    return median(taken) * 1e3


def contests(place: Place, scale: Scale) -> Iterator[Contest]:
    """One: only the entries that are asked for are there, the tree over all of them is whole."""
    database = place.database("proven")
    texts = _filled(database, scale.leaves)

    def proven() -> int:
        for seq, text in texts.items():
            handed = proof(database.engine(), Quorum(), seq)
            assert check_proof(handed, [SIGNER.verifier]).entry == text.encode()
        return len(texts)

    yield Contest(
        what=f"a proof at {scale.leaves:,} entries",
        against="5 ms",
        goal=Goal("time", 1),
        unit="proofs",
        how=f"{ENTRIES} entries anywhere in the ledger, each fetched, proven from stored tiles and checked; the other "
        "leaves are random bytes",
        ours=lambda: timed(proven),
        theirs=lambda: GOAL_SECONDS,
    )


def _filled(database: Database, leaves: int) -> dict[int, str]:
    chosen = random.Random(10)
    texts = {seq: a_read_as_text()[0] for seq in chosen.sample(range(1, leaves + 1), ENTRIES)}
    edge = Edge()
    with psycopg.connect(database.url("owner")) as owner:
        for start in range(0, leaves, AT_ONCE):
            own = bytearray(os.urandom(min(AT_ONCE, leaves - start) * HASH_BYTES))
            for seq, text in texts.items():
                if start < seq <= start + AT_ONCE:
                    at = (seq - 1 - start) * HASH_BYTES
                    own[at : at + HASH_BYTES] = leaf_hash(text.encode())
            edge, full = edge.extended([bytes(own)])
            put_tiles(owner, full)
        for seq, text in texts.items():
            owner.execute(ENTRY, (seq, text, leaf_hash(text.encode())))
        _sign(owner, edge)
    return texts


def _sign(owner: psycopg.Connection[Any], edge: Edge) -> None:
    signed = str(Checkpoint(SIGNER.name, edge.size, edge.frontier().root()))
    owner.execute(TREE, (SIGNER.name, edge.size, edge.packed()))
    owner.execute(SIGN, (edge.size, str(Note(signed, (SIGNER.sign(signed),)))))
