"""Verification finds what somebody with every right changed, and says where."""

import json
from datetime import UTC, datetime

import psycopg
import pytest
from ledgers import wait_until_gone

from audit.entries import Entry, Kind
from audit.errors import NotReadable
from audit.ledger import Ledger
from audit.merkle import EMPTY_ROOT, Frontier, leaf_hash
from audit.verify import Problem, verify


@pytest.fixture
def ledger(database):
    ledger = Ledger(database.engine(), gateway="gw-1", clock=lambda: datetime.now(UTC))
    yield ledger
    ledger.close()


@pytest.fixture
def eight(ledger):
    for number in range(8):
        ledger.append(Entry(Kind.READ_REFUSED, f"ana-{number}", code="no_grant"))
    return ledger


@pytest.fixture
def tamper(database):
    """Runs statements as an owner who has switched the triggers off."""
    with psycopg.connect(database.url("owner"), autocommit=True) as connection:
        connection.execute("ALTER TABLE audit_entries DISABLE TRIGGER ALL")
        connection.execute("ALTER TABLE audit_head DISABLE TRIGGER ALL")
        yield connection.execute


def wrong(database, *, complete=True):
    verdict = verify(database.url())
    assert not verdict.integrity
    assert verdict.completeness is complete
    return [(problem.seq, problem.what) for problem in verdict.problems]


def test_an_empty_ledger_is_whole(database):
    verdict = verify(database.url())
    assert (verdict.size, verdict.root, verdict.problems) == (0, EMPTY_ROOT, ())
    assert verdict.integrity
    assert verdict.completeness


def test_an_untouched_ledger_is_whole_and_its_root_is_the_heads(database, eight):
    verdict = verify(database.url())
    assert (verdict.size, verdict.root, verdict.problems) == (8, eight.head().root, ())
    assert verdict.integrity


def test_a_changed_text_is_found(database, eight, tamper):
    tamper("UPDATE audit_entries SET canonical = replace(canonical, 'ana-3', 'eve-3') WHERE seq = 4")
    assert wrong(database) == [
        (4, "its text is not what was hashed"),
        (8, "the tree over the entries is not the head's: something before changed"),
    ]


def test_a_changed_text_with_its_hash_made_anew_is_found_by_the_tree(database, eight, tamper):
    tamper(
        "UPDATE audit_entries SET canonical = c, leaf = sha256('\\x00' || convert_to(c, 'UTF8')) FROM"
        " (SELECT replace(canonical, 'ana-3', 'eve-3') c FROM audit_entries WHERE seq = 4) WHERE seq = 4"
    )
    assert wrong(database) == [(8, "the tree over the entries is not the head's: something before changed")]


def test_a_changed_hash_is_found(database, eight, tamper):
    tamper("UPDATE audit_entries SET leaf = decode(repeat('00', 32), 'hex') WHERE seq = 4")
    assert wrong(database) == [(4, "its text is not what was hashed")]


def test_a_document_that_is_searched_and_was_not_hashed_is_found(database, eight, tamper):
    tamper("ALTER TABLE audit_entries ALTER doc DROP EXPRESSION")
    tamper("UPDATE audit_entries SET doc = jsonb_set(doc, '{actor}', '\"nobody\"') WHERE seq = 4")
    tamper("UPDATE audit_entries SET doc = NULL WHERE seq = 5")
    assert wrong(database) == [(seq, "what is searched is not what was hashed") for seq in (4, 5)]


def test_a_document_of_an_entry_worded_like_others_is_compared_with_its_own_text(database, ledger, tamper):
    for number in range(12):
        end = {"ended_by": "end", "rows": 100 + number}
        ledger.append(Entry(Kind.READ_AUTHORIZED, "ana", read=f"r-{number:032x}"))
        ledger.append(Entry(Kind.READ_COMPLETED, "ana", read=f"r-{number:032x}", details=end))
    tamper("ALTER TABLE audit_entries ALTER doc DROP EXPRESSION")
    tamper("UPDATE audit_entries SET doc = jsonb_set(doc, '{details,rows}', '99') WHERE seq = 20")
    tamper("UPDATE audit_entries SET doc = jsonb_set(doc, '{read}', '\"r-9\"') WHERE seq = 21")
    tamper("UPDATE audit_entries SET doc = (SELECT doc FROM audit_entries WHERE seq = 21) WHERE seq = 23")
    assert wrong(database) == [(seq, "what is searched is not what was hashed") for seq in (20, 21, 23)]


def test_values_that_are_gone_are_found_whichever_they_are(database, eight, tamper):
    tamper("ALTER TABLE audit_entries ALTER doc DROP EXPRESSION")
    tamper("ALTER TABLE audit_entries ALTER canonical DROP NOT NULL, ALTER leaf DROP NOT NULL")
    tamper("UPDATE audit_entries SET leaf = NULL WHERE seq = 3")
    tamper("UPDATE audit_entries SET doc = NULL WHERE seq = 4")
    tamper("UPDATE audit_entries SET canonical = NULL WHERE seq = 5")
    assert [seq for seq, _ in wrong(database)] == [3, 4, 5, 5, 8]


def test_an_entry_that_is_gone_is_found(database, eight, tamper):
    tamper("DELETE FROM audit_entries WHERE seq IN (1, 4, 5)")
    assert wrong(database, complete=False) == [(1, "entry 1 is missing"), (4, "entries 4 to 5 are missing")]


def test_an_end_that_was_cut_off_is_found(database, eight, tamper):
    tamper("DELETE FROM audit_entries WHERE seq > 6")
    assert wrong(database, complete=False) == [(7, "entries 7 to 8 are missing")]


def test_entries_in_another_order_are_found(database, eight, tamper):
    tamper("UPDATE audit_entries SET seq = -seq WHERE seq IN (3, 4)")
    tamper("UPDATE audit_entries SET seq = 7 + seq WHERE seq < 0")
    assert (8, "the tree over the entries is not the head's: something before changed") in wrong(database)


def test_an_entry_that_was_slipped_in_is_found(database, eight, tamper):
    tamper("INSERT INTO audit_entries SELECT 9, canonical, leaf FROM audit_entries WHERE seq = 8")
    assert wrong(database) == [(9, "entries 9 to 9 are not in the head's tree")]


def test_a_head_that_was_set_back_is_found(database, eight, tamper):
    tamper("UPDATE audit_head SET size = 4, frontier = substr(frontier, 1, 32)")
    assert wrong(database) == [
        (4, "the tree over the entries is not the head's: something before changed"),
        (5, "entries 5 to 8 are not in the head's tree"),
    ]


def test_a_head_that_is_gone_is_found(database, eight, tamper):
    tamper("DELETE FROM audit_head")
    assert wrong(database) == [(1, "entries 1 to 8 are not in the head's tree")]


def test_time_that_runs_back_is_found_even_where_everything_was_hashed_anew(database, eight, tamper):
    with psycopg.connect(database.url("owner")) as connection:
        found = connection.execute("SELECT seq, canonical FROM audit_entries ORDER BY seq").fetchall()
    texts = dict(found) | {5: json.dumps(json.loads(found[4][1]) | {"at": "2020-01-01T00:00:00.000000Z"})}
    leaves = {seq: leaf_hash(text.encode()) for seq, text in texts.items()}
    tamper("UPDATE audit_entries SET canonical = %s, leaf = %s WHERE seq = 5", (texts[5], leaves[5]))
    tamper("UPDATE audit_head SET frontier = %s", (Frontier().extended(leaves.values()).packed(),))
    assert wrong(database) == [(5, "its time is before that of the entry before it")]


def test_a_text_that_is_no_json_any_more_is_found_and_the_rest_is_still_looked_at(database, eight, tamper):
    tamper("ALTER TABLE audit_entries ALTER doc DROP EXPRESSION")
    tamper("UPDATE audit_entries SET canonical = '{\"a\":' || repeat('[', 100000) WHERE seq = 2")
    tamper("DELETE FROM audit_entries WHERE seq = 5")
    assert [seq for seq, _ in wrong(database, complete=False)] == [2, 2, 5]


def test_a_read_without_an_end_is_missing_only_once_its_gateway_is_gone(database, ledger):
    ledger.append(Entry(Kind.READ_AUTHORIZED, "ana", read="r-1"))
    ledger.append(Entry(Kind.READ_AUTHORIZED, "ana", read="r-2"))
    ledger.append(Entry(Kind.READ_COMPLETED, "ana", read="r-2"))
    assert verify(database.url()).problems == ()
    ledger.close()
    wait_until_gone(database.engine(), "gw-1")
    verdict = verify(database.url())
    what = "read `r-1` was authorised and has no end, and its gateway `gw-1` is gone"
    assert verdict.problems == (Problem(1, what),)
    assert verdict.integrity
    assert not verdict.completeness


def test_integrity_and_completeness_are_told_apart_and_the_first_bad_entry_comes_first(database, ledger, tamper):
    for number in range(4):
        ledger.append(Entry(Kind.READ_AUTHORIZED, "ana", read=f"r-{number}"))
    ledger.close()
    wait_until_gone(database.engine(), "gw-1")
    tamper("UPDATE audit_entries SET leaf = decode(repeat('00', 32), 'hex') WHERE seq = 2")
    verdict = verify(database.url())
    assert not verdict.integrity
    assert not verdict.completeness
    assert [problem.seq for problem in verdict.problems] == [1, 2, 2, 3, 4]


def test_a_ledger_that_cannot_be_read_gets_no_verdict(database, tmp_path):
    with pytest.raises(NotReadable):
        verify(f"postgresql://remit_gateway@/remit?host={tmp_path}")
    with psycopg.connect(database.url("owner"), autocommit=True) as owner:
        owner.execute("REVOKE SELECT ON audit_entries FROM remit_gateway")
    with pytest.raises(NotReadable, match="permission denied"):
        verify(database.url())
