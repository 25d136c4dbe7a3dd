"""Containment: what happened to alerts, pauses that two people lift, and what must stay closed."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE pauses
        ADD COLUMN alert bigint CONSTRAINT pauses_alert REFERENCES alerts (id),
        ADD COLUMN proposed_by text,
        ADD COLUMN proposed_at timestamptz,
        ADD COLUMN proposed_why text
    """,
    """
    CREATE TABLE alert_steps (
        alert bigint NOT NULL CONSTRAINT alert_steps_alert REFERENCES alerts (id),
        seq bigint NOT NULL,
        event text NOT NULL,
        state text NOT NULL,
        by text NOT NULL,
        at timestamptz NOT NULL,
        why text NOT NULL,
        details jsonb NOT NULL,
        PRIMARY KEY (alert, seq)
    )
    """,
    """
    CREATE TABLE hold_checks (
        alert bigint NOT NULL CONSTRAINT hold_checks_alert REFERENCES alerts (id),
        number integer NOT NULL,
        dataset text NOT NULL,
        access jsonb NOT NULL,
        outsider boolean NOT NULL,
        counts_rules boolean NOT NULL,
        counts_whole boolean NOT NULL,
        open_rules boolean NOT NULL DEFAULT false,
        open_whole boolean NOT NULL DEFAULT false,
        PRIMARY KEY (alert, number)
    )
    """,
    """
    CREATE TABLE hold_run (
        id boolean PRIMARY KEY DEFAULT true,
        at timestamptz NOT NULL,
        said_at timestamptz NOT NULL,
        runs integer NOT NULL,
        CONSTRAINT hold_run_one_row CHECK (id)
    )
    """,
    "INSERT INTO hold_run (at, said_at, runs) VALUES ('epoch', 'epoch', 0)",
    """
    CREATE TABLE bundle_acceptances (
        digest text NOT NULL,
        by text NOT NULL,
        alerts bigint[] NOT NULL,
        why text NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (digest, by)
    )
    """,
)


def upgrade() -> None:
    """Makes the tables of steps, hold checks and acceptances, and what a pause says of its lifting."""
    for statement in STATEMENTS:
        op.execute(statement)
