"""What somebody may do to a ledger who can write to every table, kind by kind, and who has to find it.

Each kind makes changed tables of those that it is given, without end or until it has been through all of them.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from random import Random
from typing import Any

from ledgers import WITNESS
from tampering import COLUMNS, Row, Tables

from audit.merkle import Frontier, leaf_hash
from audit.notes import SIGNED, Signer


class By(StrEnum):
    """Who finds it; each finds what those before find."""

    VERIFY = "verify alone"
    KEY = "verify with a key that was noted"
    WITNESS = "the witness"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Insider:
    """What a mutation may use beside the tables: chance, and the keys of the ledger."""

    chance: Random
    signers: tuple[Signer, ...]


Made = Callable[[Tables, Insider], Iterator[Tables]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to change a ledger; `share` is how many of 10,000 are of it."""

    name: str
    found_by: By
    share: int
    made: Made


def bytes_of_texts(state: Tables, insider: Insider) -> Iterator[Tables]:
    """Each byte of some entries, on its own."""
    for at in insider.chance.sample(range(len(state.entries)), len(state.entries)):
        text = state.entries[at][1].encode()
        for place in range(len(text)):
            yield state.edit("entries", at, canonical=_flipped(text, place).decode(errors="replace"))


def bytes_of_texts_hashed_anew(state: Tables, insider: Insider) -> Iterator[Tables]:
    for changed in bytes_of_texts(state, insider):
        at = next(at for at, row in enumerate(changed.entries) if row != state.entries[at])
        yield changed.edit("entries", at, leaf=leaf_hash(changed.entries[at][1].encode()))


def bytes_of_leaves(state: Tables, insider: Insider) -> Iterator[Tables]:
    return _bytes_of("entries", "leaf")(state, insider)


def fields_hashed_anew(state: Tables, insider: Insider) -> Iterator[Tables]:
    """A field of an entry gets another value or type, goes, or comes; text, hash and what is searched agree."""
    for at, document in _documents(state, insider):
        text = _text(document)
        yield state.edit("entries", at, canonical=text, leaf=leaf_hash(text.encode()), doc=text)


def fields_searched(state: Tables, insider: Insider) -> Iterator[Tables]:
    """The same where only what is searched is changed."""
    for at, document in _documents(state, insider):
        yield state.edit("entries", at, doc=json.dumps(document))


def numbers(state: Tables, insider: Insider) -> Iterator[Tables]:
    """An entry gets another number: none, a far one, one that another has."""
    while True:
        at = insider.chance.randrange(len(state.entries))
        seq = insider.chance.choice(
            (0, -1, -(2**62), 2**62, len(state.entries) + 1, insider.chance.randrange(1, at + 2))
        )
        yield state.edit("entries", at, seq=seq)


def swaps(state: Tables, insider: Insider) -> Iterator[Tables]:
    while True:
        one, two = insider.chance.sample(range(len(state.entries)), 2)
        rows = list(state.entries)
        rows[one], rows[two] = (rows[one][0], *rows[two][1:]), (rows[two][0], *rows[one][1:])
        yield state.put("entries", rows)


def moves(state: Tables, insider: Insider) -> Iterator[Tables]:
    """One entry is taken out and put in elsewhere; those between move up."""
    while True:
        rows = list(state.entries)
        out, into = insider.chance.sample(range(len(rows)), 2)
        rows.insert(into, rows.pop(out))
        yield state.put("entries", _numbered(rows))


def inserts(state: Tables, insider: Insider) -> Iterator[Tables]:
    """An entry that never was: anywhere, or among what was signed with the head made to fit."""
    while True:
        rows, text, is_headed = list(state.entries), _forged(state, insider), insider.chance.random() < 0.5
        at = insider.chance.randrange(state.signed if is_headed else len(rows) + 1)
        rows.insert(at, (0, text, leaf_hash(text.encode()), text))
        changed = state.put("entries", _numbered(rows))
        yield _headed(changed) if is_headed else changed


def duplicates(state: Tables, insider: Insider) -> Iterator[Tables]:
    """An entry is there twice, under its own number; sometimes the second says something else."""
    while True:
        row, text = insider.chance.choice(state.entries), _forged(state, insider)
        twin = row if insider.chance.random() < 0.5 else (row[0], text, leaf_hash(text.encode()), text)
        yield state.put("entries", [*state.entries, twin])


def deletes(state: Tables, insider: Insider) -> Iterator[Tables]:
    """Some entries go; sometimes those behind close the gap, and the head is made to fit."""
    while True:
        rows = list(state.entries)
        for taken in range(insider.chance.randint(1, 5)):
            rows.pop(insider.chance.randrange(state.signed - taken))
        if insider.chance.random() < 0.5:
            yield state.put("entries", rows)
        else:
            yield _headed(state.put("entries", _numbered(rows)))


def cuts(state: Tables, insider: Insider) -> Iterator[Tables]:
    """The end goes; sometimes the head is made to fit, sometimes the stored tree too, and checkpoints stay."""
    while True:
        kept = insider.chance.randrange(1, state.signed)
        cut = state.put("entries", state.entries[:kept])
        if insider.chance.random() < 0.4:
            yield cut
        elif insider.chance.random() < 0.5:
            yield _headed(cut)
        else:
            size = insider.chance.choice(_signed_sizes(state)[:-1])
            back = state.retold(state.texts[:size], ())
            yield insider.chance.choice(
                (
                    back.put("checkpoints", state.checkpoints).put("cosignatures", state.cosignatures),
                    back.put("tiles", state.tiles) if back.tiles != state.tiles else _headed(cut),
                )
            )


def heads(state: Tables, insider: Insider) -> Iterator[Tables]:
    """Each byte of the head's tree, then its size."""
    yield from _bytes_of("head", "frontier")(state, insider)
    for step in count(1):
        yield state.edit("head", 0, size=state.head[0][0] + insider.chance.choice((-1, 1)) * step)


def tiles(state: Tables, insider: Insider) -> Iterator[Tables]:
    """A tile goes, is doubled, comes or moves; then bytes of them, in any order."""
    for row in state.tiles:
        yield state.put("tiles", [other for other in state.tiles if other != row])
        yield state.put("tiles", [*state.tiles, (row[0], row[1] + 7, row[2])])
        yield state.put("tiles", [*state.tiles, (row[0] + 1, row[1], row[2])])
    yield from _bytes_of("tiles", "hashes")(state, insider)


def trees(state: Tables, insider: Insider) -> Iterator[Tables]:
    """The row of the stored tree: gone, of another name, of another size, with another edge."""
    yield state.put("tree", ())
    yield state.edit("tree", 0, origin="example.com/other")
    for size in (0, state.signed - 1, state.signed + 1):
        yield state.edit("tree", 0, size=size)
    yield from _bytes_of("tree", "edge")(state, insider)


def notes(state: Tables, insider: Insider) -> Iterator[Tables]:
    """Each byte of each checkpoint; one at another's size; the last one gone."""
    yield state.put("checkpoints", state.checkpoints[:-1])
    for one, row in enumerate(state.checkpoints):
        for other in range(one):
            yield state.edit("checkpoints", one, note=state.checkpoints[other][1])
        yield state.edit("checkpoints", one, size=row[0] + 1)
    if not state.has_several_keys:  # of two signatures one may be spoilt, and the other still holds
        yield from _bytes_of("checkpoints", "note")(state, insider)


def cosignatures(state: Tables, insider: Insider) -> Iterator[Tables]:
    """Each byte of each line; one at another's size; of another witness."""
    for one, row in enumerate(state.cosignatures):
        for other in range(one):
            yield state.edit("cosignatures", one, line=state.cosignatures[other][2])
        yield state.edit("cosignatures", one, size=row[0] + 1)
        yield state.edit("cosignatures", one, witness=str(Signer.make(WITNESS.name, WITNESS.algorithm).verifier))
    yield from _bytes_of("cosignatures", "line")(state, insider)


def retold_without_key(state: Tables, insider: Insider) -> Iterator[Tables]:
    """Another history, all of it hashed anew and signed by a key of the insider's."""
    for texts in _other_histories(state, insider):
        yield state.retold(texts, [Signer.make(state.tree[0][0], SIGNED)])


def retold_with_a_key_of_its_own(state: Tables, insider: Insider) -> Iterator[Tables]:
    """The same, where also the entries and rows that name the ledger's keys name the insider's."""
    names = [str(row[0]) for row in state.keys]
    for texts in _other_histories(state, insider):
        keys = {name: Signer.make(state.tree[0][0], SIGNED) for name in dict.fromkeys(names)}
        own = [_renamed(text, keys) for text in texts]
        told = state.retold(own, list(keys.values()))
        yield told.put("keys", [(str(keys[row[0]].verifier), row[1]) for row in state.keys])


def retold_with_the_key(state: Tables, insider: Insider) -> Iterator[Tables]:
    """Another history, hashed and signed anew with the ledger's own keys; what the witness co-signed is taken out."""
    for texts in _other_histories(state, insider):
        yield state.retold(texts, insider.signers)


def set_back(state: Tables, insider: Insider) -> Iterator[Tables]:
    """Every table as it was at an older checkpoint, as a backup of then would have it."""
    while True:
        for size in _signed_sizes(state)[:-1]:
            grown = insider.chance.randrange(size, _next_signed(state, size))
            back = state.retold(state.texts[:size], insider.signers)
            yield back if grown == size else _headed(back.put("entries", state.entries[:grown]))


def unsigned_end_retold(state: Tables, insider: Insider) -> Iterator[Tables]:
    """Entries that nobody has signed yet are changed or cut off, and the head with them."""
    signed = state.signed
    while True:
        rows = list(state.entries)
        at = insider.chance.randrange(signed, len(rows))
        if insider.chance.random() < 0.5:
            text = rows[at][1].replace('"actor":"', '"actor":"not-', 1)
            rows[at] = (rows[at][0], text, leaf_hash(text.encode()), text)
        else:
            del rows[at:]
        yield _headed(state.put("entries", rows))


def no_evidence(state: Tables, insider: Insider) -> Iterator[Tables]:
    """What proves nothing that something else does not: an older checkpoint, a cosignature, when they were stored."""
    while True:
        size = insider.chance.choice(_signed_sizes(state)[:-1])
        fewer = state.put("cosignatures", [row for row in state.cosignatures if row[0] != size])
        yield fewer
        yield fewer.put("checkpoints", [row for row in state.checkpoints if row[0] != size])
        at = insider.chance.choice(state.checkpoints)[2]
        yield state.edit("checkpoints", insider.chance.randrange(len(state.checkpoints) - 1), at=at.replace(year=2020))
        yield state.edit("tree", 0, at=at.replace(year=2020))
        yield state.edit("head", 0, epoch=insider.chance.randrange(1, 2**31))
        yield state.edit("head", 0, at=at.replace(year=insider.chance.randrange(1990, 2090)))


def _bytes_of(table: str, column: str) -> Made:
    """Each byte of a column of every row, in any order."""
    at = COLUMNS[f"audit_{table}"].index(column)

    def made(state: Tables, insider: Insider) -> Iterator[Tables]:
        rows = state.rows(table)
        places = [(row, place) for row in range(len(rows)) for place in range(len(_bytes(rows[row][at])))]
        for row, place in insider.chance.sample(places, len(places)):
            value = rows[row][at]
            changed = _flipped(_bytes(value), place)
            yield state.edit(
                table, row, **{column: changed.decode(errors="replace") if value is str(value) else changed}
            )

    return made


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _flipped(text: bytes, place: int) -> bytes:
    return text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _documents(state: Tables, insider: Insider) -> Iterator[tuple[int, dict[str, Any]]]:
    """Entries with one field, outer or inner, of another value or type, taken out, or put in."""
    while True:
        at = insider.chance.randrange(len(state.entries))
        known = json.loads(state.entries[at][1])
        for name in [*known, *known.get("details", ())]:
            for other in (*_others(known.get(name, known["details"].get(name))), GONE):
                document = json.loads(state.entries[at][1])
                place = document if name in document else document["details"]
                place[name] = other
                if other is GONE:
                    del place[name]
                yield at, document
        yield at, known | {"more": None}
        yield at, known | {"details": known["details"] | {"more": []}}


GONE = object()


def _others(value: Any) -> Iterator[Any]:
    """Other values, and the same ones of other types."""
    if isinstance(value, bool):
        yield from (not value, int(value), str(value).lower(), [value])
    elif isinstance(value, int):
        yield from (value + 1, float(value), str(value), bool(value), [value])
    elif isinstance(value, str):
        yield from (value + " ", f"x{value}", [value], {value: value}, None)
    elif isinstance(value, list):
        yield from ([*value, "x"], [*value, *value], [value], ",".join(map(str, value)), None)
    elif isinstance(value, dict):
        yield from ({**value, "x": 1}, [value], _text(value), None)
    else:
        yield from (False, 0, "", "null", [])


def _numbered(rows: list[Row]) -> list[Row]:
    return [(seq, *row[1:]) for seq, row in enumerate(rows, 1)]


def _headed(state: Tables) -> Tables:
    """With the head that these entries have."""
    tree = Frontier().extended(row[2] for row in state.entries)
    return state.put("head", [(tree.size, tree.packed(), *state.head[0][2:])])


def _signed_sizes(state: Tables) -> list[int]:
    return sorted(row[0] for row in state.checkpoints)


def _next_signed(state: Tables, size: int) -> int:
    return min(other for other in _signed_sizes(state) if other > size)


def _forged(state: Tables, insider: Insider) -> str:
    """What an entry says that never was."""
    known = json.loads(insider.chance.choice(state.entries)[1])
    return _text(known | {"actor": f"forged-{insider.chance.randrange(10**6)}"})


def _other_histories(state: Tables, insider: Insider) -> Iterator[list[str]]:
    """Texts that fit together and differ from what was signed: another actor, one entry less, one more, two swapped."""
    known = [json.loads(row[1]) for row in state.entries]
    free = [at for at in range(state.signed) if known[at]["kind"] in UNTIED]
    while True:
        told = [dict(document) for document in known]
        one, two = insider.chance.sample(free, 2)
        how = insider.chance.randrange(4)
        if how == 0:
            told[one]["actor"] = f"not-{told[one]['actor']}"
        elif how == 1:
            del told[one]
        elif how == 2:
            told.insert(one, told[one] | {"actor": "forged"})
        else:
            told[one], told[two] = told[two] | {"at": told[one]["at"]}, told[one] | {"at": told[two]["at"]}
        if told != known:  # two refusals may say the same
            yield [_text(document) for document in told]


UNTIED = ("read.refused", "grant.added", "alert.raised")
"""Kinds of entries that no other entry answers to."""


def _renamed(text: str, keys: dict[str, Signer]) -> str:
    for name, signer in keys.items():
        text = text.replace(name, str(signer.verifier))
    return text


KINDS = (
    Kind("each byte of texts", By.VERIFY, 2000, bytes_of_texts),
    Kind("each byte, hashed anew", By.VERIFY, 1000, bytes_of_texts_hashed_anew),
    Kind("each byte of leaves", By.VERIFY, 320, bytes_of_leaves),
    Kind("fields and types, hashed anew", By.VERIFY, 1500, fields_hashed_anew),
    Kind("fields and types of what is searched", By.VERIFY, 1000, fields_searched),
    Kind("other numbers", By.VERIFY, 200, numbers),
    Kind("swaps", By.VERIFY, 400, swaps),
    Kind("moves", By.VERIFY, 200, moves),
    Kind("inserts", By.VERIFY, 400, inserts),
    Kind("duplicates", By.VERIFY, 400, duplicates),
    Kind("deletes", By.VERIFY, 400, deletes),
    Kind("cuts at the end", By.VERIFY, 400, cuts),
    Kind("bytes and size of the head", By.VERIFY, 200, heads),
    Kind("tiles", By.VERIFY, 400, tiles),
    Kind("stored tree", By.VERIFY, 300, trees),
    Kind("checkpoints", By.VERIFY, 800, notes),
    Kind("cosignatures", By.VERIFY, 400, cosignatures),
    Kind("all hashed anew without the key", By.VERIFY, 200, retold_without_key),
    Kind("all anew with a key of one's own", By.KEY, 200, retold_with_a_key_of_its_own),
    Kind("all anew with the ledger's key", By.WITNESS, 400, retold_with_the_key),
    Kind("set back to an older state", By.WITNESS, 400, set_back),
    Kind("the unsigned end, head made to fit", By.NOBODY, 100, unsigned_end_retold),
    Kind("no evidence of what happened", By.NOBODY, 100, no_evidence),
)
"""The last two are what SECURITY.md does not promise: they count for none of the 10,000."""
