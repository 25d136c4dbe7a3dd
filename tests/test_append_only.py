"""What the database itself refuses, and what the gateway's role may not do."""

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import errors

from audit import alert_tables
from audit.errors import DatabaseUnfit
from audit.schema import check_fit, migrate
from audit.tables import METADATA
from authz import tables as access_tables

INSERT = "INSERT INTO audit_entries (seq, canonical, leaf) VALUES (1, '{}', decode(repeat('00', 32), 'hex'))"
CHANGES = [
    "UPDATE audit_entries SET canonical = '{\"a\":1}'",
    "UPDATE audit_entries SET canonical = canonical WHERE false",
    "DELETE FROM audit_entries",
    "DELETE FROM audit_entries WHERE false",
    "TRUNCATE audit_entries",
]


@pytest.fixture
def owner(database):
    with psycopg.connect(database.url("owner"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def refused_to_owner(module_database):
    with psycopg.connect(module_database.url("owner"), autocommit=True) as connection:
        yield connection.execute


@pytest.fixture
def refused_to_gateway(module_database):
    with psycopg.connect(module_database.url("gateway"), autocommit=True) as connection:
        yield connection.execute


@pytest.mark.parametrize("statement", CHANGES)
def test_even_the_owner_is_stopped_from_changing_entries_by_mistake(refused_to_owner, statement):
    with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
        refused_to_owner(statement)
    refused_to_owner("SET session_replication_role = replica")
    with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
        refused_to_owner(statement)


@pytest.mark.parametrize(
    "statement", [*CHANGES, "DROP TABLE audit_entries", "ALTER TABLE audit_entries DISABLE TRIGGER ALL"]
)
def test_the_gateway_has_no_right_to_change_entries(refused_to_gateway, statement):
    with pytest.raises(errors.InsufficientPrivilege, match=r"permission denied|must be owner"):
        refused_to_gateway(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_head SET size = size - 1",
        "UPDATE audit_head SET epoch = epoch - 1",
        "UPDATE audit_head SET at = at - interval '1 s'",
        "UPDATE audit_head SET frontier = 'x'",
        "DELETE FROM audit_head",
        "TRUNCATE audit_head",
        "INSERT INTO audit_head (id, size, frontier, epoch, at) VALUES (true, 0, '', 0, now()) ON CONFLICT DO NOTHING",
    ],
)
def test_the_head_only_grows(refused_to_owner, statement):
    with pytest.raises(errors.InsufficientPrivilege, match="audit_head"):
        refused_to_owner(statement)


def test_the_document_that_is_searched_cannot_be_written_apart_from_the_text_that_is_hashed(refused_to_gateway):
    with pytest.raises(errors.GeneratedAlways):
        refused_to_gateway(INSERT.replace("leaf)", "leaf, doc)").replace("'hex'))", "'hex'), '{}')"))


def test_the_tables_that_the_code_sees_are_those_that_the_migrations_make(database):
    with database.engine("owner").connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []
    assert alert_tables.METADATA is access_tables.METADATA is METADATA


def test_migrating_again_changes_nothing(database):
    migrate(database.url("owner"), "remit_gateway")
    check_fit(database.engine(), embedded=False)


def test_a_database_without_the_schema_is_refused(database):
    with psycopg.connect(database.url("owner"), autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(DatabaseUnfit, match="`remit database migrate"):
        check_fit(database.engine(), embedded=True)


def test_a_role_that_was_given_no_rights_is_told_how_it_gets_them(database, owner):
    owner.execute("REVOKE ALL ON alembic_version FROM remit_gateway")
    with pytest.raises(DatabaseUnfit, match=r"no rights here .* `remit database migrate --database OWNER_URL --role"):
        check_fit(database.engine(), embedded=False)


def test_a_role_that_could_alter_the_ledger_is_refused(database, owner):
    with pytest.raises(
        DatabaseUnfit, match=r"is a superuser and owns `audit_entries`, its schema or the database and may change"
    ):
        check_fit(database.engine("owner"), embedded=False)
    check_fit(database.engine("owner"), embedded=True)
    owner.execute("GRANT UPDATE (leaf) ON audit_entries TO remit_gateway")
    with pytest.raises(DatabaseUnfit, match="may change `audit_entries`, so it could alter the ledger"):
        check_fit(database.engine(), embedded=False)


@pytest.mark.parametrize(
    "path",
    [
        "ALTER DATABASE {database} OWNER TO remit_gateway",
        "CREATE ROLE {database}_holder; GRANT UPDATE ON audit_entries TO {database}_holder; "
        "GRANT {database}_holder TO remit_gateway WITH INHERIT FALSE",
        "GRANT pg_execute_server_program TO remit_gateway",
        "GRANT pg_write_all_data TO remit_gateway WITH INHERIT FALSE",
    ],
)
def test_a_role_that_could_become_one_that_alters_the_ledger_is_refused(database, owner, path):
    check_fit(database.engine(), embedded=False)
    owner.execute(path.format(database=database.name))
    try:
        with pytest.raises(DatabaseUnfit, match="could alter the ledger"):
            check_fit(database.engine(), embedded=False)
    finally:
        # Roles are the whole server's, and it is other tests' too.
        owner.execute(f"ALTER DATABASE {database.name} OWNER TO remit_owner")
        owner.execute("REVOKE pg_execute_server_program, pg_write_all_data FROM remit_gateway")
        owner.execute(f"DROP OWNED BY {database.name}_holder" if "holder" in path else "SELECT 1")
        owner.execute(f"DROP ROLE IF EXISTS {database.name}_holder")


def test_rights_that_could_not_be_given_are_no_rights(database, owner):
    owner.execute(f"CREATE ROLE {database.name}_other LOGIN")
    try:
        with pytest.raises(DatabaseUnfit):
            migrate(database.url(), f"{database.name}_other")
        with pytest.raises(DatabaseUnfit, match="could alter the ledger"):
            migrate(database.url("owner"), "remit_owner")
    finally:
        owner.execute(f"DROP ROLE {database.name}_other")


def test_a_role_that_does_not_exist_is_no_half_made_schema(database):
    with pytest.raises(DatabaseUnfit, match="nobody"):
        migrate(database.url("owner"), "nobody")


def test_an_url_that_libpq_cannot_read_is_refused():
    with pytest.raises(DatabaseUnfit, match="not libpq's"):
        migrate("postgresql+psycopg2://x", None)
