"""Which keys a ledger had activated by a checkpoint: each is proven by the entry that says so, under that checkpoint.

Where the entry is, whoever owns the database can tell as they like; what it says, and that it was there, they cannot.
"""

from collections.abc import Iterator, Mapping

from .entries import Kind
from .errors import NotProven
from .head import Session
from .merkle import leaf_hash
from .notes import Checkpoint
from .proofs import check_inclusion, prove_inclusion
from .replay import Role
from .tilestore import StoredTree
from .wording import parsed

# By the blocks of search, and one by one what is too new for them: the old entries are not read again.
TOLD = """
    WITH told (seq) AS (
        SELECT block * 2048 + place FROM audit_blocks, generate_series(0, 2047) AS own (place)
        WHERE term = 'kind:' || %(kind)s AND get_bit(entries, place) = 1
        UNION ALL
        SELECT seq FROM audit_entries WHERE doc ->> 'kind' = %(kind)s
            AND seq >= (SELECT coalesce(max(block) + 1, 0) * 2048 FROM audit_blocks WHERE term = '')
    )
    SELECT seq, canonical FROM told JOIN audit_entries USING (seq) WHERE seq BETWEEN 1 AND %(size)s
"""


def activated(session: Session, tree: StoredTree, at: Checkpoint) -> Mapping[str, str]:
    """The vkeys of which an entry under `at`, a checkpoint that is trusted, says that they sign from then on.

    Each with the signature line of whoever vouches for it there, or an empty text. None at all where the stored tree
    has not so many entries. Raises `NotReadable` where a tile of it is missing.
    """
    if at.size > tree.edge.size:
        return {}
    return dict(_proven(session, tree, at))


def _proven(session: Session, tree: StoredTree, at: Checkpoint) -> Iterator[tuple[str, str]]:
    found = session.execute(TOLD, {"kind": Kind.KEY_ACTIVATED.value, "size": at.size}).fetchall()
    for seq, canonical in found:
        path = _path(session, tree, seq, at.size)
        try:
            check_inclusion(leaf_hash(canonical.encode()), seq - 1, at.size, path, at.root)
        except NotProven:
            continue  # it was changed: whoever it names signs nothing that was not there before
        role = Role.of(parsed(canonical.encode()) or {})
        if role.kind == Kind.KEY_ACTIVATED:
            yield str(role.changes), role.voucher


def _path(session: Session, tree: StoredTree, seq: int, size: int) -> list[bytes]:
    return tree.work(session, lambda node: prove_inclusion(seq - 1, size, node))
