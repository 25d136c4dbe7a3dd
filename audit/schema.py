"""Makes the schema, gives the gateway's role its rights, and refuses a database that cannot hold a ledger."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from .engines import engine_for
from .errors import DatabaseUnfit

MIGRATING = 7237124803
"""The advisory lock that one migration at a time holds; any number, as long as it stays."""

RIGHTS = {
    "audit_entries": "SELECT, INSERT",
    "audit_head": "SELECT, UPDATE",
    "audit_blocks": "SELECT",
    "audit_tiles": "SELECT, INSERT",
    "audit_tree": "SELECT, UPDATE",
    "audit_checkpoints": "SELECT, INSERT",
    "audit_cosignatures": "SELECT, INSERT",
    "audit_keys": "SELECT, INSERT",
    "witnesses_said": "SELECT, UPDATE",
    "open_reads": "SELECT, INSERT, UPDATE, DELETE",
    "grants": "SELECT, INSERT, UPDATE",
    "grant_datasets": "SELECT, INSERT",
    "requests": "SELECT, INSERT, UPDATE",
    "grant_usage": "SELECT, INSERT, UPDATE",
    "usage_cursor": "SELECT, UPDATE",
    "subjects": "SELECT, INSERT, DELETE",
    "read_subjects": "SELECT, INSERT, UPDATE",
    "grant_subjects": "SELECT, INSERT, UPDATE",
    "pauses": "SELECT, INSERT, UPDATE, DELETE",
    "alerts": "SELECT, INSERT, UPDATE",
    "alert_cursor": "SELECT, UPDATE",
    "alerting": "SELECT, UPDATE",
    "channels": "SELECT, INSERT, UPDATE, DELETE",
    "outbox": "SELECT, INSERT, UPDATE",
    "alert_steps": "SELECT, INSERT",
    "hold_checks": "SELECT, INSERT, UPDATE, DELETE",
    "hold_run": "SELECT, UPDATE",
    "bundle_acceptances": "SELECT, INSERT, UPDATE, DELETE",
    "bundle_in_force": "SELECT, UPDATE",
    "alembic_version": "SELECT",
}

TOO_MUCH = text("""
    SELECT bool_or(own.rolsuper),
        bool_or(own.oid IN (c.relowner, n.nspowner, d.datdba)),
        bool_or(has_table_privilege(own.oid, c.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')
            OR has_any_column_privilege(own.oid, c.oid, 'UPDATE')),
        bool_or(own.rolname IN ('pg_execute_server_program', 'pg_write_server_files'))
    FROM pg_roles own, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_database d
    WHERE pg_has_role(CAST(:role AS name), own.oid, 'MEMBER')
        AND c.oid = to_regclass('audit_entries') AND d.datname = current_database()
""")
"""What a role, or any role that it could become, could do to the ledger; no row values where there is none."""
REASONS = (
    "is a superuser",
    "owns `audit_entries`, its schema or the database",
    "may change `audit_entries`",
    "may run programs or write files on the database's server",
)


def migrate(owner_url: str, role: str | None) -> None:
    """Makes or upgrades the schema at `owner_url` and gives `role` the gateway's rights, in one transaction.

    Running it again changes nothing. Raises `DatabaseUnfit` where it cannot be done; nothing is left half done.
    """
    engine = engine_for(owner_url)
    try:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATING})
            command.upgrade(_alembic(connection), "head")
            if role is not None:
                _give_rights(connection, role)
    except SQLAlchemyError as problem:
        raise DatabaseUnfit(f"the schema could not be made: {_said(problem)}") from problem
    finally:
        engine.dispose()


def check_fit(engine: Engine, *, embedded: bool) -> None:
    """Refuses, with `DatabaseUnfit`, what the gateway must not start on.

    That is: `fsync` or `full_page_writes` off, a schema of another version, and, where the database is not the
    embedded one, a role that could alter the ledger.
    """
    try:
        with engine.connect() as connection:
            _check_settings(connection)
            _check_version(connection)
            if not embedded:
                _check_role(connection)
    except SQLAlchemyError as problem:
        raise DatabaseUnfit(f"the database does not answer: {_said(problem)}") from problem


def _check_settings(connection: Connection) -> None:
    for setting in ("fsync", "full_page_writes"):
        if connection.execute(text("SELECT current_setting(:name)"), {"name": setting}).scalar_one() != "on":
            raise DatabaseUnfit(
                f"the database runs with `{setting}` off, so what is recorded can be lost; switch it on and restart it"
            )


def _check_version(connection: Connection) -> None:
    try:
        found = MigrationContext.configure(connection).get_current_revision()
    except ProgrammingError as problem:
        raise DatabaseUnfit(
            f"this role has no rights here ({_said(problem)}); run "
            "`remit database migrate --database OWNER_URL --role ROLE` with its name"
        ) from problem
    wanted = ScriptDirectory.from_config(_alembic(connection)).get_current_head()
    if found != wanted:
        raise DatabaseUnfit(
            f"the database's schema is version `{found}`, not `{wanted}`; run "
            "`remit database migrate --database OWNER_URL --role ROLE` with the same version of remit"
        )


def _check_role(connection: Connection) -> None:
    role = str(connection.execute(text("SELECT current_user")).scalar_one())
    if connection.execute(text("SELECT to_regclass('audit_entries')")).scalar_one() is None:
        raise DatabaseUnfit("this role does not see `audit_entries`; run `remit database migrate` with its name")
    _refuse_too_much(connection, role)


def _refuse_too_much(connection: Connection, role: str) -> None:
    rights = connection.execute(TOO_MUCH, {"role": role}).one()
    found = [reason for reason, holds in zip(REASONS, rights, strict=True) if holds]
    if found:
        raise DatabaseUnfit(
            f"the database role `{role}`, or one that it can become, {' and '.join(found)}, so it could alter the "
            "ledger; make a plain role that owns nothing, run `remit database migrate --database OWNER_URL --role "
            "ROLE` with it, and start with that role's URL"
        )


def _give_rights(connection: Connection, role: str) -> None:
    name = sql.Identifier(role).as_string()
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
    for table, rights in RIGHTS.items():
        connection.exec_driver_sql(f"REVOKE ALL ON {table} FROM {name}")
        connection.exec_driver_sql(f"GRANT {rights} ON {table} TO {name}")
        held = text("SELECT has_table_privilege(CAST(:role AS name), CAST(:table AS text), :right)")
        for right in rights.split(", "):
            if not connection.execute(held, {"role": role, "table": table, "right": right}).scalar_one():
                raise DatabaseUnfit(f"`{role}` could not be given its rights: run this as the owner of the tables")
    _refuse_too_much(connection, role)


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _said(problem: SQLAlchemyError) -> str:
    """The first line of the driver's own message: the rest may quote rows."""
    return str(getattr(problem, "orig", None) or problem).strip().partition("\n")[0]
