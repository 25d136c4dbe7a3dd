"""The tables of alerts, and of who is to hear of them."""

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
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from .tables import METADATA, MOMENT

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
