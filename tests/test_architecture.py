"""The house rules that a machine can hold: which way imports run, and which module is whose door."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("policy", "audit", "witness", "authz", "gateway", "remit")
"""From the bottom up: each may import itself and those before it."""

DOORS = {
    "casbin": {"policy/engine.py"},
    "simpleeval": set(),
    "joserfc": {"authz/tokens.py", "remit/demo/provider.py", "remit/login/id_token.py"},
    "cryptography": {"authz/keys.py", "audit/notes.py"},
    "adbc_driver_duckdb": set(),
    "adbc_driver_manager": set(),
    "duckdb": {"authz/stores.py"},
    "apprise": {"audit/apprised.py"},
    "stamina": {"audit/sending.py"},
    "fideslang": {"policy/taxonomy.py"},
    "authlib": {"remit/demo/stage.py", "remit/login/oauth.py"},
    "pyroaring": {"authz/subjects.py"},
    "keyring": {"remit/login/keyrings.py"},
    "requests": {"remit/login/oauth.py"},
    "prometheus_client": {"gateway/metrics.py"},
}
"""Libraries with a say in security or storage, and the only modules that import them."""

LIGHT = (
    "remit/client.py",
    "remit/connection.py",
    "remit/answers.py",
    "remit/rows.py",
    "remit/requests.py",
    "remit/errors.py",
    "remit/webhooks.py",
)
"""What the Python client consists of: it speaks HTTP and imports nothing of the service."""


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names):
                found.update(name.name.split(".")[0] for name in names)
            case ast.ImportFrom(module, _, 0) if module:
                found.add(module.split(".")[0])
    return found


def modules_of(path: Path) -> set[str]:
    """The modules that a module imports, by their whole names; `from x.y import z` is `x.y`."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    own = path.relative_to(ROOT).parts[0]
    froms = {
        f"{own}.{node.module}" if node.level else str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)
    }
    return froms | {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("place", range(len(PACKAGES)), ids=PACKAGES)
def test_imports_run_one_way(place: int) -> None:
    above = set(PACKAGES[place + 1 :])
    wrong = {named(path): above & imported(path) for path in (ROOT / PACKAGES[place]).rglob("*.py")}
    assert not {name for name, found in wrong.items() if found}


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_one_door(library: str) -> None:
    assert {named(path) for path in modules() if library in imported(path)} == DOORS[library]


def test_deciding_touches_no_database_network_or_clock() -> None:
    reaching = {"sqlalchemy", "psycopg", "httpx2", "socket", "time", "asyncio", "random", "secrets"}
    assert not {named(path) for path in (ROOT / "policy").rglob("*.py") if reaching & imported(path)}


def test_the_python_client_imports_nothing_of_the_service() -> None:
    service = {"policy", "audit", "authz", "gateway"}
    login = {named(path) for path in (ROOT / "remit" / "login").rglob("*.py")}
    assert not {name for name in {*LIGHT, *login} if service & imported(ROOT / name)}


def test_a_witness_shares_nothing_with_the_ledger_but_the_words() -> None:
    """It runs elsewhere, for somebody else: no database, no gateway, nothing that decides or records."""
    words = {"audit.errors", "audit.keyfiles", "audit.merkle", "audit.notes", "audit.proofs", "audit.submissions"}
    service = {"policy", "audit", "authz", "gateway", "remit", "sqlalchemy", "psycopg"}
    for path in [*(ROOT / "witness").rglob("*.py"), *(ROOT / f"{name.replace('.', '/')}.py" for name in words)]:
        found = {name for name in modules_of(path) if name.split(".")[0] in service}
        assert found <= words, named(path)


def test_only_the_guard_makes_a_permit() -> None:
    makers = {named(path) for path in modules() if re.search(r"(?<![\w.])(seal|Permit)\((?!self)", path.read_text())}
    assert makers == {"authz/permit.py", "authz/guard.py"}


def test_only_the_head_writes_entries() -> None:
    writers = {named(path) for path in modules() if re.search(r"(COPY|INSERT INTO) audit_entries", path.read_text())}
    assert writers == {"audit/head.py"}


def test_serve_never_brings_the_demo_along() -> None:
    assert not {
        named(path)
        for package in ("gateway", "authz", "audit", "policy")
        for path in (ROOT / package).rglob("*.py")
        if "demo" in path.read_text()
    }


def test_no_file_names_a_registry_or_a_place_of_somebodys_machine() -> None:
    registries = "|".join(("py" + r"pi\.org", "python" + r"hosted", "registry" + r"\.npm", "deb" + r"\.debian"))
    pattern = re.compile(registries + "|/(?:root|home)/[a-z]")
    texts = [path for path in ROOT.iterdir() if path.is_file()] + [*modules(), *(ROOT / "docs").rglob("*.md")]
    assert not {named(path) for path in texts if pattern.search(path.read_text(errors="replace"))}


@pytest.mark.slow
def test_the_same_tests_are_collected_at_any_second_and_with_any_hash_seed() -> None:
    """Each worker collects for itself; where their tests differ by a name, none of them runs."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    first, second = (
        subprocess.run(
            command, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for seed in ("1", "2")
    )
    names = [line for line in first if "::" in line]
    assert f"{__file__.removeprefix(f'{ROOT}/')}::test_only_the_guard_makes_a_permit" in names
    assert names == [line for line in second if "::" in line]
