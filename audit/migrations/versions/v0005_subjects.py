"""Whose data was read: the dictionary of subjects, which can be erased, and what each read and grant had of them."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE subjects (
        ordinal integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        data_class text NOT NULL,
        digest bytea NOT NULL,
        name bytea NOT NULL,
        CONSTRAINT subjects_digest UNIQUE (digest)
    )
    """,
    """
    CREATE TABLE read_subjects (
        read text PRIMARY KEY,
        grant_id text NOT NULL,
        subjects integer NOT NULL,
        bitmap bytea NOT NULL
    )
    """,
    "CREATE INDEX read_subjects_grant ON read_subjects (grant_id)",
    """
    CREATE TABLE grant_subjects (
        grant_id text PRIMARY KEY,
        subjects integer NOT NULL,
        is_spent boolean NOT NULL,
        bitmap bytea NOT NULL
    )
    """,
)


def upgrade() -> None:
    """Makes the dictionary and the two tables of bitmaps."""
    for statement in STATEMENTS:
        op.execute(statement)
