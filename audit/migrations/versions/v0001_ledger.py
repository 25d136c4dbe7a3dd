"""The ledger, grants, pauses and alerts."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE audit_entries (
        seq bigint PRIMARY KEY,
        canonical text NOT NULL,
        leaf bytea NOT NULL,
        doc jsonb GENERATED ALWAYS AS (canonical::jsonb) STORED,
        CONSTRAINT audit_entries_leaf CHECK (octet_length(leaf) = 32)
    )
    """,
    *(
        f"""
        CREATE INDEX audit_entries_{name} ON audit_entries (left(doc ->> '{name}', 100), seq)
            WHERE (doc ->> '{name}') IS NOT NULL
        """
        for name in ("actor", "dataset", "grant", "code", "read")
    ),
    """
    CREATE FUNCTION audit_entries_are_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
    BEGIN
        RAISE EXCEPTION 'audit_entries is append-only: % is refused', lower(TG_OP)
            USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    """
    CREATE TRIGGER audit_entries_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
        FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_are_kept()
    """,
    "ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER audit_entries_are_kept",
    """
    CREATE TABLE audit_head (
        id boolean PRIMARY KEY DEFAULT true,
        size bigint NOT NULL,
        frontier bytea NOT NULL,
        epoch bigint NOT NULL,
        at timestamptz NOT NULL,
        CONSTRAINT audit_head_one_row CHECK (id)
    )
    """,
    "INSERT INTO audit_head (size, frontier, epoch, at) VALUES (0, '', 0, '1970-01-01T00:00:00Z')",
    """
    CREATE FUNCTION audit_head_only_grows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
    BEGIN
        IF TG_OP <> 'UPDATE' THEN
            RAISE EXCEPTION 'audit_head has one row and keeps it: % is refused', lower(TG_OP)
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        IF NEW.size < OLD.size OR NEW.epoch < OLD.epoch OR NEW.at < OLD.at
            OR (NEW.size = OLD.size AND NEW.frontier <> OLD.frontier) THEN
            RAISE EXCEPTION 'audit_head only grows' USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER audit_head_only_grows BEFORE UPDATE ON audit_head
        FOR EACH ROW EXECUTE FUNCTION audit_head_only_grows()
    """,
    """
    CREATE TRIGGER audit_head_is_kept BEFORE INSERT OR DELETE OR TRUNCATE ON audit_head
        FOR EACH STATEMENT EXECUTE FUNCTION audit_head_only_grows()
    """,
    "ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_head_only_grows",
    "ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_head_is_kept",
    "CREATE TABLE open_reads (read text PRIMARY KEY, seq bigint NOT NULL, gateway text NOT NULL)",
    """
    CREATE TABLE grants (
        id text PRIMARY KEY,
        scope jsonb NOT NULL,
        status text NOT NULL,
        rows_used bigint NOT NULL DEFAULT 0,
        principal text,
        team text,
        added_by text NOT NULL,
        added_at timestamptz NOT NULL,
        ends timestamptz NOT NULL,
        CONSTRAINT grants_for_one CHECK ((principal IS NULL) <> (team IS NULL))
    )
    """,
    """
    CREATE TABLE grant_datasets (
        grant_id text NOT NULL CONSTRAINT grant_datasets_grant REFERENCES grants (id),
        dataset text NOT NULL,
        principal text,
        team text,
        PRIMARY KEY (grant_id, dataset)
    )
    """,
    "CREATE INDEX grant_datasets_principal ON grant_datasets (dataset, principal)",
    "CREATE INDEX grant_datasets_team ON grant_datasets (dataset, team)",
    """
    CREATE TABLE pauses (
        id text PRIMARY KEY,
        kind text NOT NULL,
        target text NOT NULL,
        reason text NOT NULL,
        set_by text NOT NULL,
        set_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE alerts (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        severity integer NOT NULL,
        state text NOT NULL,
        code text,
        actor text,
        dataset text,
        grant_id text,
        data_classes text[] NOT NULL DEFAULT '{}',
        count bigint NOT NULL,
        first_seq bigint NOT NULL,
        last_seq bigint NOT NULL,
        first_at timestamptz NOT NULL,
        last_at timestamptz NOT NULL,
        title text NOT NULL,
        evidence jsonb NOT NULL,
        acknowledged_by text,
        acknowledged_at timestamptz,
        acknowledged_why text
    )
    """,
    "CREATE INDEX alerts_last_at ON alerts (last_at)",
    """
    CREATE TABLE alert_cursor (
        id boolean PRIMARY KEY DEFAULT true,
        seq bigint NOT NULL,
        CONSTRAINT alert_cursor_one_row CHECK (id)
    )
    """,
    "INSERT INTO alert_cursor (seq) VALUES (0)",
    """
    CREATE TABLE bundle_in_force (
        id boolean PRIMARY KEY DEFAULT true,
        digest text NOT NULL,
        CONSTRAINT bundle_in_force_one_row CHECK (id)
    )
    """,
    "INSERT INTO bundle_in_force (digest) VALUES ('')",
)


def upgrade() -> None:
    """Makes every table, and the triggers that keep the ledger."""
    for statement in STATEMENTS:
        op.execute(statement)
