"""The picture of an exposure report: a line for each grant and person, when it was open, and marks where they read."""

import html
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from policy.amounts import amount

from .report_words import moment, who_of
from .terminal import visible

if TYPE_CHECKING:
    from audit.report_values import ExposureReport

WIDTH, NAMES, LINE, TOP, RIGHT = 1200, 300, 26, 34, 20
MOST_LINES = 100
"""Lines that the picture has; the tables have all."""
LONGEST_NAME = 42
TICKS = 6
Key = tuple[bool, str, str]
"""Whether it is anybody of a team, else who; under which grant."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: who and under which grant, when that was open, and in which parts of the time they read."""

    label: str
    open: tuple[tuple[datetime, datetime, bool], ...]
    parts: tuple[tuple[int, int], ...]


def picture(report: "ExposureReport") -> str:
    """Inline SVG: bars are when somebody could read, pale without a token seen; dots when they did; grey is paused."""
    rows = list(_rows(report))
    drawn = rows[:MOST_LINES]
    height = TOP + LINE * max(len(drawn), 1) + 30
    label = f"{len(rows)} lines of who could read and who did"
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{_text(label)}">']
    parts += _pauses(report, height)
    parts += _ticks(report, height)
    for n, row in enumerate(drawn):
        parts += _line(report, row, TOP + LINE * n)
    if not drawn:
        parts.append(f'<text x="{NAMES}" y="{TOP + 16}">nobody could read, and nobody did</text>')
    if len(rows) > MOST_LINES:
        more = amount(len(rows) - MOST_LINES, "more line")
        parts.append(f'<text x="0" y="{height - 6}">and {more}, in the tables below</text>')
    return "\n".join([*parts, "</svg>"])


def _rows(report: "ExposureReport") -> Iterator[Row]:
    """Those who read, then those who could have."""
    open_: dict[Key, list[tuple[datetime, datetime, bool]]] = {}
    labels: dict[Key, str] = {}
    for could in report.could:
        key = (could.who is None, could.who or "", could.grant)
        labels[key] = who_of(could)
        open_.setdefault(key, []).append((could.since, could.until, could.is_seen))
    read: dict[Key, dict[int, int]] = {}
    for did in report.did:
        key = (False, did.who, did.grant)
        parts = read.setdefault(key, {})
        labels.setdefault(key, did.who)
        for part, reads in did.parts:
            parts[part] = parts.get(part, 0) + reads
    for key in sorted(labels, key=lambda each: (each not in read, each)):
        yield Row(labels[key], tuple(open_.get(key, ())), tuple(sorted(read.get(key, {}).items())))


def _line(report: "ExposureReport", row: Row, y: int) -> Iterator[str]:
    name = row.label if len(row.label) <= LONGEST_NAME else row.label[: LONGEST_NAME - 1] + "…"
    yield f'<text x="0" y="{y + 16}">{_text(name)}<title>{_text(row.label)}</title></text>'
    for since, until, is_seen in row.open:
        x, end = _x(report, since), _x(report, until)
        colour = "#4c8bd6" if is_seen else "#b9d2f0"
        title = f"could read from {moment(since)} until {moment(until)}"
        bar = f'<rect x="{x:.1f}" y="{y + 5}" width="{max(end - x, 1):.1f}" height="14" rx="2" fill="{colour}">'
        yield f"{bar}<title>{_text(title)}</title></rect>"
    for part, reads in row.parts:
        x = _x(report, report.since + (report.until - report.since) * _share(part))
        mark = f'<circle cx="{x:.1f}" cy="{y + 12}" r="{min(3 + reads.bit_length() / 2, 8):.1f}" fill="#b3261e">'
        yield f"{mark}<title>{_text(amount(reads, 'read') + ' began about here')}</title></circle>"


def _pauses(report: "ExposureReport", height: int) -> Iterator[str]:
    for pause in report.pauses:
        x, end = _x(report, pause.since), _x(report, pause.until or report.until)
        title = f"paused for {pause.what} {pause.target}: {pause.reason}"
        band = f'<rect x="{x:.1f}" y="{TOP}" width="{max(end - x, 1):.1f}" height="{height - TOP - 30}" fill="#e3e3e3">'
        yield f"{band}<title>{_text(title)}</title></rect>"


def _ticks(report: "ExposureReport", height: int) -> Iterator[str]:
    span: timedelta = report.until - report.since
    for n in range(TICKS):
        at = report.since + span * n / (TICKS - 1)
        x, anchor = _x(report, at), "end" if n == TICKS - 1 else "start" if n == 0 else "middle"
        yield f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{height - 30}" stroke="#ccc"/>'
        yield f'<text x="{x:.1f}" y="{TOP - 14}" text-anchor="{anchor}">{_text(moment(at))}</text>'


def _x(report: "ExposureReport", at: datetime) -> float:
    share = (at - report.since) / (report.until - report.since)
    return NAMES + (WIDTH - NAMES - RIGHT) * min(max(share, 0), 1)


def _share(part: int) -> float:
    from audit.report_values import BUCKETS

    return (part + 0.5) / BUCKETS


def _text(value: object) -> str:
    return html.escape(visible(value), quote=True)
