"""Sign what the ledger holds, after reading it back. What always holds of a checkpoint:

1. Each new entry was read from the table and hashed again: its leaf, and the tree over all, are those of the append.
2. The tree grew out of the last checkpoint, and out of the last that this gateway has seen, wherever that came from.
3. Tiles, edge and note are committed together, by one gateway at a time: whoever holds the row of `audit_tree`.
4. No key signs that the ledger has retired, whoever did that: such a checkpoint would never verify.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policy.amounts import amount

from .copying import entries
from .errors import AuditError, KeyUnfit
from .head import Session
from .merkle import leaf_hash
from .notes import Checkpoint, Note, Signer
from .proofs import root_of
from .tiles import Edge
from .tilestore import StoredTree, put_tiles

ENTRIES_AT_ONCE = 4_096
DURABLY = "SET LOCAL synchronous_commit = on"
# The new entries are few, and in the order of the index, whatever the planner knows of the table.
BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
HOLD = "SELECT FROM audit_tree FOR UPDATE SKIP LOCKED"
HEAD = "SELECT size, frontier FROM audit_head"
LAST = "SELECT note FROM audit_checkpoints ORDER BY size DESC LIMIT 1"
NEW = """
    COPY (SELECT seq, canonical, leaf, NULL FROM audit_entries WHERE seq > {} AND seq <= {} ORDER BY seq)
    TO STDOUT (FORMAT BINARY)
"""
RETIRED = "SELECT vkey FROM audit_keys WHERE became = 'retired'"
GROW = "UPDATE audit_tree SET origin = %s, size = %s, edge = %s, at = clock_timestamp()"
SIGN = "INSERT INTO audit_checkpoints (size, note, at) VALUES (%s, %s, clock_timestamp())"


class LedgerChanged(AuditError):
    """The ledger is not what was appended or signed: from entry `seq` on nothing is signed."""

    def __init__(self, seq: int, what: str) -> None:
        super().__init__(what)
        self.seq = seq


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint, and the note that signs it."""

    checkpoint: Checkpoint
    note: str

    @classmethod
    def parse(cls, note: str) -> "Signed":
        """Raises `BadNote`; whether the signatures hold is not looked at."""
        return cls(Checkpoint.parse(Note.parse(note.encode()).text), note)


def last_signed(session: Session) -> Signed | None:
    """The newest checkpoint; None before the first. Raises `BadNote` where what is stored is none."""
    row = session.execute(LAST).fetchone()
    return Signed.parse(row[0]) if row else None


def sign(session: Session, signers: Sequence[Signer], seen: Checkpoint | None) -> Signed | None:
    """Checks what was appended since the last checkpoint, stores its tree and signs it; the newest checkpoint there is.

    In the caller's transaction, which has to commit. None where another gateway is at it. Raises `LedgerChanged`,
    `NotReadable` or `BadNote` where what is stored cannot even be read, `KeyUnfit` where none of `signers` may sign.
    """
    is_held = _hold(session)
    tree = StoredTree.read(session)
    if not is_held:
        return None
    last = last_signed(session)
    _check_past(session, tree, last, seen)
    size, frontier = session.execute(HEAD).fetchone() or (0, b"")
    if size < tree.edge.size:
        raise LedgerChanged(size + 1, f"entries {size + 1} to {tree.edge.size} were signed and are not there any more")
    edge = _grown(session, tree.edge, size)
    if edge.frontier().packed() != frontier:
        raise LedgerChanged(tree.edge.size + 1, "the tree over the entries is not the one that was appended to")
    if last is not None and size == tree.edge.size:
        return last
    # After the head was read: whoever retired a key before its last entry has committed.
    return _signed(
        session, Checkpoint(tree.origin, size, edge.frontier().root()), edge, still_signing(session, signers)
    )


def still_signing(session: Session, signers: Sequence[Signer]) -> Sequence[Signer]:
    """Those of `signers` that the ledger has not retired. Raises `KeyUnfit` where none is left."""
    gone = {vkey for (vkey,) in session.execute(RETIRED)}
    left = [signer for signer in signers if str(signer.verifier) not in gone]
    if not left:
        raise KeyUnfit(
            "this gateway's keys were retired by a rotation elsewhere: put the `ledger.key` of there in the place of "
            "this one, or move this one away, and a new one is made at the next start"
        )
    return left


def _hold(session: Session) -> bool:
    """Whether this transaction has the row of `audit_tree` for itself."""
    session.execute(DURABLY)
    session.execute(BY_INDEX)
    return session.execute(HOLD).rowcount > 0


def _check_past(session: Session, tree: StoredTree, last: Signed | None, seen: Checkpoint | None) -> None:
    stored = Checkpoint(tree.origin, tree.edge.size, tree.edge.frontier().root())
    if last is not None and last.checkpoint != stored:
        raise LedgerChanged(1, "the stored tree is not the one that was signed last")
    if last is None and stored.size:
        raise LedgerChanged(1, "the checkpoints that were signed are gone")
    if seen is None or seen == stored:
        return
    if seen.origin != stored.origin or seen.size > stored.size:
        raise LedgerChanged(
            stored.size + 1,
            f"the ledger is older than a checkpoint of {amount(seen.size, 'entry')} it had signed",
        )
    if tree.work(session, lambda node: root_of(seen.size, node)) != seen.root:
        raise LedgerChanged(
            1,
            f"the ledger did not grow out of a checkpoint of {amount(seen.size, 'entry')} that it had signed",
        )


def _grown(session: Session, edge: Edge, size: int) -> Edge:
    """The edge over all `size` entries; the tiles that they fill are stored."""
    for start in range(edge.size, size, ENTRIES_AT_ONCE):
        end = min(start + ENTRIES_AT_ONCE, size)
        edge, full = edge.extended(_leaves(session, start, end))
        put_tiles(session, full)
    return edge


def _leaves(session: Session, after: int, last: int) -> Iterator[bytes]:
    """The leaves of the entries `after` < seq ≤ `last`, hashed here."""
    seq = after
    for found, canonical, leaf, _ in entries(session, NEW.format(after, last)):
        seq += 1
        if found != seq:
            what = f"entry {found} is there twice" if found < seq else f"entry {seq} is missing"
            raise LedgerChanged(min(found, seq), what)
        hashed = leaf_hash(canonical or b"")
        if hashed != leaf:
            raise LedgerChanged(seq, f"the text of entry {seq} is not what was hashed")
        yield hashed
    if seq != last:
        raise LedgerChanged(seq + 1, f"entry {seq + 1} is missing")


def _signed(session: Session, checkpoint: Checkpoint, edge: Edge, signers: Sequence[Signer]) -> Signed:
    text = str(checkpoint)
    note = str(Note(text, tuple(signer.sign(text) for signer in signers)))
    session.execute(GROW, (checkpoint.origin, edge.size, edge.packed()), binary=True)
    session.execute(SIGN, (checkpoint.size, note))
    return Signed(checkpoint, note)
