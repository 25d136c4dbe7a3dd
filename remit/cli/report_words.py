"""An exposure report in words: its sections, each with what it says and a table, for the terminal and for the page."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from policy.amounts import amount

if TYPE_CHECKING:
    from audit.report_values import ColumnSeen, CouldRead, Employees, ExposureReport, Opened, Totals

REVEALING = ("clear", "coarse", "pseudonym", "hidden")
"""From the most revealing treatment down."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report: sentences, and a table that may be empty."""

    title: str
    says: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


SHORT = ("who did", "whose data it was", "who tried", "how far it can be relied on")
"""What a person is told who has the whole in a page."""
UNVERIFIED = "not verified here: `remit audit verify` recomputes the ledger, and --key says whether a key signed it"


def sections(report: "ExposureReport", verified: str = UNVERIFIED) -> Iterator[Section]:
    """Everything that a report says, what matters most first; `verified` is what is known of its checkpoint."""
    yield _did(report)
    yield _columns(report)
    yield _employees(report)
    yield _could(report)
    yield _rules_alone(report)
    if report.around:
        yield _around(report)
    yield _tried(report)
    if report.pauses:
        yield _pauses(report)
    yield _bundles(report)
    yield _record(report, verified)


def time_of(report: "ExposureReport") -> str:
    """From when until when, in words."""
    of = f", for alert {report.alert}" if report.alert is not None else ""
    return f"from {moment(report.since)} until {moment(report.until)}, the end not included{of}"


def moment(at: datetime | None) -> str:
    """A time in UTC, to the second."""
    return "" if at is None else at.strftime("%Y-%m-%d %H:%M:%SZ")


def columns_in(columns: "Iterable[ColumnSeen]") -> str:
    """`clear: x, y; pseudonym: who`: the most revealing first."""
    by_treatment = {
        treatment: [column.name for column in columns if column.treatment == treatment] for treatment in REVEALING
    }
    return "; ".join(f"{treatment}: {', '.join(names)}" for treatment, names in by_treatment.items() if names)


def counted(employees: "Employees") -> str:
    """How many employees, and whether that is exact."""
    if employees.is_complete:
        return f"{employees.count:,}"
    return f"{employees.count:,} known, not exactly" if employees.count else "unknown"


def who_of(could: "CouldRead") -> str:
    """Whom a line of who could is about."""
    if could.who is None:
        return f"anybody else in {could.team}"
    return could.who if could.team is None else f"{could.who} (in {could.team})"


def _did(report: "ExposureReport") -> Section:
    rows = tuple(
        (
            line.who,
            ", ".join(line.teams),
            line.grant,
            columns_in(line.columns),
            line.rows_filter or "every row",
            _rows(line.rows, line.without_end, line.at_most),
            f"{line.reads:,}",
            counted(line.employees),
            moment(line.first),
            moment(line.last),
            _numbers(line.entries),
        )
        for line in report.did
    )
    headings = ("who", "teams", "grant", "columns", "filter", "rows", "reads", "employees", "first", "last", "entries")
    return Section("who did", (_went_out(report.totals),), headings, rows)


def _went_out(totals: "Totals") -> str:
    if not totals.reads:
        return "nobody read it"
    is_one = totals.rows == 1 and not totals.without_end
    rows = f"{_rows(totals.rows, totals.without_end, totals.at_most)} {'row' if is_one else 'rows'}"
    people, reads = amount(totals.people, "principal"), amount(totals.reads, "read")
    employees = "employee" if totals.employees.is_complete and totals.employees.count == 1 else "employees"
    return f"{people} made {reads} and got {rows}, of {counted(totals.employees)} {employees}"


def _rows(rows: int, without_end: int, at_most: int | None) -> str:
    if not without_end:
        return f"{rows:,}"
    more = "an unknown number more" if at_most is None else f"at most {at_most:,} more"
    return f"{rows:,} and {more}"


def _columns(report: "ExposureReport") -> Section:
    rows = tuple(
        (each.name, each.data_class or "unknown", each.treatment, f"{each.reads:,}", f"{each.rows:,}")
        for each in report.totals.columns
    )
    return Section("what went out", (), ("column", "data class", "treatment", "reads", "rows"), rows)


def _employees(report: "ExposureReport") -> Section:
    of = report.totals.employees
    says = [f"exactly {of.count:,}" if of.is_complete else f"how many: {counted(of)}"]
    if of.erased:
        says.append(f"{of.erased:,} of them are erased: nobody can say any more who they were")
    return Section("whose data it was", tuple(says), ("employee",), tuple((name,) for name in of.people))


def _could(report: "ExposureReport") -> Section:
    rows = tuple(
        (
            moment(one.since),
            moment(one.until),
            who_of(one),
            one.grant,
            columns_in(opening.columns),
            ", ".join(opening.purposes),
            one.rows or "every row",
            _known(one, opening),
        )
        for one in report.could
        for opening in one.openings
    )
    says = () if rows else ("nobody could: no grant in force opened a column",)
    return Section("who could", says, ("from", "until", "who", "grant", "columns", "for", "filter", "known by"), rows)


def _known(could: "CouldRead", opening: "Opened") -> str:
    if could.is_seen:
        return "tokens that were shown"
    ask = f"; the rules ask {', '.join(opening.conditions)}" if opening.conditions else ""
    return f"no token was seen: at most{ask}"


def _rules_alone(report: "ExposureReport") -> Section:
    rows = tuple(
        (
            moment(one.since),
            moment(one.until),
            "any team" if one.team == "*" else one.team,
            columns_in(opening.columns),
            ", ".join(opening.purposes),
            ", ".join(opening.conditions) or "nothing",
        )
        for one in report.rules_alone
        for opening in one.openings
    )
    says = ("the rules and the audience let them in; they would only have needed a grant",) if rows else ("no team",)
    return Section(
        "who would only have needed a grant", says, ("from", "until", "team", "columns", "for", "rules ask"), rows
    )


def _around(report: "ExposureReport") -> Section:
    rows = tuple((moment(one.since), f"{one.files:,}", one.why, str(one.entry)) for one in report.around)
    says = ("files lay open to other users of the machine: who read them there is in no ledger",)
    return Section("around Remit", says, ("found", "files", "why", "entry"), rows)


def _tried(report: "ExposureReport") -> Section:
    rows = tuple(
        (
            one.who,
            ", ".join(one.teams),
            one.code,
            f"{one.times:,}",
            ", ".join(one.columns),
            moment(one.first),
            moment(one.last),
            _numbers(one.entries),
        )
        for one in report.tried
    )
    says = (
        (f"{amount(report.totals.refused, 'attempt was', 'attempts were')} refused and got nothing",)
        if rows
        else ("nobody was refused",)
    )
    return Section("who tried", says, ("who", "teams", "code", "times", "columns", "first", "last", "entries"), rows)


def _pauses(report: "ExposureReport") -> Section:
    rows = tuple(
        (moment(one.since), moment(one.until) or "not lifted", one.what, one.target, one.reason)
        for one in report.pauses
    )
    return Section("when reading was paused", (), ("from", "until", "what", "which", "why"), rows)


def _bundles(report: "ExposureReport") -> Section:
    rows = tuple(
        (moment(one.since), moment(one.until), one.digest, str(one.entry), "yes" if one.is_understood else "NO")
        for one in report.bundles
    )
    return Section("which rules were in force", (), ("from", "until", "bundle", "entry", "understood"), rows)


def _record(report: "ExposureReport", verified: str) -> Section:
    said = report.incomplete or ("nothing is known to be missing",)
    return Section(
        "how far it can be relied on",
        (
            *(f"INCOMPLETE: {what}" if report.incomplete else what for what in said),
            *report.limits,
            _covered(report, verified),
            f"made {moment(report.made_at)} for {report.made_by}, from the first {amount(report.ledger_size, 'entry')}",
        ),
    )


def _covered(report: "ExposureReport", verified: str) -> str:
    cover = report.checkpoint
    if not cover.size:
        return f"no checkpoint covers entry {report.last_entry:,}, the last that was used, yet: ask again in a second"
    checkpoint = f"the checkpoint of {amount(cover.size, 'entry')} of `{cover.origin}`"
    return f"covered by {checkpoint}, root {cover.root}; {verified}"


def _numbers(entries: Sequence[int]) -> str:
    return ", ".join(map(str, entries))
