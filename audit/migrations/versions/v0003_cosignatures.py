"""What witnesses co-signed."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE audit_cosignatures (
        size bigint NOT NULL REFERENCES audit_checkpoints (size),
        witness text NOT NULL,
        line text NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (size, witness)
    )
    """,
    """
    CREATE TABLE witnesses_said (
        id boolean PRIMARY KEY DEFAULT true,
        behind boolean NOT NULL,
        CONSTRAINT witnesses_said_one_row CHECK (id)
    )
    """,
    "INSERT INTO witnesses_said (behind) VALUES (false)",
    """
    CREATE TRIGGER audit_cosignatures_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_cosignatures
        FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept()
    """,
    "ALTER TABLE audit_cosignatures ENABLE ALWAYS TRIGGER audit_cosignatures_are_kept",
)


def upgrade() -> None:
    """Makes the table of cosignatures, the trigger that keeps them, and the last word on witnesses."""
    for statement in STATEMENTS:
        op.execute(statement)
