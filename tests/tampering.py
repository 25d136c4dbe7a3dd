"""Everything that a ledger consists of, as rows, and a hand that may change any of them and put them back.

The hand is a superuser's who has taken every trigger, constraint and generated column away; verification looks at what
is then in the tables.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from audit.merkle import Frontier, leaf_hash
from audit.notes import Checkpoint, Note, Signer
from audit.tiles import Edge

Row = tuple[Any, ...]
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "audit_entries": ("seq", "canonical", "leaf", "doc"),
    "audit_head": ("size", "frontier", "epoch", "at"),
    "audit_tiles": ("level", "index", "hashes"),
    "audit_tree": ("origin", "size", "edge", "at"),
    "audit_checkpoints": ("size", "note", "at"),
    "audit_cosignatures": ("size", "witness", "line", "at"),
    "audit_keys": ("vkey", "became"),
}
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE conrelid = ANY(%s::regclass[])
    ORDER BY contype = 'n', contype = 'p'
"""


@dataclass(frozen=True, slots=True)
class Tables:
    """The rows of every table, each in the order of `COLUMNS`; a document as its JSON text."""

    entries: tuple[Row, ...]
    head: tuple[Row, ...]
    tiles: tuple[Row, ...]
    tree: tuple[Row, ...]
    checkpoints: tuple[Row, ...]
    cosignatures: tuple[Row, ...]
    keys: tuple[Row, ...]

    def rows(self, table: str) -> tuple[Row, ...]:
        rows: tuple[Row, ...] = getattr(self, table.removeprefix("audit_"))
        return rows

    def put(self, table: str, rows: Sequence[Row]) -> "Tables":
        return replace(self, **{table.removeprefix("audit_"): tuple(rows)})

    def edit(self, table: str, at: int, /, **values: Any) -> "Tables":
        """With other values in one row."""
        rows = list(self.rows(table))
        names = COLUMNS[f"audit_{table.removeprefix('audit_')}"]
        rows[at] = tuple(values.get(name, value) for name, value in zip(names, rows[at], strict=True))
        return self.put(table, rows)

    @property
    def texts(self) -> list[str]:
        return [row[1] for row in self.entries]

    @property
    def signed(self) -> int:
        """How many entries are under a checkpoint."""
        return int(self.tree[0][1])

    @property
    def has_several_keys(self) -> bool:
        """Whether some checkpoint has more than one signature."""
        return any(len(Note.parse(row[1].encode()).signatures) > 1 for row in self.checkpoints)

    def retold(self, texts: Sequence[str], signers: Sequence[Signer]) -> "Tables":
        """As an insider would leave it who wants these texts to be the ledger: all is hashed anew, and signed anew.

        Checkpoints that still hold stay as they are. What witnesses co-signed of others goes: it cannot be made up.
        """
        leaves = [leaf_hash(text.encode()) for text in texts]
        origin, signed = self.tree[0][0], min(self.signed, len(texts))
        edge, tiles = Edge().extended(leaves[:signed])
        known = {row[0]: row for row in self.checkpoints}
        checkpoints = []
        for size in sorted({size for size in known if size < signed} | {signed}):
            text = str(Checkpoint(origin, size, Frontier().extended(leaves[:size]).root()))
            if size in known and Note.parse(known[size][1].encode()).text == text:
                checkpoints.append(known[size])
            else:
                note = str(Note(text, tuple(signer.sign(text) for signer in signers)))
                checkpoints.append((size, note, self.checkpoints[-1][2]))
        kept = {row[0] for row in checkpoints if row in self.checkpoints}
        return replace(
            self,
            entries=tuple(
                (seq, text, leaf, text) for seq, (text, leaf) in enumerate(zip(texts, leaves, strict=True), 1)
            ),
            head=((len(texts), Frontier().extended(leaves).packed(), *self.head[0][2:]),),
            tiles=tuple((tile.level, tile.index, tile.hashes) for tile in tiles),
            tree=((origin, signed, edge.packed(), self.tree[0][3]),),
            checkpoints=tuple(checkpoints),
            cosignatures=tuple(row for row in self.cosignatures if row[0] in kept),
        )


class Hand:
    """Writes to the ledger of one session as nobody should be able to."""

    def __init__(self, session: psycopg.Connection[Any]) -> None:
        self._session = session
        tables = list(COLUMNS)
        for table in tables:
            session.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        session.execute("ALTER TABLE audit_entries ALTER doc DROP EXPRESSION")
        for table, name in session.execute(CONSTRAINTS, (tables,)).fetchall():
            session.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        session.execute("CREATE INDEX ON audit_entries (seq)")
        session.commit()
        self.before = self.read()

    def read(self) -> Tables:
        """What is there now."""
        rows = {}
        for table, names in COLUMNS.items():
            said = ", ".join("doc::text" if name == "doc" else name for name in names)
            found = self._session.execute(f"SELECT {said} FROM {table} ORDER BY 1, 2", binary=True)
            rows[table.removeprefix("audit_")] = tuple(found.fetchall())
        self._session.commit()
        rows["entries"] = tuple((*row[:3], _written_alike(row[3], row[1])) for row in rows["entries"])
        return Tables(**rows)

    def change(self, old: Tables, new: Tables) -> int:
        """Makes `new` of `old`, in one transaction; how many rows that took."""
        made = 0
        for table, names in COLUMNS.items():
            before, after = Counter(old.rows(table)), Counter(new.rows(table))
            gone, come = list((before - after).elements()), list((after - before).elements())
            made += len(gone) + len(come)
            with self._session.cursor() as cursor:
                if gone:
                    cursor.executemany(_delete(table, names), gone)
                    assert cursor.rowcount == len(gone), (table, cursor.rowcount, gone)
                if come:
                    cursor.executemany(_insert(table, names), come)
        self._session.commit()
        return made


def _written_alike(document: str, canonical: str) -> str:
    """The canonical text, where the document says the same: PostgreSQL writes one in its own way."""
    return canonical if json.loads(document) == json.loads(canonical) else document


def _delete(table: str, names: Sequence[str]) -> str:
    same = " AND ".join(f"{name} IS NOT DISTINCT FROM {_value(name)}" for name in names[1:])
    first = f"{names[0]} = {_value(names[0])}"
    return f"DELETE FROM {table} WHERE ctid = (SELECT ctid FROM {table} WHERE {first} AND {same} LIMIT 1)"


def _insert(table: str, names: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(map(_value, names))})"


def _value(name: str) -> str:
    return "%s::text::jsonb" if name == "doc" else "%s"
