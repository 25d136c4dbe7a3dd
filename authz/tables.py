"""The tables of what is in force and what it was used for: requests, grants, subjects, pauses, hold checks, bundles."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from audit.tables import METADATA, MOMENT

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
