"""What witnesses co-signed, beside the checkpoints; and which checkpoint counts: one that enough of them signed."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from .cosigner import WitnessAt
from .errors import BadNote
from .notes import Note, Signature, Verifier

PUT = text("""
    INSERT INTO audit_cosignatures (size, witness, line, at) VALUES (:size, :witness, :line, clock_timestamp())
    ON CONFLICT DO NOTHING
""")
LATEST = text("SELECT size, note FROM audit_checkpoints ORDER BY size DESC LIMIT 1")
LINES = text(
    "SELECT witness, line FROM audit_cosignatures WHERE size = :size AND witness = ANY(:keys) ORDER BY witness"
)
# From the newest down, along the primary key, until one counts.
COUNTING = text("""
    SELECT size FROM audit_cosignatures WHERE size >= :since AND witness = ANY(:keys)
    GROUP BY size HAVING count(*) >= :required ORDER BY size DESC LIMIT 1
""")
NOTE = text("SELECT note FROM audit_checkpoints WHERE size = :size")
OLDEST_AFTER = text("""
    SELECT extract(epoch FROM clock_timestamp() - at) FROM audit_checkpoints
    WHERE size > :size ORDER BY size LIMIT 1
""")


SAID = text("SELECT behind FROM witnesses_said")
SAY = text("UPDATE witnesses_said SET behind = :behind WHERE behind <> :behind")


@dataclass(frozen=True, slots=True)
class Quorum:
    """Whom checkpoints are shown to, and how many have to sign one before it counts; with none it always does."""

    witnesses: tuple[WitnessAt, ...] = ()
    required: int = 0

    def __post_init__(self) -> None:
        if len({witness.key.public for witness in self.witnesses}) < len(self.witnesses):
            raise BadNote("one witness is there twice")
        if not min(1, len(self.witnesses)) <= self.required <= len(self.witnesses):
            raise BadNote(f"of {len(self.witnesses)} witnesses {self.required} cannot be required")

    @property
    def keys(self) -> list[str]:
        """The witnesses' keys, as they stand beside cosignatures."""
        return [str(witness.key) for witness in self.witnesses]


def keep(connection: Connection, size: int, key: Verifier, signature: Signature) -> None:
    """Keep a cosignature that holds."""
    connection.execute(PUT, {"size": size, "witness": str(key), "line": str(signature)})


def latest(connection: Connection) -> tuple[int, Note] | None:
    """The newest checkpoint, whoever signed it; None before the first."""
    row = connection.execute(LATEST).one_or_none()
    return row and (row[0], Note.parse(row[1].encode()))


def signers(connection: Connection, size: int, quorum: Quorum) -> dict[str, str]:
    """Who co-signed the checkpoint of this size, with their lines."""
    found = connection.execute(LINES, {"size": size, "keys": quorum.keys})
    return {row.witness: row.line for row in found}


def counting(connection: Connection, quorum: Quorum, since: int = 0) -> int | None:
    """The size of the newest checkpoint that counts, from `since` on; None where none does."""
    if not quorum.witnesses:
        newest = latest(connection)
        return newest and newest[0]
    sought = {"since": since, "keys": quorum.keys, "required": quorum.required}
    size = connection.execute(COUNTING, sought).scalar_one_or_none()
    return None if size is None else int(size)


def counted_note(connection: Connection, quorum: Quorum, since: int = 0) -> str | None:
    """The newest checkpoint that counts, with its cosignatures; None where none does."""
    size = counting(connection, quorum, since)
    if size is None:
        return None
    note = connection.execute(NOTE, {"size": size}).scalar_one()
    return str(note) + "".join(signers(connection, size, quorum).values())


def waiting(connection: Connection, size: int) -> float:
    """For how many seconds the first checkpoint after this one is there; 0 where there is none."""
    return float(connection.execute(OLDEST_AFTER, {"size": size}).scalar_one_or_none() or 0)


def is_said(connection: Connection, *, behind: bool) -> bool:
    """Whether the ledger's last word on its witnesses is that they are behind, or that they are not."""
    return bool(connection.execute(SAID).scalar_one() is behind)


def say(connection: Connection, *, behind: bool) -> bool:
    """Make it the last word, in the transaction that writes the entry; False where another gateway just did."""
    return connection.execute(SAY, {"behind": behind}).rowcount > 0
