"""Who did read a dataset in a time, and who tried: put together by person, grant and what they got."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from policy.amounts import amount

from .entries import Kind
from .gathering import MOST_ENTRIES, Begun, Ended, Gathered, Given, some
from .past import Gaps, Sought
from .report_values import BUCKETS, ColumnSeen, ColumnTotal, DidRead, Employees, Totals, Tried
from .trail import every, of_reads, texts

FIRST = datetime.min.replace(tzinfo=UTC)
ClassOf = Callable[[str, str], str | None]
"""The data class of a column under the bundle of a digest."""


@dataclass(frozen=True, slots=True)
class Known:
    """Whose rows reads contained together: how many people, and the names of those that were not erased since."""

    count: int
    people: tuple[str, ...]


WhoseOf = Callable[[Sequence[str]], Known]
"""Whose rows the reads with these ids contained; asked only for reads whose end says `subjects`, how many they were."""


@dataclass(frozen=True, slots=True)
class Read:
    """An authorised read, and its end where it has one."""

    id: str
    begun: Begun
    end: Ended | None

    @property
    def rows(self) -> int | None:
        """How many rows it got; None where nobody can say."""
        return self.end.rows if self.end else None

    @property
    def is_accounted(self) -> bool:
        """Whether its end says of how many employees it got rows, exactly or `at_most`; without rows it need not."""
        return self.rows == 0 or (self.end is not None and self.end.subjects is not None)

    @property
    def is_exact(self) -> bool:
        """Whether it says exactly of how many."""
        return self.is_accounted and self.end is not None and self.end.is_exact


def gather(engine: Engine, sought: Sought, longest: timedelta) -> Gathered:
    """The dataset's entries of reads within the time, and those that began before it and may have gone on into it.

    `longest` is how long a stream can run.
    """
    gathered = Gathered()
    for seq, text in texts(engine, sought.query(dataset=sought.dataset, kind="read", from_=sought.since)):
        gathered.take_text(seq, text)
    before = {"from_": _earlier(sought.since, longest), "to": sought.since}
    early = sought.query(dataset=sought.dataset, kind=Kind.READ_AUTHORIZED.value, **before)
    for line in every(engine, early):
        gathered.take_read(line)
    begun, ended = gathered.begun.keys(), gathered.ended.keys()
    for line in of_reads(engine, list(begun ^ ended), sought.size + 1):
        gathered.take_read(line)
    return gathered


def reads_of(gathered: Gathered, since: datetime) -> list[Read]:
    """Every read that began within the time or went on into it, oldest first; an end counts as gone on until then."""
    reads = (Read(id, begun, gathered.ended.get(id)) for id, begun in gathered.begun.items())
    touching = (read for read in reads if read.end is None or read.end.at >= since)
    return sorted(touching, key=lambda read: read.begun.seq)


def did_read(reads: Iterable[Read], sought: Sought, class_of: ClassOf, whose: WhoseOf | None) -> tuple[DidRead, ...]:
    """The reads by who, grant, purpose, columns and filter, those with the most rows first."""
    groups: dict[Given, list[Read]] = {}
    for read in reads:
        groups.setdefault(read.begun.given, []).append(read)
    lines = [_did(given, own, sought, class_of, whose) for given, own in groups.items()]
    return tuple(sorted(lines, key=lambda line: (-line.rows, -line.reads, line.who, line.grant)))


def tried(gathered: Gathered) -> tuple[Tried, ...]:
    """The refused attempts by who and code, the most frequent first."""
    lines = [
        Tried(
            who,
            tuple(sorted(kept.teams)),
            code,
            len(kept.seqs),
            min(kept.times),
            max(kept.times),
            tuple(sorted(kept.columns)),
            some(kept.seqs),
        )
        for (who, code), kept in gathered.refused.items()
    ]
    return tuple(sorted(lines, key=lambda line: (-line.times, line.who, line.code)))


def totals(did: Sequence[DidRead], refused: Sequence[Tried], of: Employees) -> Totals:
    """What went out in all."""
    columns: dict[ColumnSeen, list[int]] = {}
    for line in did:
        for column in line.columns:
            reads_and_rows = columns.setdefault(column, [0, 0])
            reads_and_rows[0] += line.reads
            reads_and_rows[1] += line.rows
    return Totals(
        people=len({line.who for line in did}),
        reads=sum(line.reads for line in did),
        rows=sum(line.rows for line in did),
        without_end=sum(line.without_end for line in did),
        at_most=_sum(line.at_most for line in did if line.without_end),
        refused=sum(line.times for line in refused),
        columns=tuple(
            ColumnTotal(column.name, column.data_class, column.treatment, reads, rows)
            for column, (reads, rows) in sorted(columns.items(), key=lambda each: (each[0].name, each[0].treatment))
        ),
        employees=of,
    )


def employees(reads: Sequence[Read], whose: WhoseOf | None) -> Employees:
    """Whose rows went out: exact where that is known exactly of each of the reads."""
    accounted = [read.id for read in reads if read.is_accounted and read.rows != 0]
    known = whose(accounted) if accounted and whose is not None else Known(0, ())
    is_complete = all(read.is_exact for read in reads)
    return Employees(known.count, is_complete, known.people, known.count - len(known.people))


def tell_gaps(reads: Sequence[Read], gaps: Gaps) -> None:
    """Say which reads nobody knows the end of."""
    open_ = [read for read in reads if read.rows is None]
    if open_:
        which = ", ".join(str(read.begun.seq) for read in open_[:MOST_ENTRIES])
        more = ", and more" if len(open_) > MOST_ENTRIES else ""
        run_on = amount(len(open_), "read runs on or was lost", "reads run on or were lost")
        entries = "entry" if len(open_) == 1 else "entries"
        gaps.add(f"{run_on}, with rows that are unknown ({entries} {which}{more})")
    unknown = sum(not read.is_accounted for read in reads)
    if unknown:
        of = f"of {amount(unknown, 'read')} nobody wrote down whose rows went out"
        gaps.add(f"{of}, so there may be more employees than named")
    broken = sum(read.is_accounted and not read.is_exact for read in reads)
    if broken:
        gaps.add(f"{amount(broken, 'read')} broke off: of whom is named for it some rows may never have left")


def _earlier(moment: datetime, by: timedelta) -> datetime:
    return moment - by if moment - FIRST > by else FIRST


def _did(given: Given, reads: Sequence[Read], sought: Sought, class_of: ClassOf, whose: WhoseOf | None) -> DidRead:
    unknown = [read for read in reads if read.rows is None]
    return DidRead(
        who=given.who,
        teams=tuple(sorted({team for read in reads for team in read.begun.teams})),
        grant=given.grant,
        purpose=given.purpose,
        columns=tuple(ColumnSeen(name, class_of(given.digest, name), treatment) for name, treatment in given.columns),
        rows_filter=given.rows_filter,
        reads=len(reads),
        rows=sum(read.rows or 0 for read in reads),
        without_end=len(unknown),
        at_most=_sum(read.begun.limit for read in unknown),
        interrupted=sum(read.end is not None and read.end.is_interrupted for read in reads),
        first=reads[0].begun.at,
        last=max(read.end.at if read.end else read.begun.at for read in reads),
        employees=employees(reads, whose),
        parts=tuple(sorted(Counter(_part(read.begun.at, sought) for read in reads).items())),
        entries=some(read.begun.seq for read in reads),
    )


def _part(moment: datetime, sought: Sought) -> int:
    """Which of the equal parts of the time; what began before it stands in the first."""
    share = (moment - sought.since) / (sought.until - sought.since)
    return min(max(int(share * BUCKETS), 0), BUCKETS - 1)


def _sum(numbers: Iterable[int | None]) -> int | None:
    """The sum; None where one of them is unknown."""
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total
