"""Every way we know past append-only, tried: as the gateway's role, as the tables' owner, as a superuser.

Each is refused by the database, or done and then found by verification; the tables here say which. What a superuser
does to the whole ledger at once, so that it agrees with itself again, is in `test_insider.py`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import pytest

from audit.entries import Entry, Kind
from audit.ledger import Ledger
from audit.verify import verify

OWNER = "remit_tables_owner"
ENTRIES = 8
FORGED = "INSERT INTO audit_entries (seq, canonical, leaf) VALUES"
LEAF = "decode(repeat('00', 32), 'hex')"
SEARCHES_NO_MORE = "DROP FUNCTION audit_index_next_block() CASCADE"
DISABLE = "ALTER TABLE audit_entries DISABLE TRIGGER ALL"
FREE_HEAD = "ALTER TABLE audit_head DISABLE TRIGGER ALL"
READABLE = "GRANT SELECT ON audit_entries TO PUBLIC"
AS_OWNER = f"SET SESSION AUTHORIZATION {OWNER}"
REPLICA = "SET session_replication_role = replica"


@dataclass(frozen=True)
class Attempt:
    """Statements, one after the other, in one transaction."""

    name: str
    statements: tuple[str, ...]


def attempts(**named: str | tuple[str, ...]) -> list[Attempt]:
    return [Attempt(name, (said,) if isinstance(said, str) else said) for name, said in named.items()]


CHANGES = attempts(
    update="UPDATE audit_entries SET canonical = canonical WHERE seq = 3",
    update_no_row="UPDATE audit_entries SET leaf = leaf WHERE false",
    delete="DELETE FROM audit_entries WHERE seq = 8",
    delete_using="DELETE FROM audit_entries e USING audit_head h WHERE e.seq = h.size",
    truncate="TRUNCATE audit_entries",
    truncate_cascade="TRUNCATE audit_entries RESTART IDENTITY CASCADE",
    merge_update="MERGE INTO audit_entries e USING audit_head h ON e.seq = h.size "
    "WHEN MATCHED THEN UPDATE SET canonical = '{}'",
    merge_delete="MERGE INTO audit_entries e USING audit_head h ON e.seq = h.size WHEN MATCHED THEN DELETE",
    upsert=f"{FORGED} (3, '{{}}', {LEAF}) ON CONFLICT (seq) DO UPDATE SET canonical = excluded.canonical",
    update_in_cte="WITH w AS (UPDATE audit_entries SET leaf = leaf RETURNING seq) SELECT * FROM w",
    head_back="UPDATE audit_head SET size = size - 1",
    head_tree="UPDATE audit_head SET frontier = decode(repeat('00', 32), 'hex')",
    head_epoch_back="UPDATE audit_head SET epoch = epoch - 1",
    head_time_back="UPDATE audit_head SET at = at - interval '1 day'",
    head_gone="DELETE FROM audit_head",
    head_truncated="TRUNCATE audit_head",
    head_another="INSERT INTO audit_head (id, size, frontier, epoch, at) VALUES (false, 0, '', 0, now())",
    head_same_again="INSERT INTO audit_head (size, frontier, epoch, at) VALUES (0, '', 0, now())",
    taken_place=f"{FORGED} (3, '{{}}', {LEAF})",
    short_leaf=f"{FORGED} (9, '{{}}', 'x')",
    no_json=f"{FORGED} (9, 'no json', {LEAF})",
    own_document=f"INSERT INTO audit_entries (seq, canonical, leaf, doc) VALUES (9, '{{}}', {LEAF}, '{{}}')",
)
"""Refused to everybody for whom the triggers, the constraints and the keys stand."""

GATEWAY_ONLY = attempts(
    disable=DISABLE,
    disable_one="ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_are_kept",
    drop_trigger="DROP TRIGGER audit_entries_are_kept ON audit_entries",
    new_trigger="CREATE TRIGGER quiet BEFORE INSERT ON audit_entries EXECUTE FUNCTION audit_entries_are_kept()",
    replace_function="CREATE OR REPLACE FUNCTION audit_entries_are_kept() RETURNS trigger LANGUAGE plpgsql "
    "AS 'BEGIN RETURN NEW; END'",
    new_rule="CREATE RULE quiet AS ON INSERT TO audit_entries DO INSTEAD NOTHING",
    replica=REPLICA,
    type_using="ALTER TABLE audit_entries ALTER COLUMN leaf TYPE bytea USING decode(repeat('00', 32), 'hex')",
    drop_column="ALTER TABLE audit_entries DROP COLUMN doc",
    drop_key="ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_pkey",
    drop_table="DROP TABLE audit_entries",
    rename="ALTER TABLE audit_entries RENAME TO old_entries",
    inherit="CREATE TABLE more () INHERITS (audit_entries)",
    attach="ALTER TABLE audit_entries INHERIT audit_head",
    row_security="ALTER TABLE audit_entries ENABLE ROW LEVEL SECURITY",
    shadow="CREATE TABLE pg_temp.x AS SELECT 1; CREATE SCHEMA shadow",
    become_owner="SET ROLE remit_owner",
    become_super="SET SESSION AUTHORIZATION remit_owner",
    give_itself=("GRANT UPDATE ON audit_entries TO remit_gateway", "UPDATE audit_entries SET leaf = leaf"),
    catalogue="UPDATE pg_trigger SET tgenabled = 'D'",
    from_file="COPY audit_entries FROM '/etc/hostname'",
    program="COPY (SELECT 1) TO PROGRAM 'true'",
    fsync_off="ALTER SYSTEM SET fsync = off",
    locked_out="LOCK TABLE audit_entries IN ACCESS EXCLUSIVE MODE",
)
"""Refused to the gateway's role for want of rights, beside `CHANGES`."""

FOUND = attempts(
    forged_next=f"{FORGED} (9, '{{}}', {LEAF})",
    forged_far=f"{FORGED} (1000, '{{}}', {LEAF})",
    forged_before=f"{FORGED} (0, '{{}}', {LEAF})",
    forged_negative=f"{FORGED} (-1, '{{}}', {LEAF})",
    head_ahead="UPDATE audit_head SET size = size + 1",
    head_ahead_with_tree=f"UPDATE audit_head SET size = size + 1, frontier = frontier || {LEAF}",
)
"""The gateway's role can do these, or it could not append; verification finds each."""

FOUND_OF_OWNER = attempts(
    disable_and_update=(DISABLE, "UPDATE audit_entries SET canonical = replace(canonical, 'ana', 'bob')"),
    disable_and_delete=(DISABLE, "DELETE FROM audit_entries WHERE seq = 8"),
    disable_and_truncate=(DISABLE, "TRUNCATE audit_entries"),
    drop_and_delete=("DROP TRIGGER audit_entries_are_kept ON audit_entries", "DELETE FROM audit_entries WHERE seq = 4"),
    function_and_delete=(
        "CREATE OR REPLACE FUNCTION audit_entries_are_kept() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN RETURN NULL; END'",
        "DELETE FROM audit_entries WHERE seq = 1",
    ),
    type_using_leaf="ALTER TABLE audit_entries ALTER COLUMN leaf TYPE bytea USING decode(repeat('00', 32), 'hex')",
    type_using_seq=(SEARCHES_NO_MORE, "ALTER TABLE audit_entries ALTER COLUMN seq TYPE bigint USING 9 - seq"),
    document_of_its_own=(
        "ALTER TABLE audit_entries ALTER COLUMN doc DROP EXPRESSION",
        DISABLE,
        'UPDATE audit_entries SET doc = doc || \'{"actor": "nobody"}\' WHERE seq = 2',
    ),
    document_gone=(
        SEARCHES_NO_MORE,
        "ALTER TABLE audit_entries DROP COLUMN doc",
        "ALTER TABLE audit_entries ADD COLUMN doc jsonb",
    ),
    copy_with_less=(
        "CREATE TABLE fewer AS SELECT seq, canonical, leaf, doc FROM audit_entries WHERE seq <> 5",
        "ALTER TABLE audit_entries RENAME TO kept",
        "ALTER TABLE fewer RENAME TO audit_entries",
        READABLE,
    ),
    view_with_less=(
        "ALTER TABLE audit_entries RENAME TO kept",
        "CREATE VIEW audit_entries AS SELECT * FROM kept WHERE seq <> 6",
        READABLE,
    ),
    key_gone_and_twice=(
        "ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_pkey",
        "INSERT INTO audit_entries (seq, canonical, leaf) SELECT seq, canonical, leaf FROM audit_entries WHERE seq = 8",
    ),
    rule_that_swallows=(
        "CREATE RULE quiet AS ON INSERT TO audit_entries DO INSTEAD NOTHING",
        f"{FORGED} (9, '{{}}', {LEAF})",
        "UPDATE audit_head SET size = size + 1",
    ),
    rows_hidden=(
        "ALTER TABLE audit_entries ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE audit_entries FORCE ROW LEVEL SECURITY",
        "CREATE POLICY most ON audit_entries USING (seq <> 7)",
    ),
    head_back=(FREE_HEAD, "UPDATE audit_head SET size = size - 1"),
    head_gone=(FREE_HEAD, "DELETE FROM audit_head"),
    head_twice=(
        FREE_HEAD,
        "ALTER TABLE audit_head DROP CONSTRAINT audit_head_one_row",
        "INSERT INTO audit_head (id, size, frontier, epoch, at) VALUES (false, 0, '', 0, now())",
        "UPDATE audit_head SET at = at",
    ),
    inherited_more=("CREATE TABLE more () INHERITS (audit_entries)", f"INSERT INTO more VALUES (9, '{{}}', {LEAF})"),
)
"""An owner of the tables, or a superuser, is not stopped; verification finds each."""


@pytest.fixture(scope="module")
def untouched(module_database):
    """A ledger for what is refused, and therefore leaves it as it was."""
    return filled(module_database)


@pytest.fixture
def touched(database):
    """A ledger of the test's own, to be changed."""
    return filled(database)


def filled(database):
    ledger = Ledger(database.engine(), gateway="gw-1", clock=lambda: datetime.now(UTC))
    for number in range(ENTRIES):
        ledger.append(Entry(Kind.READ_REFUSED, f"ana-{number}", code="no_grant"))
    ledger.close()
    give_to_plain_owner(database)
    return database


def give_to_plain_owner(database):
    """A plain role, no superuser, that owns the tables of the ledger, as in a database that somebody else runs."""
    with psycopg.connect(database.url("owner"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone():
            connection.execute(f"CREATE ROLE {OWNER}")
        connection.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {OWNER}")
        for table in ("audit_entries", "audit_head", "open_reads"):
            connection.execute(f"ALTER TABLE {table} OWNER TO {OWNER}")
        for function in ("audit_entries_are_kept", "audit_index_next_block"):
            connection.execute(f"ALTER FUNCTION {function}() OWNER TO {OWNER}")


def tried(url, attempt, *, before=()):
    """The database's refusal, or None where all of it was done and committed."""
    with psycopg.connect(url) as connection:
        for statement in before:
            connection.execute(statement)
        try:
            for statement in attempt.statements:
                connection.execute(statement)
        except psycopg.Error as refusal:
            connection.rollback()
            return refusal
    return None


def is_whole(database):
    verdict = verify(database.url("owner"))
    return verdict.integrity and verdict.completeness and verdict.size == ENTRIES


def finds(database):
    """Whether verification sees it, as whoever may see every row; an unreadable ledger is no verdict of wholeness."""
    verdict = verify(database.url())
    return not verdict.integrity


@pytest.mark.parametrize("attempt", CHANGES + GATEWAY_ONLY, ids=lambda attempt: attempt.name)
def test_the_gateways_role_cannot_get_past_append_only(untouched, attempt):
    assert tried(untouched.url(), attempt) is not None
    assert is_whole(untouched)


@pytest.mark.parametrize("attempt", CHANGES, ids=lambda attempt: attempt.name)
def test_triggers_and_constraints_stop_the_mistakes_of_an_owner(untouched, attempt):
    assert tried(untouched.url("owner"), attempt, before=[AS_OWNER]) is not None
    assert is_whole(untouched)


@pytest.mark.parametrize("attempt", CHANGES, ids=lambda attempt: attempt.name)
def test_triggers_stop_the_mistakes_of_a_superuser_even_one_who_poses_as_a_replica(untouched, attempt):
    assert tried(untouched.url("owner"), attempt, before=[REPLICA]) is not None
    assert is_whole(untouched)


@pytest.mark.parametrize("attempt", FOUND, ids=lambda attempt: attempt.name)
def test_what_the_gateways_role_can_forge_is_found(touched, attempt):
    assert tried(touched.url(), attempt) is None
    assert finds(touched)


@pytest.mark.parametrize("attempt", FOUND_OF_OWNER, ids=lambda attempt: attempt.name)
def test_what_an_owner_can_do_is_found(touched, attempt):
    assert tried(touched.url("owner"), attempt, before=[AS_OWNER]) is None
    assert finds(touched)
