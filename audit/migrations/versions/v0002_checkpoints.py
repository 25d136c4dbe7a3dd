"""The stored tree, and what was signed of it."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEPT = ("audit_tiles", "audit_checkpoints", "audit_keys")

STATEMENTS = (
    """
    CREATE TABLE audit_tiles (
        level integer NOT NULL,
        index bigint NOT NULL,
        hashes bytea NOT NULL,
        PRIMARY KEY (level, index),
        CONSTRAINT audit_tiles_full CHECK (octet_length(hashes) = 8192)
    )
    """,
    # Hashes cannot be made smaller; trying costs more than storing them.
    "ALTER TABLE audit_tiles ALTER hashes SET STORAGE EXTERNAL",
    """
    CREATE TABLE audit_tree (
        id boolean PRIMARY KEY DEFAULT true,
        origin text NOT NULL,
        size bigint NOT NULL,
        edge bytea NOT NULL,
        at timestamptz NOT NULL,
        CONSTRAINT audit_tree_one_row CHECK (id)
    )
    """,
    "ALTER TABLE audit_tree ALTER edge SET STORAGE EXTERNAL",
    "INSERT INTO audit_tree (origin, size, edge, at) VALUES ('', 0, '', '1970-01-01T00:00:00Z')",
    "CREATE TABLE audit_checkpoints (size bigint PRIMARY KEY, note text NOT NULL, at timestamptz NOT NULL)",
    "CREATE TABLE audit_keys (vkey text NOT NULL, became text NOT NULL, PRIMARY KEY (vkey, became))",
    """
    CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, lower(TG_OP)
            USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    *(
        f"""
        CREATE TRIGGER {table}_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept()
        """
        for table in KEPT
    ),
    *(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_are_kept" for table in KEPT),
    """
    CREATE FUNCTION audit_tree_only_grows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
    BEGIN
        IF TG_OP <> 'UPDATE' THEN
            RAISE EXCEPTION 'audit_tree has one row and keeps it: % is refused', lower(TG_OP)
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        IF NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.edge <> OLD.edge)
            OR (OLD.origin <> '' AND NEW.origin <> OLD.origin) THEN
            RAISE EXCEPTION 'audit_tree only grows' USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER audit_tree_only_grows BEFORE UPDATE ON audit_tree
        FOR EACH ROW EXECUTE FUNCTION audit_tree_only_grows()
    """,
    """
    CREATE TRIGGER audit_tree_is_kept BEFORE INSERT OR DELETE OR TRUNCATE ON audit_tree
        FOR EACH STATEMENT EXECUTE FUNCTION audit_tree_only_grows()
    """,
    "ALTER TABLE audit_tree ENABLE ALWAYS TRIGGER audit_tree_only_grows",
    "ALTER TABLE audit_tree ENABLE ALWAYS TRIGGER audit_tree_is_kept",
)


def upgrade() -> None:
    """Makes the tables of the tree, and the triggers that keep them."""
    for statement in STATEMENTS:
        op.execute(statement)
