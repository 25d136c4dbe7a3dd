"""Every command of the README is run, and prints what the README says; `…` stands for any lines."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy.scopes import load_scope

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ALIKE = (
    (r"g-\d{14}-[0-9a-f]{10}", "GRANT"),
    (r"q-\d{14}-[0-9a-f]{10}", "REQUEST"),
    (r"r-[0-9a-f]{32}", "READ"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*Z", "TIME"),
    (r"in \d+ seconds", "in N seconds"),
    (r"entries 1 to [\d,]+", "entries 1 to N"),
    (r" +", " "),
)
"""What differs from run to run."""
UNRUN = {"make demo", "make test"}
"""Run by whoever tests: the first as `make demo KEEP=1`, the second is this."""


def blocks(language: str) -> list[str]:
    return [re.sub(r"(?m)^   ", "", body) for body in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each command of the console blocks, and the lines that follow it."""
    for block in blocks("console"):
        for each in re.split(r"(?m)^\$ ", block)[1:]:
            command, *said = each.strip().splitlines()
            yield command, said


def alike(line: str) -> str:
    for pattern, name in ALIKE:
        line = re.sub(pattern, name, line)
    return line.strip()


def assert_says(printed: str, expected: list[str]) -> None:
    """The lines between two `…` stand together somewhere after what came before."""
    lines = [alike(line) for line in printed.splitlines()]
    at = 0
    for part in "\n".join(alike(line) for line in expected).split("…"):
        wanted = part.strip().splitlines()
        found = next((n for n in range(at, len(lines) + 1) if lines[n : n + len(wanted)] == wanted), None)
        assert found is not None, f"{wanted} is not in:\n{printed}"
        at = found + len(wanted)


@pytest.fixture(scope="module")
def clone(folder: Path) -> Iterator[Path]:
    """A folder in which the README's commands work as in a clone, with the environment that runs this test."""
    ready = Path(sys.prefix) / ".ready"
    sources = [(ROOT / name).stat().st_mtime for name in ("requirements.txt", "pyproject.toml")]
    # An older one `make` would empty and make again, and it is the one that runs this test.
    if not ready.exists() or ready.stat().st_mtime < max(sources):
        pytest.skip("the environment was not made by `make`, or is older than what it is made of")
    place = folder / "clone"
    place.mkdir(mode=0o711)
    for name in ("Makefile", "requirements.txt", "pyproject.toml", "policies.conf", "catalog.toml"):
        (place / name).symlink_to(ROOT / name)
    (place / ".venv").symlink_to(sys.prefix)
    yield place
    subprocess.run([sys.executable, "-m", "remit", "demo", "--stop"], cwd=place, check=True)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_command_of_the_readme_says_what_the_readme_says(clone: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("REMIT_", "MAKE"))}
    given = [(command, said) for command, said in commands() if command not in UNRUN]
    assert len(given) > 8
    for command, said in given:
        if command.endswith("--stop"):
            run_python(clone)
        done = subprocess.run(
            ["/bin/sh", "-c", f"{command} 2>&1"],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout
        assert_says(done.stdout, said)


def run_python(clone: Path) -> None:
    """The README's Python, as ana, against the demo that runs."""
    (code,), (expected,) = blocks("python"), blocks("text")
    token = subprocess.run([clone / ".demo/as", "ana", "--token"], capture_output=True, text=True, check=True).stdout
    gateway = (clone / ".demo/stage").read_text().split()[0]
    code = f"token = {token.strip()!r}\n" + code.replace("http://127.0.0.1:8470", gateway)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == expected


def test_every_target_and_file_that_the_readme_names_is_there() -> None:
    for target in re.findall(r"`make (\w+)", README):
        assert re.search(rf"(?m)^{target}:", (ROOT / "Makefile").read_text()), target
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / link).exists(), link
    assert shutil.which("make")


def test_every_setting_is_in_the_readme() -> None:
    from gateway.settings import CLIENT_SIDE, Settings

    for name in {f"REMIT_{field.upper()}" for field in Settings.__slots__} | CLIENT_SIDE:
        assert f"`{name}`" in README, name


def test_the_scope_that_the_readme_shows_is_understood() -> None:
    (text,) = blocks("toml")
    assert load_scope(text.encode()).of("pointer_events") is not None
