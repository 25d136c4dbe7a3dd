"""The benchmarks run, every line of them; what they measure in a tiny run means nothing, so no number is looked at."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import growth
from benchmarks.__main__ import LINES as STEPS
from benchmarks.__main__ import is_asked
from benchmarks.failed import Failed
from benchmarks.growth import Curve
from benchmarks.picture import draw
from benchmarks.report import rewrite_growth, write

ROOT = Path(__file__).parents[1]
BEGINNINGS = [line for lines in STEPS.values() for line in lines]
FACTS = {"measured": "2026-11-21 08:00 UTC", "load before": "0.1", "load after": "0.2"}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_how_cost_grows_can_be_measured_kept_and_drawn(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--growth", "--tiny", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads((tmp_path / "growth.json").read_text())
    assert {curve["over"] for curve in told["curves"]} == {"rules", "callers", "datasets", "grants", "entries"}
    page = (tmp_path / "results.md").read_text()
    assert all(curve["panel"] in page for curve in told["curves"])
    assert all(each["question"] in page for each in told["questions"])
    assert all(curve["panel"] in (tmp_path / "growth.svg").read_text() for curve in told["curves"])


def test_nothing_is_prepared_that_was_not_asked_for() -> None:
    asked = {
        "": set(STEPS),
        "governed scan through HTTP": {"scans and small reads"},
        "small audited": {"scans and small reads"},
        "verify": {"verify"},
        "durable appends, 64": {"appends"},
        "sha256": set(STEPS),
    }
    for only, steps in asked.items():
        assert {step for step, lines in STEPS.items() if is_asked(only, lines)} == steps, only


def test_a_step_that_fails_is_told_and_keeps_no_other_from_its_turn(tmp_path: Path) -> None:
    failed, done = Failed(), []
    for name in ("one", "two", "three"):
        with failed.noted(name):
            assert name != "two", "no room on the disk"
            done.append(name)
    assert done == ["one", "three"]
    growth.write(tmp_path, [Curve("a decision", "warm", "rules", "µs", ((10, 0.5),))], [], FACTS, failed)
    rewrite_growth(tmp_path)
    page = (tmp_path / "results.md").read_text()
    assert "**Could not be measured: two** (AssertionError: no room on the disk)" in page
    assert "a decision: warm" in page
    write(tmp_path, [], {}, datetime.now(UTC), failed)
    page = (tmp_path / "results.md").read_text()
    assert page.count("Could not be measured: two") == 2
    assert json.loads((tmp_path / "results.json").read_text())["failed"] == dict(failed)


def test_the_picture_of_the_same_numbers_is_the_same_to_the_byte(tmp_path: Path) -> None:
    curves = [
        Curve("a decision", "warm", "rules", "µs", ((10, 0.5), (100_000, 0.6))),
        Curve("a decision", "memo off", "rules", "µs", ((10, 41.0), (100_000, 42.0))),
        Curve("searching", "the slowest", "entries", "ms", ((10_000, 1.0), (10_000_000, 5.25))),
    ]
    for name in ("one", "other"):
        draw(curves, tmp_path / name)
    picture = (tmp_path / "one").read_bytes()
    assert picture == (tmp_path / "other").read_bytes()
    assert b"5.25" in picture
    assert b"10M" in picture


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_line_of_the_benchmarks_can_be_measured(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--tiny", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert [begin for begin in BEGINNINGS if not any(each["what"].startswith(begin) for each in results)] == []
    assert all(any(each["what"].startswith(begin) for begin in BEGINNINGS) for each in results)
    assert all(each["seconds"] or each["missing"] for each in results)
    assert all(each["what"] in (tmp_path / "results.md").read_text() for each in results)
