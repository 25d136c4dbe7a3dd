"""What a ledger had said of its keys by a checkpoint: each entry is proven under that checkpoint.

Where the entry is, whoever owns the database can tell as they like, also that there is none; what it says, and that it
was there, they cannot.
"""

from collections.abc import Iterator

from .errors import NotProven
from .head import Session
from .merkle import leaf_hash
from .notes import Checkpoint
from .proofs import check_inclusion, prove_inclusion
from .replay import ABOUT_KEYS, Control, Role
from .tilestore import StoredTree
from .wording import parsed

# By the blocks of search, and one by one what is too new for them: the old entries are not read again.
TOLD = """
    WITH told (seq) AS (
        SELECT block * 2048 + place FROM audit_blocks, generate_series(0, 2047) AS own (place)
        WHERE term = ANY(%(terms)s) AND get_bit(entries, place) = 1
        UNION ALL
        SELECT seq FROM audit_entries WHERE doc ->> 'kind' = ANY(%(kinds)s)
            AND seq >= (SELECT coalesce(max(block) + 1, 0) * 2048 FROM audit_blocks WHERE term = '')
    )
    SELECT seq, canonical FROM told JOIN audit_entries USING (seq) WHERE seq BETWEEN 1 AND %(size)s
"""


def said_of_keys(session: Session, tree: StoredTree, at: Checkpoint) -> tuple[Control, ...]:
    """Which keys entries under `at`, a checkpoint that is trusted, activate and retire, in order.

    None where the stored tree has not so many entries. Raises `NotReadable` where a tile of it is missing.
    """
    return () if at.size > tree.edge.size else tuple(_proven(session, tree, at))


def _proven(session: Session, tree: StoredTree, at: Checkpoint) -> Iterator[Control]:
    kinds = [kind.value for kind in ABOUT_KEYS]
    asked = {"kinds": kinds, "terms": [f"kind:{kind}" for kind in kinds], "size": at.size}
    for seq, canonical in sorted(session.execute(TOLD, asked).fetchall()):
        path = _path(session, tree, seq, at.size)
        try:
            check_inclusion(leaf_hash(canonical.encode()), seq - 1, at.size, path, at.root)
        except NotProven:
            continue  # it was changed: whoever it names signs nothing that was not there before
        role = Role.of(parsed(canonical.encode()) or {})
        if role.kind in ABOUT_KEYS:
            yield Control(seq, role.kind, str(role.changes), role.voucher)


def _path(session: Session, tree: StoredTree, seq: int, size: int) -> list[bytes]:
    return tree.work(session, lambda node: prove_inclusion(seq - 1, size, node))
