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
    "CREATE INDEX audit_entries_read ON audit_entries USING hash ((doc ->> 'read')) WHERE (doc ->> 'read') IS NOT NULL",
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
    """
    CREATE TABLE audit_blocks (
        term text,
        block integer,
        entries bit(2048) NOT NULL,
        PRIMARY KEY (term, block)
    )
    """,
    # As its owner, so that no gateway writes there anything else; its names are bound now, whatever the caller's path.
    # Once for each value of a field, not of an entry: then the parts of dotted names cost next to nothing.
    """
    CREATE FUNCTION audit_index_next_block() RETURNS bigint LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC
        WITH next (block) AS (
            SELECT coalesce(max(block) + 1, 0) FROM audit_blocks WHERE term = ''
        ), entry AS (
            SELECT block, set_bit(0::bit(2048), (seq % 2048)::integer, 1) AS own,
                'actor:' || left(doc ->> 'actor', 100) AS actor, 'dataset:' || left(doc ->> 'dataset', 100) AS dataset,
                'grant:' || left(doc ->> 'grant', 100) AS "grant", 'code:' || left(doc ->> 'code', 100) AS code,
                'kind:' || left(doc ->> 'kind', 100) AS kind, 'purpose:' || left(doc ->> 'purpose', 100) AS purpose,
                doc -> 'teams' AS teams
            FROM next JOIN audit_entries ON seq BETWEEN block * 2048::bigint AND block * 2048::bigint + 2047
            WHERE (SELECT size FROM audit_head) >= block * 2048::bigint + 2047
        ), field AS (
            SELECT block, actor, dataset, "grant", code, kind, purpose, teams, bit_or(own) AS entries,
                grouping(actor, dataset, "grant", code, kind, purpose, teams) = 127 AS is_every
            FROM entry GROUP BY block, GROUPING SETS ((), actor, dataset, "grant", code, kind, purpose, teams)
        ), term (term, block, entries) AS (
            SELECT coalesce(actor, dataset, "grant", code, CASE WHEN is_every THEN '' END), block, entries FROM field
            UNION ALL
            SELECT array_to_string(parts[1:n], '.'), block, entries
            FROM field, LATERAL (
                SELECT coalesce(kind, purpose)
                UNION ALL SELECT 'team:' || left(team, 100) FROM jsonb_array_elements_text(teams) AS own (team)
            ) AS dotted (name), string_to_array(name, '.') AS parts,
                generate_series(1, least(cardinality(parts), 8)) AS n
        ), written AS (
            INSERT INTO audit_blocks (term, block, entries)
            SELECT term, block, bit_or(entries) FROM term WHERE term IS NOT NULL GROUP BY term, block ORDER BY term
            ON CONFLICT DO NOTHING RETURNING true
        )
        SELECT count(*) FROM written;
    END
    """,
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
        ends timestamptz NOT NULL,
        PRIMARY KEY (grant_id, dataset)
    )
    """,
    "CREATE INDEX grants_principal ON grants (principal, id)",
    "CREATE INDEX grants_team ON grants (team, id)",
    "CREATE INDEX grant_datasets_principal ON grant_datasets (dataset, principal, ends)",
    "CREATE INDEX grant_datasets_team ON grant_datasets (dataset, team, ends)",
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
