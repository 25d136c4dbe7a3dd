"""What is taken for worded alike is what parsing both texts would say, whatever somebody made of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.wording import MOST, Wordings

AT, READ = "2026-11-21T08:38:41.123456Z", "r-" + 32 * "a"
ENTRY = {
    "actor": "ana",
    "at": AT,
    "details": {"ended_by": "end", "rows": 10, "asked": {"at": "x", "rows": "x < 960"}, "ok": True},
    "digest": "sha256:0",
    "gateway": "gw-1",
    "grant": "g-1",
    "kind": "read.completed",
    "read": READ,
}


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def document(value):
    """As PostgreSQL writes a `jsonb`: shorter keys first."""

    def ordered(value):
        if isinstance(value, dict):
            return {key: ordered(value[key]) for key in sorted(value, key=lambda key: (len(key), key))}
        return [ordered(item) for item in value] if isinstance(value, list) else value

    return json.dumps(ordered(value), ensure_ascii=False).encode()


def told(wordings, one, other):
    """What counts of what is said."""
    meaning, at, read = wordings.said(one, other)
    return meaning.agrees, at, read, {name: meaning.text(name) for name in ("kind", "digest", "grant", "gateway")}


def knowing(*entries):
    wordings = Wordings()
    for entry in entries:
        wordings.said(canonical(entry), document(entry))
    return wordings


def later(rows=77):
    return ENTRY | {
        "at": "2026-11-21T09:00:00.000000Z",
        "read": "r-" + 32 * "b",
        "details": ENTRY["details"] | {"rows": rows},
    }


def last_rows(entry, rows):
    """The same with a count that ends its object, as that of an end does."""
    return entry | {"details": {"ended_by": "end", "rows": rows}}


def test_another_time_read_and_count_are_no_other_wording():
    wordings = knowing(last_rows(ENTRY, 10))
    other = last_rows(later(), 12_345)
    assert told(wordings, canonical(other), document(other))[:3] == (True, other["at"], other["read"])
    assert len(wordings.known) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"09:00", b"09:01"),
        (b"bbb", b"bbc"),
        (b"77", b"78"),
        (b"77", b"77.0"),
        (b"77", b"077"),
        (b'"ana"', b'"eve"'),
        (b"}", b', "x": 1}'),
    ],
)
@pytest.mark.parametrize("side", [0, 1])
def test_a_text_that_differs_from_its_other_in_what_changes_is_found(old, new, side):
    entry = last_rows(later(), 77)
    texts = [canonical(entry), document(entry)]
    assert told(knowing(last_rows(ENTRY, 10)), *texts)[0]
    assert old in texts[side]
    texts[side] = texts[side].replace(old, new, 1)
    assert not told(knowing(last_rows(ENTRY, 10)), *texts)[0]


@given(
    values=st.lists(
        st.sampled_from(
            [AT, READ, "@time@", "@read@", "@rows@", '"at":"', '"read": "', "\\", '"', 1, 1.0, True, 0, {}]
        ),
        min_size=5,
        max_size=5,
    ),
    names=st.permutations(["at", "read", "rows", "x", "kind"]),
    place=st.integers(0, 400),
    instead=st.sampled_from([b"", b'"', b"\\", b"1", b"a", b"@", b"{", b'"at":"', b',"at":1', b'"x":"@time@",']),
    side=st.integers(0, 1),
)
def test_whatever_was_learnt_says_what_parsing_would(values, names, place, instead, side):
    entry = last_rows(later(), 5) | {"details": dict(zip(names, values, strict=True))}
    alike = entry | {"at": AT, "read": READ}
    wordings = knowing(ENTRY, last_rows(ENTRY, 10), entry, alike)
    texts = [canonical(entry), document(entry)]
    assert told(wordings, *texts) == told(Wordings(), *texts)
    at = place % len(texts[side])
    texts[side] = texts[side][:at] + instead + texts[side][at + 1 :]
    assert told(wordings, *texts) == told(Wordings(), *texts)


def test_what_changes_what_is_in_force_is_looked_at_each_time():
    wordings = knowing(ENTRY | {"kind": "grant.revoked"})
    assert wordings.known == {}


def test_no_more_wordings_are_kept_than_there_is_room_for():
    wordings = knowing(*(last_rows(ENTRY | {"actor": f"a{n}"}, 10) for n in range(MOST + 10)))
    assert len(wordings.known) == 10


def test_texts_that_are_missing_or_no_json_say_nothing():
    for one, other in ((None, None), (b"", b"{}"), (b"[]", b"[]"), (b"\xff", b"\xff"), (canonical(ENTRY), None)):
        assert not told(Wordings(), one, other)[0]
