"""What a report keeps of entries is the same whether each is parsed or known by its wording."""

import json
import re

import pytest
from pydantic_core import from_json

from audit.gathering import Gathered
from audit.trail import Line
from benchmarks.generated import _texts

READ = "r-" + 32 * "0"
AT = "2026-11-21T08:00:00.000000Z"
ENTRY = {
    "actor": "ana",
    "at": AT,
    "details": {"ended_by": "end", "rows": 7},
    "kind": "read.completed",
    "read": READ,
}


def canonical(**fields: object) -> bytes:
    return json.dumps(ENTRY | fields, sort_keys=True, separators=(",", ":")).encode()


def kept(texts: list[bytes], *, by_wording: bool) -> tuple[object, ...]:
    gathered = Gathered()
    for seq, text in enumerate(texts, 1):
        if by_wording:
            gathered.take_text(seq, text)
        else:
            gathered.take([Line(seq, from_json(text))])
    return gathered.begun, gathered.ended, gathered.refused, gathered.tokens.sightings(), gathered.last


def test_a_ledger_of_thousands_of_reads_is_kept_alike() -> None:
    texts = [text for text in _texts(1, 4_000) if b'"kind":"read.' in text]
    assert len(texts) > 2_000
    assert kept(texts, by_wording=True) == kept(texts, by_wording=False)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"details": {"rows": 0}},
        {"details": {"rows": 10**18}},
        {"details": {"rows": "7"}},
        {"details": {"ended_by": "budget", "rows": 7, "subjects": 3, "at_most": True}},
        {"details": {"inner": {"rows": 5}, "subjects": 4}},
        {"details": {"rows": None}},
        {"kind": "read.interrupted"},
        {
            "kind": "read.authorized",
            "details": {"columns": [{"name": "x", "treatment": "clear"}], "limit": 9, "rows": "x"},
        },
        {"kind": "read.authorized", "details": {"principal": {"attributes": {"level": 1}}}, "teams": ["a"]},
        {"kind": "read.authorized", "details": {"principal": {"attributes": {"level": True}}}, "teams": ["a"]},
        {"kind": "read.refused", "code": "no_grant", "details": {"columns": ["x"]}},
        {"actor": '","at":"' + AT},
        {"zone": '"read":"' + READ},
        {"at": "2026-11-21T08:00:00Z"},
        {"read": "r-1"},
        {"read": None},
    ],
)
def test_an_unusual_entry_is_kept_alike_also_after_others_of_its_wording(fields: dict[str, object]) -> None:
    text = canonical(**fields)
    again = re.sub(rb"08:00:00", b"09:30:00", text).replace(READ.encode(), b"r-" + 32 * b"1").replace(b":7,", b":8,")
    texts = [canonical(), text, again, canonical(details={"ended_by": "end", "rows": 9}), text]
    assert kept(texts, by_wording=True) == kept(texts, by_wording=False)
