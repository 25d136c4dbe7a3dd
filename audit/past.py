"""What was in force in a time, replayed from the entries alone: bundles, grants, pauses, and who was seen."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Engine

from policy.bundle import Bundle, past_bundle
from policy.errors import MisreadAll
from policy.lives import BundleLife, GrantLife, Past, PauseLife
from policy.scopes import scope_from_json
from policy.values import GrantStatus, Pause

from .entries import Kind
from .gathering import Document, Tokens, at_of
from .trail import Line, Query, every, texts

PAGE = 8_192
STATUS = {
    Kind.GRANT_REVOKED: GrantStatus.REVOKED,
    Kind.GRANT_SUSPENDED: GrantStatus.SUSPENDED,
    Kind.GRANT_RESUMED: GrantStatus.ACTIVE,
}
ADDED = f'"{Kind.GRANT_ADDED}"'.encode()
MOST_SEEN = 20_000
"""Entries that are looked through for those who were seen in one team."""
PAUSES = ("everything", "dataset", "team", "purpose", "principal")


@dataclass(frozen=True, slots=True)
class Sought:
    """A dataset and a time, [since, until), in the first `size` entries of a ledger."""

    dataset: str
    since: datetime
    until: datetime
    size: int

    def query(self, **more: Any) -> Query:
        """A search that sees nothing of what was written since, nor after the time."""
        return replace(Query(to=self.until, before_seq=self.size + 1, limit=PAGE), **more)


@dataclass(slots=True)
class Gaps:
    """What the record does not tell, in words, each once."""

    found: dict[str, None] = field(default_factory=dict)

    def add(self, what: str) -> None:
        """Something that is missing."""
        self.found[what] = None


def replay(engine: Engine, sought: Sought, tokens: Tokens, gaps: Gaps) -> Past:
    """What was in force; `tokens` are those that were shown for the dataset, to which others are added."""
    grants = tuple(_grants(_of_grants(engine, sought), sought.dataset, gaps))
    current = tuple(grant for grant in grants if grant.scope.starts < sought.until and sought.since < grant.scope.ends)
    _see(engine, sought, tokens, current, gaps)
    return Past(
        bundles=tuple(_bundles(engine, sought, gaps)),
        grants=current,
        pauses=tuple(_pauses(every(engine, sought.query(kind="pause")), gaps)),
        seen=tokens.sightings(),
    )


def _bundles(engine: Engine, sought: Sought, gaps: Gaps) -> Iterator[BundleLife]:
    """That in force when the time began, and each that came within it, oldest first; the same again is no other."""
    known: dict[str, Bundle | None] = {}
    lines = since_last_before(engine, sought, Kind.POLICY_ACTIVATED)
    if not lines or at_of(lines[0].doc) > sought.since:
        gaps.add("no bundle was in force when the time began: until the first one nobody could read")
    last = ""
    for line in lines:
        digest = str(line.doc.get("digest"))
        if digest == last:
            continue
        if digest not in known:
            known[digest] = _understood(line, gaps)
        yield BundleLife(at_of(line.doc), digest, line.seq, known[digest])
        last = digest


def _understood(line: Line, gaps: Gaps) -> Bundle | None:
    details = line.doc["details"]
    try:
        bundle = past_bundle(str(details.get("policies")), str(details.get("catalog")))
    except MisreadAll as wrong:
        reason = str(wrong.problems[0])
        gaps.add(f"the bundle of entry {line.seq} is not understood any more, so who it let in is unknown: {reason}")
        return None
    if bundle.digest != line.doc.get("digest"):
        gaps.add(f"the texts of the bundle of entry {line.seq} are not those of its digest")
        return None
    return bundle


def since_last_before(engine: Engine, sought: Sought, kind: Kind, **more: str) -> list[Line]:
    """The entries of a kind within the time and the last before it, oldest first."""
    within = list(every(engine, sought.query(kind=kind.value, from_=sought.since, **more)))
    before = next(every(engine, sought.query(kind=kind.value, to=sought.since, limit=1, **more)), None)
    return [*([before] if before else []), *reversed(within)]


def _of_grants(engine: Engine, sought: Sought) -> Iterator[Line]:
    """Entries of grants, newest first; of those that were added, the ones whose scope may name the dataset."""
    name = sought.dataset.encode()
    for seq, text in texts(engine, sought.query(kind="grant")):
        # A scope names datasets by what `is_name` lets through, which JSON writes as it is.
        if name in text or ADDED not in text:
            yield Line(seq, from_json(text))


def _grants(lines: Iterable[Line], dataset: str, gaps: Gaps) -> Iterator[GrantLife]:
    """The grants that cover the dataset, by id, with all that became of them."""
    changes: dict[str, list[Line]] = {}
    for line in lines:
        changes.setdefault(str(line.doc.get("grant")), []).append(line)
    for id, own in sorted(changes.items()):
        own.reverse()
        added = next((line for line in own if line.doc["kind"] == Kind.GRANT_ADDED), None)
        if added is None or dataset not in _datasets(added.doc):
            continue
        try:
            scope = scope_from_json(added.doc["details"]["scope"])
        except MisreadAll as wrong:
            gaps.add(f"the scope of grant `{id}` (entry {added.seq}) is not understood any more: {wrong.problems[0]}")
            continue
        statuses = tuple((at_of(line.doc), STATUS[line.doc["kind"]]) for line in own if line.doc["kind"] in STATUS)
        yield GrantLife(id, scope, at_of(added.doc), statuses, tuple(line.seq for line in own))


def _datasets(doc: Document) -> Mapping[str, Any]:
    scope = doc["details"].get("scope")
    datasets = scope.get("datasets") if isinstance(scope, Mapping) else None
    return datasets if isinstance(datasets, Mapping) else {}


def _pauses(lines: Iterable[Line], gaps: Gaps) -> Iterator[PauseLife]:
    """Every pause that was ever set, in the order in which they were."""
    lifted: dict[str, Line] = {}
    found: list[PauseLife] = []
    for line in lines:
        details = line.doc["details"]
        id = str(details.get("pause"))
        if line.doc["kind"] == Kind.PAUSE_LIFTED:
            lifted[id] = line
        elif line.doc["kind"] == Kind.PAUSE_SET and details.get("what") in PAUSES:
            pause = Pause(details["what"], str(details.get("target")), str(details.get("reason")))
            end = lifted.get(id)
            seqs = (line.seq, *([end.seq] if end else []))
            found.append(PauseLife(id, pause, at_of(line.doc), at_of(end.doc) if end else None, seqs))
        elif line.doc["kind"] != Kind.PAUSE_LIFT_PROPOSED:  # which alone lifts nothing
            gaps.add(f"the pause of entry {line.seq} is not understood: it may have closed more than is said here")
    return reversed(found)


def _see(engine: Engine, sought: Sought, tokens: Tokens, grants: Iterable[GrantLife], gaps: Gaps) -> None:
    """Look for whoever a grant may be for, beside those who asked for the dataset."""
    for team in sorted({grant.scope.team for grant in grants if grant.scope.team is not None}):
        for line in _of_team(engine, sought, team, gaps):
            tokens.take(line)
    here = tokens.names
    for name in sorted(here | {grant.scope.principal for grant in grants if grant.scope.principal is not None}):
        for moment in (sought.since,) if name in here else (sought.since, sought.until):
            found = _last_token(engine, sought.query(actor=name, kind="read", to=moment))
            if found is not None:
                tokens.take(found)


def _of_team(engine: Engine, sought: Sought, team: str, gaps: Gaps) -> Iterator[Line]:
    for n, line in enumerate(every(engine, sought.query(team=team, kind="read", from_=sought.since))):
        if n == MOST_SEEN:
            at = line.doc["at"]
            gaps.add(f"members of `{team}` who asked for other datasets are known by name only since {at}")
            return
        yield line


def _last_token(engine: Engine, query: Query) -> Line | None:
    """The last entry that says what a token said; of the newest few, for a body that was not understood says it too."""
    return next((line for line in every(engine, replace(query, limit=4)) if "principal" in line.doc["details"]), None)
