"""The ledger's tables, as SQLAlchemy sees them. `migrations` makes all of Remit's; a test holds that the two agree."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import BIT, JSONB, TIMESTAMP

METADATA = MetaData()
MOMENT = TIMESTAMP(timezone=True)

AUDIT_ENTRIES = Table(
    "audit_entries",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("canonical", Text, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("doc", JSONB, Computed("canonical::jsonb", persisted=True)),
    CheckConstraint("octet_length(leaf) = 32", name="audit_entries_leaf"),
    # All that an append pays for search but its key: what else is searched for is in `audit_blocks`. A hash takes
    # values of any length, where a B-tree refuses 2,700 bytes, and an entry must be writable whatever somebody sent.
    Index(
        "audit_entries_read",
        text("(doc ->> 'read')"),
        postgresql_using="hash",
        postgresql_where=text("(doc ->> 'read') IS NOT NULL"),
    ),
)

AUDIT_BLOCKS = Table(
    "audit_blocks",
    METADATA,
    Column("term", Text, primary_key=True),
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("entries", BIT(2048), nullable=False),
)
"""Which entries of each block hold each term; see `blocks`. Derived: empty it, and it is made anew."""

AUDIT_HEAD = Table(
    "audit_head",
    METADATA,
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    Column("size", BigInteger, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("at", MOMENT, nullable=False),
    CheckConstraint("id", name="audit_head_one_row"),
)

AUDIT_TILES = Table(
    "audit_tiles",
    METADATA,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
    CheckConstraint("octet_length(hashes) = 8192", name="audit_tiles_full"),
)
"""The full tiles of the tree, 256 hashes each, as c2sp.org/tlog-tiles cuts them."""

AUDIT_TREE = Table(
    "audit_tree",
    METADATA,
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    Column("origin", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("edge", LargeBinary, nullable=False),
    Column("at", MOMENT, nullable=False),
    CheckConstraint("id", name="audit_tree_one_row"),
)
"""One row: the ledger's name, how far its tree is stored, the tiles at its edge that are not full, since when."""

AUDIT_CHECKPOINTS = Table(
    "audit_checkpoints",
    METADATA,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
)
"""What was signed: one note for each size at which somebody looked."""

AUDIT_COSIGNATURES = Table(
    "audit_cosignatures",
    METADATA,
    Column("size", BigInteger, ForeignKey("audit_checkpoints.size"), primary_key=True, autoincrement=False),
    Column("witness", Text, primary_key=True),
    Column("line", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
)
"""What witnesses co-signed: the line of each under the checkpoint of that size."""

WITNESSES_SAID = Table(
    "witnesses_said",
    METADATA,
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    Column("behind", Boolean, nullable=False),
    CheckConstraint("id", name="witnesses_said_one_row"),
)
"""One row: whether the ledger's last word on its witnesses is that they are behind, so that each is said once."""

AUDIT_KEYS = Table(
    "audit_keys",
    METADATA,
    Column("vkey", Text, primary_key=True),
    Column("became", Text, primary_key=True),
)
"""Which keys were `activated` and `retired`, so that each is said once in the ledger, which alone counts."""

OPEN_READS = Table(
    "open_reads",
    METADATA,
    Column("read", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("gateway", Text, nullable=False),
)
"""Reads that were authorised and have no end yet, so that finding a crashed gateway's costs what is open."""
