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

REQUESTS = Table(
    "requests",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("requester", Text, nullable=False),
    Column("principal", Text),
    Column("team", Text),
    Column("state", Text, nullable=False),
    Column("asked", JSONB, nullable=False),
    Column("scope", JSONB, nullable=False),
    Column("reader", JSONB, nullable=False),
    Column("reach", JSONB, nullable=False),
    Column("owners", ARRAY(Text), nullable=False),
    Column("approvals", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("steps", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("grant_id", Text, ForeignKey("grants.id"), unique=True),
    Column("renews", Text, ForeignKey("grants.id")),
    Column("break_glass", Boolean, nullable=False, server_default=text("false")),
    Column("made_at", MOMENT, nullable=False),
    Column("ends", MOMENT, nullable=False),
    Column("reviewed_by", Text),
    Column("told_at", MOMENT),
    CheckConstraint("(principal IS NULL) <> (team IS NULL)", name="requests_for_one"),
    CheckConstraint("state IN ('open', 'granted', 'denied', 'withdrawn')", name="requests_state"),
    CheckConstraint("(state = 'granted') = (grant_id IS NOT NULL)", name="requests_granted"),
    Index("requests_requester", "requester", "id"),
    Index("requests_principal", "principal", "id"),
    Index("requests_team", "team", "id"),
    Index("requests_open", "id", postgresql_where=text("state = 'open'")),
    Index("requests_unreviewed", "told_at", postgresql_where=text("break_glass AND reviewed_by IS NULL")),
)
"""Scopes that somebody asked for: `scope` as it stands, `asked` as it was; never deleted."""

GRANT_USAGE = Table(
    "grant_usage",
    METADATA,
    Column("grant_id", Text, primary_key=True),
    Column("dataset", Text, primary_key=True),
    Column("columns", ARRAY(Text), nullable=False),
    Column("reads", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("last_at", MOMENT, nullable=False),
)
"""What was read under each grant, counted from the ledger. Derived: empty it with its cursor, and it is made anew."""

USAGE_CURSOR = Table(
    "usage_cursor",
    METADATA,
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    Column("seq", BigInteger, nullable=False),
    CheckConstraint("id", name="usage_cursor_one_row"),
)
"""One row: the last entry that usage has counted; 0 where it has counted none."""

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
    Column("alert", BigInteger, ForeignKey("alerts.id", name="pauses_alert")),
    Column("proposed_by", Text),
    Column("proposed_at", MOMENT),
    Column("proposed_why", Text),
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

ALERT_STEPS = Table(
    "alert_steps",
    METADATA,
    Column("alert", BigInteger, ForeignKey("alerts.id", name="alert_steps_alert"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("why", Text, nullable=False),
    Column("details", JSONB, nullable=False),
)
"""What happened to each alert after it was raised, by the entry that says so."""

HOLD_CHECKS = Table(
    "hold_checks",
    METADATA,
    Column("alert", BigInteger, ForeignKey("alerts.id", name="hold_checks_alert"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("dataset", Text, nullable=False),
    Column("access", JSONB, nullable=False),
    Column("outsider", Boolean, nullable=False),
    Column("counts_rules", Boolean, nullable=False),
    Column("counts_whole", Boolean, nullable=False),
    Column("open_rules", Boolean, nullable=False, server_default=text("false")),
    Column("open_whole", Boolean, nullable=False, server_default=text("false")),
)
"""The accesses that must stay refused for each contained or resolved alert, and which of them are open just now."""

HOLD_RUN = Table(
    "hold_run",
    METADATA,
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    Column("at", MOMENT, nullable=False),
    Column("said_at", MOMENT, nullable=False),
    Column("runs", Integer, nullable=False),
    CheckConstraint("id", name="hold_run_one_row"),
)
"""One row: when hold checks were run last, when the ledger was told last, and how often they ran since."""

BUNDLE_ACCEPTANCES = Table(
    "bundle_acceptances",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("by", Text, primary_key=True),
    Column("alerts", ARRAY(BigInteger), nullable=False),
    Column("why", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
)
"""Who accepted by name a bundle that opens what the hold checks of these alerts keep closed, or what of it is open."""

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

ALERTING = Table(
    "alerting",
    METADATA,
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    Column("name", Text, nullable=False),
    Column("first_alert", BigInteger, nullable=False),
    Column("watched_at", MOMENT, nullable=False),
    Column("moved_seq", BigInteger, nullable=False),
    Column("moved_at", MOMENT, nullable=False),
    Column("is_blind", Boolean, nullable=False),
    Column("digested_seq", BigInteger, nullable=False),
    Column("digested_at", MOMENT, nullable=False),
    CheckConstraint("id", name="alerting_one_row"),
)
"""One row: the name that keys of letters begin with, the last alert before letters were counted, when somebody last
looked whether the cursor moves, where and when it moved, whether it is said to be blind, and the last digest."""

CHANNELS = Table(
    "channels",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("after_seconds", Integer),
    Column("hears_steps", Boolean, nullable=False),
    Column("served_at", MOMENT, nullable=False),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("failing_since", MOMENT),
    Column("is_behind", Boolean, nullable=False, server_default=text("false")),
)
"""Where alerts go, without addresses and secrets: those are in the gateways' settings. `after_seconds` is empty where
a channel is paged for nothing and gets digests only."""

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("alert", BigInteger, ForeignKey("alerts.id")),
    Column("event", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("letter", JSONB, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("due_at", MOMENT, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_at", MOMENT, nullable=False),
    Column("leased_by", Text),
    Column("leased_until", MOMENT),
    Column("settled_at", MOMENT),
    Column("fault", Text),
    UniqueConstraint("key", name="outbox_key"),
    Index("outbox_waiting", "channel", "next_at", postgresql_where=text("state = 'waiting'")),
    Index("outbox_alert", "alert"),
    Index("outbox_settled_at", "settled_at"),
)
"""Letters: one for each event of an alert, or digest, and each channel that is to hear of it. A state is `waiting`,
`delivered`, `not_needed` (acknowledged before it was due) or `moved` (its channel is gone, others got it)."""
