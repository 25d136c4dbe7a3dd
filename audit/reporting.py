"""Put an exposure report together. It follows from the first entries of the ledger, and from whose rows reads got."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Engine

from policy.lives import BundleLife, Past
from policy.reach import Reach
from policy.timeline import Could, by_rules_alone, who_could

from .cosignatures import Quorum
from .entries import Kind
from .errors import AuditError
from .gathering import at_of
from .notes import Checkpoint, Note, base64
from .past import Gaps, Sought, replay, since_last_before
from .proving import NotCovered, checkpoint
from .report_values import (
    Around,
    BundleInForce,
    ColumnSeen,
    CouldRead,
    Cover,
    ExposureReport,
    Opened,
    Paused,
    RulesAlone,
)
from .usage import WhoseOf, did_read, employees, gather, reads_of, tell_gaps, totals, tried

LIMITS = (
    "It is what the ledger says, found by its index; whether the ledger is what was written says `remit audit verify`.",
    "Whoever reads files or databases around Remit leaves no entry in it.",
    "Who was in a team is known from tokens that were shown; a token counts for an hour after it was last seen.",
    "Whether a budget was used up at a moment is not in the ledger: who could read is told as if none was.",
    "Which types columns had then is not in the ledger: a scope's filter counts as fitting if its columns are there.",
)
"""What no report can tell, however complete the record is."""
UNCOVERED = Cover("", 0, "", "")


class UnknownDataset(AuditError):
    """Neither a bundle of the time nor an entry of a read names this dataset."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants the report, when that was recorded, and for which alert, if for one."""

    by: str
    at: datetime
    alert: int | None = None


@dataclass(frozen=True, slots=True)
class Reporter:
    """Makes reports of one ledger. `longest` is how long a stream can run; `whose` knows whose rows reads got."""

    engine: Engine
    quorum: Quorum
    longest: timedelta
    whose: WhoseOf | None = None

    def report(self, sought: Sought, asked: Asked) -> ExposureReport:
        """Who could read, and who did. Raises `UnknownDataset`; faults are SQLAlchemy's or `NotReadable`."""
        gaps = Gaps()
        gathered = gather(self.engine, sought, self.longest)
        past = replay(self.engine, sought, gathered.tokens, gaps)
        if not gathered.last and not _may_be_named(sought.dataset, past.bundles):
            raise UnknownDataset(f"no bundle and no read of that time names dataset `{sought.dataset}`")
        reads = reads_of(gathered, sought.since)
        tell_gaps(reads, gaps)
        did = did_read(reads, sought, partial(_class_of, past.bundles, sought.dataset), self.whose)
        refused = tried(gathered)
        around = tuple(_around(self.engine, sought, past.bundles))
        last = max((gathered.last, *_entries(past), *((read.end or read.begun).seq for read in reads)))
        return ExposureReport(
            dataset=sought.dataset,
            since=sought.since,
            until=sought.until,
            made_at=asked.at,
            made_by=asked.by,
            alert=asked.alert,
            ledger_size=sought.size,
            last_entry=last,
            totals=totals(did, refused, employees(reads, self.whose)),
            could=_could(past, sought),
            rules_alone=_rules_alone(past, sought),
            around=around,
            did=did,
            tried=refused,
            bundles=_bundles(past, sought),
            pauses=_pauses(past, sought),
            incomplete=tuple(gaps.found),
            limits=LIMITS,
            checkpoint=self._cover(last),
        )

    def _cover(self, last: int) -> Cover:
        """The newest checkpoint that counts, if it covers entry `last`."""
        try:
            note = checkpoint(self.engine, self.quorum)
        except NotCovered:
            return UNCOVERED
        found = Checkpoint.parse(Note.parse(note.encode()).text)
        return Cover(found.origin, found.size, base64(found.root), note) if found.size >= last else UNCOVERED


def _may_be_named(dataset: str, bundles: Sequence[BundleLife]) -> bool:
    """Whether a bundle names it; of one that is not understood nobody can say that it does not."""
    return any(life.bundle is None or dataset in life.bundle.catalog.datasets for life in bundles)


def _class_of(bundles: Sequence[BundleLife], dataset: str, digest: str, column: str) -> str | None:
    bundle = next((life.bundle for life in bundles if life.digest == digest), None)
    described = bundle.catalog.datasets.get(dataset) if bundle else None
    found = described.columns.get(column) if described else None
    return found.data_class if found else None


def _could(past: Past, sought: Sought) -> tuple[CouldRead, ...]:
    grants = {grant.id: grant.scope for grant in past.grants}

    def told(could: Could) -> CouldRead:
        scope = grants[could.grant]
        of_dataset = scope.of(sought.dataset)
        return CouldRead(
            could.since,
            could.until,
            could.grant,
            could.who,
            scope.team,
            could.is_seen,
            of_dataset.rows if of_dataset else "",
            scope.max_rows,
            _opened(could.reach),
        )

    found = who_could(past, sought.dataset, sought.since, sought.until)
    return tuple(sorted(map(told, found), key=lambda one: (one.since, one.grant, one.who or "")))


def _rules_alone(past: Past, sought: Sought) -> tuple[RulesAlone, ...]:
    found = by_rules_alone(past, sought.dataset, sought.since, sought.until)
    return tuple(RulesAlone(one.since, one.until, one.team, _opened(one.reach)) for one in found)


def _opened(reach: Reach) -> tuple[Opened, ...]:
    return tuple(
        Opened(
            opening.purposes,
            tuple(ColumnSeen(one.name, one.data_class, str(one.treatment)) for one in opening.columns),
            opening.rules,
            opening.conditions,
        )
        for opening in reach
    )


def _around(engine: Engine, sought: Sought, bundles: Sequence[BundleLife]) -> Iterator[Around]:
    """Files that lay open, as each start and reload within the time found them, and the last before it."""
    for line in since_last_before(engine, sought, Kind.STORE_EXPOSED, dataset=sought.dataset):
        if bundles and line.seq < bundles[0].entry:
            continue  # the start that came after it found nothing any more
        details = line.doc["details"]
        yield Around(at_of(line.doc), int(details.get("files", 0)), str(details.get("why", "")), line.seq)


def _bundles(past: Past, sought: Sought) -> tuple[BundleInForce, ...]:
    ends = [life.since for life in past.bundles[1:]] + [sought.until]
    return tuple(
        BundleInForce(max(life.since, sought.since), end, life.digest, life.entry, life.bundle is not None)
        for life, end in zip(past.bundles, ends, strict=True)
    )


def _pauses(past: Past, sought: Sought) -> tuple[Paused, ...]:
    return tuple(
        Paused(one.since, one.until, one.pause.kind, one.pause.target, one.pause.reason, one.entries)
        for one in past.pauses
        if one.since < sought.until and (one.until is None or one.until > sought.since)
    )


def _entries(past: Past) -> Iterator[int]:
    """Every entry that what was in force rests on."""
    yield from (life.entry for life in past.bundles)
    yield from (seq for grant in past.grants for seq in grant.entries)
    yield from (seq for pause in past.pauses for seq in pause.entries)
