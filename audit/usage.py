"""Who did read a dataset in a time, and who tried: from the entries of reads, put together by person and grant."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from .entries import Kind
from .past import Document, Gaps, Sought, at_of
from .report_values import BUCKETS, ColumnSeen, ColumnTotal, DidRead, Employees, Totals, Tried
from .trail import Line, every, of_reads

ENDS = (Kind.READ_COMPLETED, Kind.READ_INTERRUPTED)
FIRST = datetime.min.replace(tzinfo=UTC)
MOST_ENTRIES = 10
"""A line names its first and its last so many entries: the trail has all."""
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

    begin: Line
    end: Line | None

    @property
    def id(self) -> str:
        """The read's id."""
        return str(self.begin.doc["read"])

    @property
    def rows(self) -> int | None:
        """How many rows it got; None where nobody can say."""
        rows = self.end.doc["details"].get("rows") if self.end else None
        return rows if isinstance(rows, int) else None

    @property
    def limit(self) -> int | None:
        """How many rows it could get at most; None where nothing was set."""
        limit = self.begin.doc["details"].get("limit")
        return limit if isinstance(limit, int) else None

    @property
    def is_accounted(self) -> bool:
        """Whether its end says of how many employees it got rows, exactly or `at_most`; without rows it need not."""
        return self.rows == 0 or (self.end is not None and isinstance(self.end.doc["details"].get("subjects"), int))

    @property
    def is_exact(self) -> bool:
        """Whether that is exact: a crash keeps those whose rows were about to leave."""
        return self.is_accounted and not (self.end is not None and self.end.doc["details"].get("at_most"))

    @property
    def last(self) -> Line:
        """Its last entry."""
        return self.end or self.begin


def own_lines(engine: Engine, sought: Sought) -> list[Line]:
    """Every entry of reads of the dataset within the time, oldest first."""
    return list(every(engine, sought.query(dataset=sought.dataset, kind="read", from_=sought.since)))[::-1]


def reads_of(engine: Engine, sought: Sought, own: Iterable[Line], longest: timedelta) -> list[Read]:
    """Every read that began within the time, or before it and went on into it; oldest first.

    `longest` is how long a stream can run. An end within the time counts as having gone on until then.
    """
    begun: dict[str, Line] = {}
    ended: dict[str, Line] = {}
    early = sought.query(
        dataset=sought.dataset,
        kind=Kind.READ_AUTHORIZED.value,
        from_=_earlier(sought.since, longest),
        to=sought.since,
    )
    for line in (*every(engine, early), *own):
        _sort_in(line, begun, ended)
    missing = [read for read in begun.keys() | ended.keys() if read not in begun or read not in ended]
    for line in of_reads(engine, missing, sought.size + 1):
        _sort_in(line, begun, ended)
    reads = [Read(line, ended.get(read)) for read, line in begun.items()]
    return sorted((read for read in reads if _touches(read, sought.since)), key=lambda read: read.begin.seq)


def did_read(reads: Iterable[Read], sought: Sought, class_of: ClassOf, whose: WhoseOf | None) -> tuple[DidRead, ...]:
    """The reads by who, grant, purpose, columns and filter, those with the most rows first."""
    groups: dict[tuple[Any, ...], list[Read]] = {}
    for read in reads:
        groups.setdefault(_key(read.begin.doc, class_of), []).append(read)
    lines = [_did(key, own, sought, whose) for key, own in groups.items()]
    return tuple(sorted(lines, key=lambda line: (-line.rows, -line.reads, line.who, line.grant)))


def tried(own: Iterable[Line]) -> tuple[Tried, ...]:
    """The refused attempts by who and code, the most frequent first."""
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in own:
        if line.doc["kind"] == Kind.READ_REFUSED:
            groups.setdefault((str(line.doc["actor"]), str(line.doc.get("code"))), []).append(line)
    lines = [_tried(who, code, lines) for (who, code), lines in groups.items()]
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
        which = ", ".join(str(read.begin.seq) for read in open_[:MOST_ENTRIES])
        more = ", and more" if len(open_) > MOST_ENTRIES else ""
        gaps.add(f"{len(open_)} reads run on or were lost, so their rows are unknown (entries {which}{more})")
    unknown = sum(not read.is_accounted for read in reads)
    if unknown:
        gaps.add(f"of {unknown} reads nobody wrote down whose rows they got, so there may be more employees than named")
    broken = sum(read.is_accounted and not read.is_exact for read in reads)
    if broken:
        gaps.add(f"{broken} reads broke off: of those named for them some rows may never have left")


def _earlier(moment: datetime, by: timedelta) -> datetime:
    return moment - by if moment - FIRST > by else FIRST


def _sort_in(line: Line, begun: dict[str, Line], ended: dict[str, Line]) -> None:
    kind, read = line.doc["kind"], line.doc.get("read")
    if isinstance(read, str) and kind == Kind.READ_AUTHORIZED:
        begun[read] = line
    elif isinstance(read, str) and kind in ENDS:
        ended[read] = line


def _touches(read: Read, since: datetime) -> bool:
    return read.end is None or at_of(read.end.doc) >= since


def _key(doc: Document, class_of: ClassOf) -> tuple[Any, ...]:
    details, digest = doc["details"], str(doc.get("digest"))
    columns = tuple(
        ColumnSeen(str(column["name"]), class_of(digest, str(column["name"])), str(column["treatment"]))
        for column in details.get("columns", ())
    )
    return str(doc["actor"]), str(doc.get("grant")), str(doc.get("purpose")), columns, str(details.get("rows", ""))


def _did(key: tuple[Any, ...], reads: Sequence[Read], sought: Sought, whose: WhoseOf | None) -> DidRead:
    who, grant, purpose, columns, rows_filter = key
    unknown = [read for read in reads if read.rows is None]
    return DidRead(
        who=who,
        teams=_teams(read.begin.doc for read in reads),
        grant=grant,
        purpose=purpose,
        columns=columns,
        rows_filter=rows_filter,
        reads=len(reads),
        rows=sum(read.rows or 0 for read in reads),
        without_end=len(unknown),
        at_most=_sum(read.limit for read in unknown),
        interrupted=sum(read.last.doc["kind"] == Kind.READ_INTERRUPTED for read in reads),
        first=at_of(reads[0].begin.doc),
        last=max(at_of(read.last.doc) for read in reads),
        employees=employees(reads, whose),
        parts=tuple(sorted(Counter(_part(at_of(read.begin.doc), sought) for read in reads).items())),
        entries=_some(read.begin.seq for read in reads),
    )


def _tried(who: str, code: str, lines: Sequence[Line]) -> Tried:
    columns = {str(name) for line in lines for name in line.doc["details"].get("columns", ())}
    return Tried(
        who,
        _teams(line.doc for line in lines),
        code,
        len(lines),
        at_of(lines[0].doc),
        at_of(lines[-1].doc),
        tuple(sorted(columns)),
        _some(line.seq for line in lines),
    )


def _teams(docs: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted({str(team) for doc in docs for team in doc.get("teams", ())}))


def _part(moment: datetime, sought: Sought) -> int:
    """Which of the equal parts of the time; what began before it stands in the first."""
    share = (moment - sought.since) / (sought.until - sought.since)
    return min(max(int(share * BUCKETS), 0), BUCKETS - 1)


def _some(seqs: Iterable[int]) -> tuple[int, ...]:
    every_one = tuple(seqs)
    few = len(every_one) <= 2 * MOST_ENTRIES
    return every_one if few else every_one[:MOST_ENTRIES] + every_one[-MOST_ENTRIES:]


def _sum(numbers: Iterable[int | None]) -> int | None:
    """The sum; None where one of them is unknown."""
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total
