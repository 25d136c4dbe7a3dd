"""The benchmarks run, every line of them; what they measure in a tiny run means nothing, so no number is looked at."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = 12


@pytest.mark.slow
def test_every_line_of_the_benchmarks_can_be_measured(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--tiny", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.returncode == 0, ran.stderr
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert len(results) == LINES
    assert all(each["seconds"] or each["missing"] for each in results)
    assert all(each["what"] in (tmp_path / "results.md").read_text() for each in results)
