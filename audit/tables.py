"""Every table of Remit, as SQLAlchemy sees it. `migrations` makes them; a test holds that the two agree."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
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

GRANTS = Table(
    "grants",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("scope", JSONB, nullable=False),
    Column("status", Text, nullable=False),
    Column("rows_used", BigInteger, nullable=False, server_default=text("0")),
    Column("principal", Text),
    Column("team", Text),
    Column("added_by", Text, nullable=False),
    Column("added_at", MOMENT, nullable=False),
    Column("ends", MOMENT, nullable=False),
    CheckConstraint("(principal IS NULL) <> (team IS NULL)", name="grants_for_one"),
    Index("grants_principal", "principal", "id"),
    Index("grants_team", "team", "id"),
)

GRANT_DATASETS = Table(
    "grant_datasets",
    METADATA,
    Column("grant_id", Text, ForeignKey("grants.id", name="grant_datasets_grant"), primary_key=True),
    Column("dataset", Text, primary_key=True),
    Column("principal", Text),
    Column("team", Text),
    Column("ends", MOMENT, nullable=False),
    Index("grant_datasets_principal", "dataset", "principal", "ends"),
    Index("grant_datasets_team", "dataset", "team", "ends"),
)

SUBJECTS = Table(
    "subjects",
    METADATA,
    Column("ordinal", Integer, Identity(always=True), primary_key=True),
    Column("data_class", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("name", LargeBinary, nullable=False),
    # Of the class and the name: a B-tree refuses names of 2,700 bytes, and a row must be countable whoever it is about.
    UniqueConstraint("digest", name="subjects_digest"),
)
"""The dictionary of subjects: who an ordinal is. A row that is deleted is a person that was erased."""

READ_SUBJECTS = Table(
    "read_subjects",
    METADATA,
    Column("read", Text, primary_key=True),
    Column("grant_id", Text, nullable=False),
    Column("subjects", Integer, nullable=False),
    Column("bitmap", LargeBinary, nullable=False),
    Index("read_subjects_grant", "grant_id"),
)
"""Whose rows each read contained, as ordinals in a Roaring bitmap; a read without a row contained nobody's."""

GRANT_SUBJECTS = Table(
    "grant_subjects",
    METADATA,
    Column("grant_id", Text, primary_key=True),
    Column("subjects", Integer, nullable=False),
    Column("is_spent", Boolean, nullable=False),
    Column("bitmap", LargeBinary, nullable=False),
)
"""Who was counted against each grant's `max_subjects`, and whether somebody more was met; see `authz.subjects`."""

PAUSES = Table(
    "pauses",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", MOMENT, nullable=False),
)

ALERTS = Table(
    "alerts",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("severity", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("code", Text),
    Column("actor", Text),
    Column("dataset", Text),
    Column("grant_id", Text),
    Column("data_classes", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("count", BigInteger, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("first_at", MOMENT, nullable=False),
    Column("last_at", MOMENT, nullable=False),
    Column("title", Text, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("acknowledged_by", Text),
    Column("acknowledged_at", MOMENT),
    Column("acknowledged_why", Text),
    Index("alerts_last_at", "last_at"),
)

BUNDLE_IN_FORCE = Table(
    "bundle_in_force",
    METADATA,
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    Column("digest", Text, nullable=False),
    CheckConstraint("id", name="bundle_in_force_one_row"),
)
"""One row: the digest of the bundle that was activated last; empty before the first."""

ALERT_CURSOR = Table(
    "alert_cursor",
    METADATA,
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    Column("seq", BigInteger, nullable=False),
    CheckConstraint("id", name="alert_cursor_one_row"),
)
"""One row: the last entry that alerting has seen; 0 where it has seen none."""
