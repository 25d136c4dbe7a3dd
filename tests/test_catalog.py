"""The catalog says what there is, or is refused whole, with every problem and its line."""

import random
import tomllib
from pathlib import Path

import pytest
from example_bundle import CATALOG, LOOK, POLICIES

from policy.catalog import Catalog, files_of, load_catalog
from policy.errors import MisreadAll
from policy.looks import with_schema
from policy.policies import Policies, load_policies
from policy.toml_lines import read_toml
from policy.values import Audience, Column, ColumnType, Store


@pytest.fixture(scope="module")
def policies() -> Policies:
    return load_policies(POLICIES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog [1]")
    for file in ("data/pointer_events/b.parquet", "data/pointer_events/a.parquet", "data/deep/er/c.parquet"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


@pytest.fixture(scope="module")
def catalog(policies: Policies, folder: Path) -> Catalog:
    return load_catalog(CATALOG.encode(), policies, folder=folder)


def problems_of(text: str | bytes, policies: Policies, folder: Path) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(MisreadAll) as refused:
        load_catalog(data, policies, folder=folder)
    return [str(problem) for problem in refused.value.problems]


def test_the_example_of_the_design_is_understood_completely(catalog: Catalog) -> None:
    assert catalog.stores == {"files": Store("files", "duckdb")}
    dataset = catalog.datasets["pointer_events"]
    assert (dataset.name, dataset.title, dataset.owner) == (
        "pointer_events",
        "Pointer movement and clicks",
        "collection.mci",
    )
    assert (dataset.source, dataset.store, dataset.location) == ("github", "files", "data/pointer_events/*.parquet")
    assert (dataset.subject, dataset.occurred_at) == ("employee_id", "occurred_at")
    assert dataset.attributes == (("region", "eu"),)
    assert dataset.audience == (Audience("research.ml", "train_ai_system"),)
    assert list(dataset.columns.values()) == [
        Column("employee_id", "user.unique_id"),
        Column("occurred_at", "user.behavior.pointer"),
        Column("x", "user.behavior.pointer", coarse=100),
    ]


def test_a_catalog_cannot_be_changed_once_loaded(catalog: Catalog) -> None:
    with pytest.raises(TypeError):
        catalog.datasets["other"] = catalog.datasets["pointer_events"]  # type: ignore[index]
    with pytest.raises(TypeError):
        catalog.datasets["pointer_events"].columns["y"] = Column("y", "user")  # type: ignore[index]


def test_an_absent_audience_is_nobody(policies: Policies, folder: Path) -> None:
    without = "\n".join(line for line in CATALOG.splitlines() if not line.startswith(("audience", 'occurred_at = "o')))
    dataset = load_catalog(without.encode(), policies, folder=folder).datasets["pointer_events"]
    assert dataset.audience == ()
    assert dataset.occurred_at is None


def test_an_audience_may_be_every_team_or_purpose(policies: Policies, folder: Path) -> None:
    wide = CATALOG.replace('"research.ml"', '"*"').replace('purpose = "train_ai_system"', 'purpose = "*"')
    assert load_catalog(wide.encode(), policies, folder=folder).datasets["pointer_events"].audience == (
        Audience("*", "*"),
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("driver =", "drivr =", ["catalog.toml line 1: `stores.files.driver` is missing", "line 2: unknown key"]),
        ('"duckdb"', '"duckbd"', ["line 2: unknown driver `duckbd`; did you mean `duckdb`?"]),
        ('"duckdb"', '"oracle"', ["line 2: unknown driver `oracle`; did you mean `duckdb`?"]),
        ('driver = "duckdb"', 'driver = "duckdb"\nuri = "x"', ["line 3: unknown key `stores.files.uri`"]),
        ("[stores.files]", "[stores.Files]", ["line 1: `Files` is no name"]),
        ('"files"\nlocation', '"file"\nlocation', ["line 7: unknown store `file`; did you mean `files`?"]),
        ("[stores.files]", "[store.files]", ["`stores` is missing or empty", "line 1: unknown key `store`; did you"]),
        ("owner = ", "ownr = ", ["line 3: `datasets.pointer_events.owner` is missing", "did you mean `owner`?"]),
        ('"collection.mci"', '"Collection MCI"', ["line 5: `datasets.pointer_events.owner` must be the name of the"]),
        ('"collection.mci"', '"*"', ["line 5: `datasets.pointer_events.owner` must be"]),
        ('"collection.mci"', "7", ["line 5: `datasets.pointer_events.owner` must be"]),
        ('"github"', '""', ["line 6: `datasets.pointer_events.source` must be"]),
        ('"github"', '"git\\u0000hub"', ["line 6: `datasets.pointer_events.source` holds a control character"]),
        ('subject = "employee_id"', "", ["line 3: `datasets.pointer_events.subject` is missing"]),
        (
            'subject = "employee_id"',
            'subject = "employe_id"',
            ["line 9: subject `employe_id` is not", "`employee_id`?"],
        ),
        ('occurred_at = "occurred_at"', 'occurred_at = "when"', ["line 10: occurred_at `when` is not among"]),
        ('region = "eu"', 'regoin = "eu"', ["line 11: unknown key", "did you mean `region`?"]),
        ('region = "eu"', "region = 1.5", ["line 11: `datasets.pointer_events.region` must be a text, a boolean"]),
        ('region = "eu"', "region = 9007199254740992", ["line 11: `datasets.pointer_events.region` must be"]),
        ('region = "eu"', 'name = "x"', ["line 11: unknown key `datasets.pointer_events.name`"]),
        ("[{ team", '["all", { team', ["line 12: `datasets.pointer_events.audience[0]` must be { team, purpose }"]),
        ("[{ team", "[{ teams", ["audience[0].team` is missing", "line 12: unknown key", "did you mean `team`?"]),
        ('[{ team = "research.ml", purpose = "train_ai_system" }]', '"all"', ["line 12:", "must be a list like"]),
        (
            '"train_ai_system" }',
            '"train_ai_sytem" }',
            ["line 12: unknown purpose `train_ai_sytem`; did you mean `train_ai"],
        ),
        ('"research.ml", purpose', '"Research", purpose', ["line 12:", "audience[0].team` must be", "or `*`"]),
        (
            '"user.unique_id"',
            '"user.unique_ids"',
            ["line 14: unknown data class `user.unique_ids`; did you mean `user.un"],
        ),
        ('"user.unique_id"', '"remit.audit"', ["line 14: `remit.audit` is Remit's own"]),
        ('"user.unique_id"', "3", ["line 14: `datasets.pointer_events.columns.employee_id` must be a data class"]),
        ("coarse = 100", "corse = 100", ["line 16: unknown key", "did you mean `coarse`?"]),
        ("coarse = 100", "coarse = 0", ["line 16: `datasets.pointer_events.columns.x.coarse` must be"]),
        ("coarse = 100", "coarse = -1", ["line 16:"]),
        ("coarse = 100", "coarse = nan", ["line 16:"]),
        ("coarse = 100", "coarse = inf", ["line 16:"]),
        ("coarse = 100", "coarse = true", ["line 16:"]),
        ("coarse = 100", 'coarse = "week"', ["line 16:"]),
        ("x = {", '"X" = "user"\nx = {', ["line 17: columns `X` and `x` differ only in case"]),
        ("x = {", "\"\\n\" = 'user'\nx = {", ["line 16: `\\u000a` is no column's name"]),
        ("x = {", "x = { nonsense", ["line 16: not TOML: "]),
        ("data/pointer_events/*.parquet", "data/*.csv", ["line 8: location `data/*.csv` points nowhere: no file"]),
        ("data/pointer_events/*.parquet", "data", ["line 8: location `data` points nowhere: it is a folder"]),
        ("data/pointer_events/*.parquet", "data/../data/*/*.parquet", ["line 8: location", "climbs by `..`"]),
    ],
)
def test_each_mistake_is_refused_with_its_line(
    old: str, new: str, expected: list[str], policies: Policies, folder: Path
) -> None:
    assert CATALOG.count(old) >= 1
    said = problems_of(CATALOG.replace(old, new, 1), policies, folder)
    assert len(said) <= len(expected)
    for part in expected:
        assert part in "\n".join(said)


def test_all_mistakes_are_reported_at_once_in_the_order_of_their_lines(policies: Policies, folder: Path) -> None:
    text = CATALOG.replace("duckdb", "duck").replace('"files"\n', '"fils"\n').replace('= "user.unique_id"', '= "usr"')
    said = problems_of(text, policies, folder)
    assert [problem.split(":")[0] for problem in said] == [f"catalog.toml line {line}" for line in (2, 7, 14)]


def test_an_empty_catalog_is_refused(policies: Policies, folder: Path) -> None:
    for text in ("", "# nothing\n", '[stores.files]\ndriver = "duckdb"\n[datasets]\n'):
        assert any("at least one dataset" in problem for problem in problems_of(text, policies, folder))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xef\xbb\xbf[stores.files]", "line 1: not TOML"),
        (b"# one\n# two \xff\n", "line 2: not UTF-8"),
        (b"a = 1\n\na = 2\n", "line 3: not TOML"),
        (b"a = " + b"[" * 50_000, "nested too deep"),
        (b"a = " + b"9" * 10_000, "too many digits"),
        (b'a = "\n', "line 1: not TOML"),
        (b"a = [\n1,\n", "not TOML: "),
        (b"datasets = 1\nstores = []", "line 1: `datasets` is missing or empty"),
        (b"datasets.x = 1\n", "line 1: `datasets.x` must be a table"),
    ],
)
def test_what_is_not_a_catalog_at_all_is_refused_and_never_breaks_the_loader(
    data: bytes, expected: str, policies: Policies, folder: Path
) -> None:
    assert any(expected in problem for problem in problems_of(data, policies, folder))


def test_a_message_never_carries_what_does_not_print(policies: Policies, folder: Path) -> None:
    hostile = CATALOG.replace("x = {", '"\\u001b[31m\\u202e" = "user.\\u0007"\nx = {')
    for problem in problems_of(hostile, policies, folder):
        assert problem.isprintable()


def test_an_absolute_location_is_taken_as_written(policies: Policies, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "far.parquet").touch()
    text = CATALOG.replace("data/pointer_events/*.parquet", f"{tmp_path}/*.parquet")
    loaded = load_catalog(text.encode(), policies, folder=folder)
    assert files_of(loaded.datasets["pointer_events"].location, folder) == (tmp_path / "far.parquet",)


def test_a_location_names_its_files_in_order_and_never_folders(folder: Path) -> None:
    a, b, c = (
        folder / "data" / name for name in ("pointer_events/a.parquet", "pointer_events/b.parquet", "deep/er/c.parquet")
    )
    assert files_of("data/pointer_events/*.parquet", folder) == (a, b)
    assert files_of("data/**/*.parquet", folder) == (c, a, b)
    assert files_of("data/*", folder) == ()
    assert files_of("data/pointer_events/a.parquet", folder) == (a,)


def test_a_look_completes_types_and_finds_undeclared_columns(catalog: Catalog) -> None:
    completed = with_schema(catalog, {"pointer_events": LOOK | {"salary": ColumnType.FLOAT}}).datasets["pointer_events"]
    assert {name: column.type for name, column in completed.columns.items()} == LOOK
    assert completed.columns["x"].coarse == 100
    assert completed.undeclared == {"salary"}
    assert completed.audience == catalog.datasets["pointer_events"].audience


def test_a_declared_column_that_the_store_lacks_is_refused_with_its_line(catalog: Catalog) -> None:
    look = {"employee_id": ColumnType.TEXT, "ocurred_at": ColumnType.TIMESTAMP}
    with pytest.raises(MisreadAll) as refused:
        with_schema(catalog, {"pointer_events": look})
    assert [(problem.line, problem.suggestion) for problem in refused.value.problems] == [
        (15, "ocurred_at"),
        (16, None),
    ]


def test_a_dataset_that_no_look_saw_is_refused(catalog: Catalog) -> None:
    with pytest.raises(MisreadAll) as refused:
        with_schema(catalog, {})
    assert [problem.line for problem in refused.value.problems] == [14, 15, 16]


def test_a_store_column_that_differs_only_in_case_from_a_declared_one_is_refused(catalog: Catalog) -> None:
    with pytest.raises(MisreadAll, match="line 16: the store also has a column `X`"):
        with_schema(catalog, {"pointer_events": LOOK | {"X": ColumnType.TEXT}})


@pytest.mark.parametrize(
    ("coarse", "fits"),
    [
        ("100", {ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.DECIMAL, ColumnType.TEXT}),
        ("1", {ColumnType.FLOAT, ColumnType.DECIMAL, ColumnType.TEXT}),
        ("0.5", {ColumnType.FLOAT, ColumnType.DECIMAL}),
        ('"hour"', {ColumnType.TIMESTAMP}),
        ('"day"', {ColumnType.TIMESTAMP}),
        ('"month"', {ColumnType.TIMESTAMP, ColumnType.DATE}),
    ],
)
def test_a_coarse_setting_must_take_something_away_from_the_type_it_meets(
    coarse: str, fits: set[ColumnType], policies: Policies, folder: Path
) -> None:
    described = load_catalog(CATALOG.replace("= 100", f"= {coarse}").encode(), policies, folder=folder)
    for column_type in ColumnType:
        look = {"pointer_events": LOOK | {"x": column_type}}
        if column_type in fits:
            assert with_schema(described, look).datasets["pointer_events"].columns["x"].type is column_type
        else:
            with pytest.raises(MisreadAll, match=r"line 16: coarse .* does not fit `x`, which is"):
                with_schema(described, look)


TOML = '''\
# a = 1
title = "x # y [z] = {"
"odd \\u0041 key" = 1
a.b . "c.d" = [1, [2, # x ]
 3], {q = 'x', w.e=1}]
many = """
inside = 1
"""""
raw = \'\'\'
y\'\'\'\'\'
when = [2026-11-01 00:00:00Z, 1.5, ] # end
[x."y z"]
k=true
[[x.l]]
a=1
[[x.l]]
a=2
[x.l.sub]
empty={}
none=[]
text=""""""
'''


def paths_of(value: object, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path} | {found for step, inner in steps for found in paths_of(inner, (*path, step))}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_key_of_toml_has_its_line(newline: str) -> None:
    lines = read_toml(TOML.replace("\n", newline).encode(), file="t").lines
    assert lines.keys() == paths_of(tomllib.loads(TOML)) - {()}
    expected = {("odd A key",): 3, ("a", "b", "c.d", 1, 1): 5, ("a", "b", "c.d", 2, "w", "e"): 5, ("raw",): 9}
    expected |= {("x", "y z"): 12, ("x", "l", 0, "a"): 15, ("x", "l", 1, "sub", "empty"): 19}
    assert {path: lines[path] for path in expected} == expected


def test_any_mutation_of_a_catalog_loads_or_is_refused(policies: Policies, folder: Path) -> None:
    chance = random.Random(20261121)
    pieces = [*"[]{}=\"'#\n\\,. \x00\r\t-0", '"""', "'''", "[[", "]]", "é", "\ud800", "1e999", "class", "coarse"]
    refused = 0
    for _ in range(3_000):
        text = CATALOG if chance.random() < 0.7 else TOML + CATALOG
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice([*pieces, ""]) + text[at + chance.choice((0, 1, 1, 9)) :]
        data = text.encode("utf-8", "surrogatepass")
        try:
            load_catalog(data, policies, folder=folder)
        except MisreadAll:
            refused += 1
        try:
            document = read_toml(data, file="t")
        except MisreadAll:
            continue
        assert document.lines.keys() == paths_of(document.values) - {()}
    assert refused > 1_000
