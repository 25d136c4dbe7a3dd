"""Make proofs to hand out, from the stored tiles and the newest checkpoint that counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from policy.amounts import amount

from .cosignatures import Quorum, counted_note
from .errors import AuditError, NotReadable
from .head import Session
from .merkle import leaf_hash
from .notes import LARGEST_NOTE, Checkpoint, Note
from .proofs import Proof, check_inclusion, prove_consistency, prove_inclusion
from .tilestore import StoredTree

ENTRY = "SELECT canonical FROM audit_entries WHERE seq = %s"
KEYS = "SELECT vkey, became FROM audit_keys ORDER BY vkey, became"


class NotCovered(AuditError):
    """No checkpoint that counts covers this (yet)."""


def checkpoint(engine: Engine, quorum: Quorum) -> str:
    """The newest note that counts, with its cosignatures. Raises `NotCovered` before the first."""
    with _reading(engine) as (connection, _):
        return _note(connection, quorum)


def proof(engine: Engine, quorum: Quorum, seq: int) -> bytes:
    """That entry `seq` is in the ledger (c2sp.org/tlog-proof), with its canonical text unless that is very long.

    Raises `NotCovered`; `NotProven` or `NotReadable` where the ledger was changed.
    """
    with _reading(engine) as (connection, session):
        note = _note(connection, quorum)
        covered = Checkpoint.parse(Note.parse(note.encode()).text)
        if not 0 < seq <= covered.size:
            raise NotCovered(
                f"entry {seq} is under no checkpoint yet: the newest that counts has {amount(covered.size, 'entry')}"
            )
        tree = StoredTree.read(session)
        path = tree.work(session, lambda node: prove_inclusion(seq - 1, covered.size, node))
        row = session.execute(ENTRY, (seq,)).fetchone()
        if row is None:
            raise NotReadable(f"entry {seq} is missing; run `remit audit verify`")
        entry = str(row[0]).encode()
        check_inclusion(leaf_hash(entry), seq - 1, covered.size, path, covered.root)
    return bytes(Proof(seq - 1, tuple(path), note.encode(), entry if len(entry) < LARGEST_NOTE else None))


def consistency(engine: Engine, first: int, second: int) -> list[bytes]:
    """That the tree of `second` entries grew out of that of `first` (RFC 9162 §2.1.4.1). Raises `NotCovered`."""
    with _reading(engine) as (_, session):
        tree = StoredTree.read(session)
        if not 0 <= first <= second <= tree.edge.size:
            raise NotCovered(f"there is no tree of {first} and then {second} entries; the newest has {tree.edge.size}")
        return tree.work(session, lambda node: prove_consistency(first, second, node))


def keys(engine: Engine) -> tuple[str, list[tuple[str, str]]]:
    """The ledger's name, and its keys as vkeys, each with what it became: `activated` or `retired`."""
    with _reading(engine) as (_, session):
        became = dict(session.execute(KEYS).fetchall())
        return StoredTree.read(session).origin, list(became.items())


def _note(connection: Connection, quorum: Quorum) -> str:
    note = counted_note(connection, quorum)
    if note is None:
        raise NotCovered("there is no checkpoint yet that counts")
    return note


@contextmanager
def _reading(engine: Engine) -> Iterator[tuple[Connection, Session]]:
    try:
        with engine.connect() as connection:
            yield connection, cast(Session, connection.connection.driver_connection)
    except (psycopg.Error, SQLAlchemyError) as fault:
        raise NotReadable("the ledger cannot be read just now") from fault
