"""The page of an exposure report: whole by itself, and nothing that anybody wrote becomes markup."""

import re
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from audit.report_values import (
    Around,
    BundleInForce,
    ColumnSeen,
    ColumnTotal,
    CouldRead,
    Cover,
    DidRead,
    Employees,
    ExposureReport,
    Opened,
    Paused,
    RulesAlone,
    Totals,
    Tried,
)
from remit.cli import report_words
from remit.cli.report_page import page_of
from remit.cli.report_picture import MOST_LINES

SINCE, UNTIL = datetime(2026, 11, 21, 8, tzinfo=UTC), datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
COLUMNS = (ColumnSeen("x", "user.behavior.pointer", "clear"), ColumnSeen("who", None, "pseudonym"))
OPENED = (Opened(("train_ai_system",), COLUMNS, ("pointer",), ('principal.privacy_training == "current"',)),)
EMPLOYEES = Employees(3, True, ("e-1", "e-2"), 1)
REPORT = ExposureReport(
    dataset="pointer_events",
    since=SINCE,
    until=UNTIL,
    made_at=UNTIL,
    made_by="sam",
    alert=None,
    ledger_size=1_000,
    last_entry=990,
    totals=Totals(1, 2, 30, 1, None, 4, (ColumnTotal("x", "user.behavior.pointer", "clear", 2, 30),), EMPLOYEES),
    could=(
        CouldRead(SINCE, SINCE + HOUR, "g-1", "ana", None, True, "x < 5", 100, OPENED),
        CouldRead(SINCE + HOUR, UNTIL, "g-2", None, "research.ml", False, "", None, OPENED),
    ),
    rules_alone=(RulesAlone(SINCE, UNTIL, "*", OPENED),),
    around=(Around(SINCE, 3, "mode 0644", 7),),
    did=(
        DidRead(
            "ana", ("research.ml",), "g-1", "train_ai_system", COLUMNS, "x < 5", 2, 30, 1, None, 0, SINCE, UNTIL,
            EMPLOYEES, ((0, 1), (239, 1)), (8, 9),
        ),
    ),
    tried=(Tried("bob", ("sales",), "no_grant", 4, SINCE, UNTIL, (), (10, 11)),),
    bundles=(BundleInForce(SINCE, UNTIL, "sha256:00", 1, True),),
    pauses=(Paused(SINCE, None, "team", "sales", "an incident", (12,)),),
    incomplete=("one read was lost",),
    limits=("it is what the ledger says",),
    checkpoint=Cover("remit/ledger", 995, "cm9vdA==", "note"),
)  # fmt: skip
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x onerror=alert(1)>',
    "</title></style></svg><iframe src='//evil.example'>",
    "javascript:alert(1)' onload='alert(2)",
    "&lt;b&gt; &#x3c;script&#x3e; <!-- ]]> \x00\x1b[31m",
    "\u202egnp.exe\u2028\ufeff\u0000",
    "url(http://evil.example) @import 'http://evil.example'; }",
)
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "section", "div", "table", "tr", "th", "td",
    "svg", "rect", "circle", "line", "text",
}  # fmt: skip
INERT = {
    "lang", "charset", "http-equiv", "content", "name", "class", "viewbox", "role", "aria-label", "x", "y", "x1", "x2",
    "y1", "y2", "cx", "cy", "r", "rx", "width", "height", "fill", "stroke", "text-anchor",
}  # fmt: skip


class Page(HTMLParser):
    """What a parser makes of a page: its tags, attributes and texts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "line"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def poisoned(value: Any, text: str) -> Any:
    """The same report with `text` wherever a text stands that somebody could have written."""
    if isinstance(value, str):
        return value if value in ("clear", "pseudonym") else text
    if isinstance(value, tuple):
        return tuple(poisoned(each, text) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: poisoned(getattr(value, each.name), text) for each in fields(value)})
    return value


@pytest.mark.parametrize("text", HOSTILE)
def test_what_anybody_wrote_never_becomes_markup(text: str) -> None:
    plain, hostile = Page(page_of(REPORT)), Page(page_of(poisoned(REPORT, text)))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert {tag for tag, _ in hostile.tags} <= ALLOWED
    assert {name for _, attributes in hostile.tags for name in attributes} <= INERT
    assert not hostile.open


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_cannot_be_seen_or_turns_text_around_stands_in_the_page(text: str) -> None:
    page = page_of(poisoned(REPORT, text))
    assert not {char for char in page if not char.isprintable()} - {"\n"}


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    page = Page(page_of(REPORT))
    (policy,) = [own["content"] for _, own in page.tags if own.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    names = {name for _, attributes in page.tags for name in attributes}
    assert not names & {"src", "href", "srcset", "action", "style", "onload", "onerror", "data", "xlink:href"}
    assert not re.search(r"https?:|//[a-z]|url\(|@import", page_of(REPORT))


def test_the_page_says_everything_that_the_terminal_says() -> None:
    texts = "\n".join(Page(page_of(REPORT)).texts)
    for section in report_words.sections(REPORT):
        for said in (*section.says, *section.headings, *(cell for row in section.rows for cell in row)):
            assert said in texts
    assert {section.title for section in report_words.sections(REPORT)} >= {"who did", "who could", "who tried"}


def test_the_picture_has_a_line_for_each_grant_and_person_with_bars_and_marks() -> None:
    page = Page(page_of(REPORT))
    assert len([tag for tag, _ in page.tags if tag == "circle"]) == 2
    bars = [own for tag, own in page.tags if tag == "rect"]
    assert [bar["fill"] for bar in bars] == ["#e3e3e3", "#4c8bd6", "#b9d2f0"]
    assert float(bars[1]["width"] or 0) == pytest.approx(float(bars[2]["width"] or 0) / 3, rel=0.01)


def test_a_picture_of_too_many_lines_says_how_many_are_left_out() -> None:
    many = tuple(replace(REPORT.could[0], grant=f"g-{n}") for n in range(MOST_LINES + 7))
    assert "and 7 more lines" in page_of(replace(REPORT, could=many, did=()))


def test_what_is_incomplete_stands_out_and_what_is_unknown_is_never_a_number() -> None:
    words = {section.title: section for section in report_words.sections(REPORT)}
    assert "INCOMPLETE: one read was lost" in words["how far it can be relied on"].says
    (said,) = words["who did"].says
    assert said == "1 principal made 2 reads and got 30 and an unknown number more rows, of 3 employees"
    assert words["whose data it was"].says == (
        "exactly 3",
        "1 of them are erased: nobody can say any more who they were",
    )
    unknown = replace(REPORT.totals, employees=Employees(0, False, (), 0), at_most=50)
    (said,) = next(report_words.sections(replace(REPORT, totals=unknown))).says
    assert said.endswith("got 30 and at most 50 more rows, of unknown employees")


def test_a_report_of_nothing_says_so() -> None:
    nobody = Totals(0, 0, 0, 0, 0, 0, (), Employees(0, True, (), 0))
    empty = replace(
        REPORT, totals=nobody, could=(), rules_alone=(), around=(), did=(), tried=(), pauses=(), incomplete=(),
        checkpoint=Cover("", 0, "", ""),
    )  # fmt: skip
    texts = "\n".join(Page(page_of(empty)).texts)
    for said in ("nobody read it", "nobody could", "nobody was refused", "nothing is known to be missing", "exactly 0"):
        assert said in texts
    assert "no checkpoint covers entry 990" in texts
