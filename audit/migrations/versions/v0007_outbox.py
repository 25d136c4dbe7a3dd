"""What is to be told, to which channel, and what alerting knows of itself."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE alerting (
        id boolean PRIMARY KEY DEFAULT true,
        name text NOT NULL,
        first_alert bigint NOT NULL,
        watched_at timestamptz NOT NULL,
        moved_seq bigint NOT NULL,
        moved_at timestamptz NOT NULL,
        is_blind boolean NOT NULL,
        digested_seq bigint NOT NULL,
        digested_at timestamptz NOT NULL,
        CONSTRAINT alerting_one_row CHECK (id)
    )
    """,
    """
    INSERT INTO alerting
    SELECT true, gen_random_uuid()::text, coalesce((SELECT max(id) FROM alerts), 0), now(), seq, now(), false,
        seq, now()
    FROM alert_cursor
    """,
    """
    CREATE TABLE channels (
        name text PRIMARY KEY,
        after_seconds integer,
        hears_steps boolean NOT NULL,
        served_at timestamptz NOT NULL,
        failures integer NOT NULL DEFAULT 0,
        failing_since timestamptz,
        is_behind boolean NOT NULL DEFAULT false
    )
    """,
    """
    CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key text NOT NULL,
        channel text NOT NULL,
        alert bigint REFERENCES alerts (id),
        event text NOT NULL,
        step integer NOT NULL,
        severity integer NOT NULL,
        letter jsonb NOT NULL,
        at timestamptz NOT NULL,
        due_at timestamptz NOT NULL,
        state text NOT NULL,
        attempts integer NOT NULL DEFAULT 0,
        next_at timestamptz NOT NULL,
        leased_by text,
        leased_until timestamptz,
        settled_at timestamptz,
        fault text,
        CONSTRAINT outbox_key UNIQUE (key)
    )
    """,
    "CREATE INDEX outbox_waiting ON outbox (channel, next_at) WHERE state = 'waiting'",
    "CREATE INDEX outbox_alert ON outbox (alert)",
    "CREATE INDEX outbox_settled_at ON outbox (settled_at)",
)


def upgrade() -> None:
    """Makes the outbox, the channels that it is for, and the row of what alerting knows of itself."""
    for statement in STATEMENTS:
        op.execute(statement)
