"""Requests for declared scopes, and how grants were used."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE requests (
        id text PRIMARY KEY,
        requester text NOT NULL,
        principal text,
        team text,
        state text NOT NULL,
        asked jsonb NOT NULL,
        scope jsonb NOT NULL,
        reader jsonb NOT NULL,
        reach jsonb NOT NULL,
        owners text[] NOT NULL,
        approvals jsonb NOT NULL DEFAULT '[]'::jsonb,
        steps jsonb NOT NULL DEFAULT '[]'::jsonb,
        grant_id text UNIQUE REFERENCES grants (id),
        renews text REFERENCES grants (id),
        break_glass boolean NOT NULL DEFAULT false,
        made_at timestamptz NOT NULL,
        ends timestamptz NOT NULL,
        reviewed_by text,
        told_at timestamptz,
        CONSTRAINT requests_for_one CHECK ((principal IS NULL) <> (team IS NULL)),
        CONSTRAINT requests_state CHECK (state IN ('open', 'granted', 'denied', 'withdrawn')),
        CONSTRAINT requests_granted CHECK ((state = 'granted') = (grant_id IS NOT NULL))
    )
    """,
    "CREATE INDEX requests_requester ON requests (requester, id)",
    "CREATE INDEX requests_principal ON requests (principal, id)",
    "CREATE INDEX requests_team ON requests (team, id)",
    "CREATE INDEX requests_open ON requests (id) WHERE state = 'open'",
    "CREATE INDEX requests_unreviewed ON requests (told_at) WHERE break_glass AND reviewed_by IS NULL",
    """
    CREATE TABLE grant_usage (
        grant_id text NOT NULL,
        dataset text NOT NULL,
        columns text[] NOT NULL,
        reads bigint NOT NULL,
        rows bigint NOT NULL,
        last_at timestamptz NOT NULL,
        PRIMARY KEY (grant_id, dataset)
    )
    """,
    """
    CREATE TABLE usage_cursor (
        id boolean PRIMARY KEY DEFAULT true,
        seq bigint NOT NULL,
        CONSTRAINT usage_cursor_one_row CHECK (id)
    )
    """,
    "INSERT INTO usage_cursor (seq) VALUES (0)",
)


def upgrade() -> None:
    """Makes the table of requests, and what is counted of the reads under each grant."""
    for statement in STATEMENTS:
        op.execute(statement)
