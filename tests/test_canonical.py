import json
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import LARGEST_INTEGER, canonical, cleaned
from audit.drafts import draft
from audit.entries import Entry, Kind
from audit.errors import NotCanonical, NotRecorded

texts = st.text(st.characters(exclude_categories=()))
keys = st.text(st.characters(max_codepoint=127, min_codepoint=1))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)
AT = "2026-11-21T08:38:41.123456Z"


@given(values)
def test_what_is_written_is_what_rfc_8785_says(value):
    value, _ = cleaned(value)
    assert canonical(value).encode() == rfc8785.dumps(value)
    assert canonical(value) == json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@given(texts, st.lists(texts, max_size=3), texts | st.none(), st.dictionaries(keys, values, max_size=4))
def test_a_draft_sealed_with_its_time_is_the_whole_entry_in_canonical_form(actor, teams, dataset, details):
    sealed = draft(Entry(Kind.READ_REFUSED, actor, tuple(teams), dataset=dataset, details=details), "gw").sealed(AT)
    entry = json.loads(sealed)
    assert sealed == rfc8785.dumps(entry)
    assert entry["at"] == AT
    assert entry["kind"] == "read.refused"
    assert entry["gateway"] == "gw"


def test_an_entry_says_only_what_it_has():
    sealed = draft(Entry(Kind.READ_REFUSED, "ana", teams=("research.ml",), code="no_grant"), "gw").sealed(AT)
    assert json.loads(sealed) == {
        "actor": "ana",
        "at": AT,
        "code": "no_grant",
        "details": {},
        "gateway": "gw",
        "kind": "read.refused",
        "teams": ["research.ml"],
    }


def test_characters_that_cannot_be_written_are_replaced_and_counted():
    hostile = Entry(Kind.READ_REFUSED, "a\x00b", dataset="\ud800", details={"asked": ["x\udfff", {"k": "\x00\x00"}]})
    entry = json.loads(draft(hostile, "gw").sealed(AT))
    assert (entry["actor"], entry["dataset"]) == ("a\ufffdb", "\ufffd")
    assert entry["details"] == {"asked": ["x\ufffd", {"k": "\ufffd\ufffd"}]}
    assert entry["replaced"] == 5


def test_a_backslash_before_u0000_is_no_character_that_cannot_be_written():
    entry = json.loads(draft(Entry(Kind.READ_REFUSED, "\\u0000"), "gw").sealed(AT))
    assert entry["actor"] == "\\u0000"
    assert "replaced" not in entry


def test_frozen_mappings_and_tuples_are_written_as_json_has_them():
    assert canonical(MappingProxyType({"b": (1, True, None), "a": Kind.READ_REFUSED})) == (
        '{"a":"read.refused","b":[1,true,null]}'
    )


def deep(levels):
    value = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        2**53,
        -(2**53),
        b"x",
        {1: 2},
        {"é": 1},
        {"a\x00": 1},
        {"a": {1, 2}},
        datetime.now(UTC),
        deep(33),
    ],
)
def test_what_canonical_json_cannot_say_is_refused_and_not_recorded(value):
    with pytest.raises(NotCanonical):
        canonical(value)
    assert issubclass(NotCanonical, NotRecorded)


def test_nesting_as_deep_as_is_allowed_is_written():
    assert canonical(deep(32)) == "[" * 32 + '"x"' + "]" * 32
    with pytest.raises(NotCanonical):
        canonical(deep(100_000))
