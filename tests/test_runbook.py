"""What the documents say is there: a heading for each line of the severity table, and every test that is named."""

import re
from pathlib import Path

import pytest

from audit.severities import SEVERAL_EXCESSES, TABLE

ROOT = Path(__file__).parents[1]
RUNBOOK = (ROOT / "docs" / "sev-runbook.md").read_text()
LINES = {line.name: line for line in (*TABLE, SEVERAL_EXCESSES)}
PARTS = ("**It means**", "**Look at**", "**Do now**", "**Close it**")


def section(name: str) -> str:
    """What stands under the heading of this line, up to the next heading."""
    return RUNBOOK.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", LINES)
def test_every_line_of_the_severity_table_has_its_heading_in_the_runbook(name: str) -> None:
    assert f"\n## `{name}`\n" in RUNBOOK


@pytest.mark.parametrize("name", LINES)
def test_each_heading_says_its_sev_what_it_means_what_to_look_at_what_to_do_and_how_to_close_it(name: str) -> None:
    text = section(name)
    assert text.lstrip().startswith(str(LINES[name].severity))
    places = [text.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)


def test_the_runbook_has_no_heading_of_a_line_that_is_gone() -> None:
    assert set(re.findall(r"^## `(\w+)`$", RUNBOOK, re.MULTILINE)) == set(LINES)


def test_every_test_that_the_threat_table_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "SECURITY.md").read_text()))
    written = {
        name
        for file in (ROOT / "tests").glob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", file.read_text())
    }
    assert named
    assert not named - written
