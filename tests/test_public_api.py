"""What a researcher imports: every name is there on purpose, is typed, and does what its example says."""

import doctest
import inspect
import subprocess
import sys
import tempfile
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Database
from service import Service, serving

import remit
from remit import answers, client, errors, rows

SNIPPET = """
import remit


def used(grants: list[remit.Grant]) -> dict[str, int | None]:
    return {grant.id: grant.rows_left for grant in grants}


def read(url: str, token: str) -> int:
    with remit.connect(url, token=token, timeout=30) as client:
        print(used(list(client.grants())), [dataset.name for dataset in client.datasets()])
        found: remit.Check = client.check("events", columns=["x"])
        print(found.decision, [column.treatment for column in found.columns])
        try:
            reader = client.read(
                "events", columns=("x", "y"), rows="x < 500", limit=10, purpose="train_ai_system", grant="g-1"
            )
        except remit.Refused as refused:
            print(refused.code, refused.excess.declared if refused.excess else None, refused.rules, refused.entry)
            return 0
        receipt: remit.Receipt = reader.receipt
        print(receipt.read, receipt.limit)
        with reader:
            for batch in reader.batches(64, drop_last=True):
                print(batch.num_rows)
        return client.read("events").to_polars().height
"""
WRONG = {
    'client.read("events", column=["x"])': "call-arg",
    'client.read("events", limit="10")': "arg-type",
    "client.rows": "attr-defined",
    'client.check("events").colunms': "attr-defined",
    "next(client.grants()).rows_left + 1": "operator",
}


def test_every_public_name_is_meant_to_be_one() -> None:
    found = {
        name
        for name, value in vars(remit).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert sorted(found) == remit.__all__


def test_everything_that_a_method_takes_or_gives_can_be_named() -> None:
    named = {
        part
        for owner in (remit.Client, remit.RowReader)
        for name, method in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_")
        for hint in typing.get_type_hints(method, {**vars(rows), "pl": pytest.importorskip("polars")}).values()
        for part in parts(hint)
        if getattr(part, "__module__", "").startswith("remit.")
    }
    assert {part.__name__ for part in named} <= set(remit.__all__)
    assert {name for name, value in vars(errors).items() if inspect.isclass(value)} <= set(remit.__all__)


def parts(hint: object) -> Iterator[type]:
    yield from (part for inner in typing.get_args(hint) for part in parts(inner))
    origin = typing.get_origin(hint) or hint
    if inspect.isclass(origin):
        yield origin


def test_every_public_name_says_what_it_is() -> None:
    for name in remit.__all__:
        if name != "Line":
            assert inspect.getdoc(getattr(remit, name)), name
    assert answers.Line


@pytest.mark.slow
def test_a_program_that_uses_the_client_is_typed_strictly_and_its_mistakes_are_found(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(SNIPPET)
    wrong = ["import remit", "client = remit.connect()", *WRONG]
    (tmp_path / "wrong.py").write_text("\n".join(wrong) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", "right.py", "wrong.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert [(line.split(":")[:2], line.rpartition("[")[2]) for line in said] == [
        (["wrong.py", str(number)], f"{code}]") for number, code in enumerate(WRONG.values(), start=3)
    ], done.stdout + done.stderr


@pytest.fixture(scope="module")
def granted(module_database: Database, folder: Path) -> Iterator[Service]:
    """A gateway of this module's own, for an example shows every grant that there is."""
    with serving(Path(tempfile.mkdtemp(dir=folder)), module_database.url()) as running:
        running.grant(principal="ana", columns=["who", "at", "x"], max_rows=100_000)
        yield running


EXAMPLES = [test for module in (client, rows) for test in doctest.DocTestFinder().find(module) if test.examples]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda test: test.name.removeprefix("remit."))
def test_every_example_of_a_docstring_runs(granted: Service, example: doctest.DocTest) -> None:
    token = granted.token("ana")
    with remit.connect(granted.url, token=token) as connected:
        example.globs = {"remit": remit, "client": connected, "url": granted.url, "token": token}
        said: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(example, out=said.append)
    assert not runner.failures, "".join(said)


def test_what_a_researcher_calls_has_an_example() -> None:
    have = {test.name.rpartition(".")[2] for test in EXAMPLES}
    assert have >= {"connect", "read", "check", "datasets", "dataset", "grants", "batches", "to_pandas", "to_polars"}
