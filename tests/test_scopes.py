"""A declared scope is one shape in TOML and JSON, complete, bounded in time, and fits the catalog."""

import json
import random
from datetime import UTC, datetime

import pytest
from example_bundle import CATALOG, LOOK, POLICIES

from policy.catalog import Catalog, load_catalog
from policy.errors import MisreadAll
from policy.looks import with_schema
from policy.policies import Policies, load_policies
from policy.scopes import check_scope, load_scope, scope_from_json, scope_to_json
from policy.values import ColumnType, DatasetScope, Scope

SCOPE = """\
principal = "ana"
purpose = "train_ai_system.computer_use"
starts = 2026-11-01T00:00:00Z
ends = 2026-12-01T01:00:00.5+01:00
max_rows = 5_000_000
justification = "Pointer paths for the computer-use model, run cua-7b-v3."
training_run = "cua-7b-v3"
assessment = "DPIA-2026-014"
[datasets.pointer_events]
columns = ["occurred_at", "x"]
rows = "occurred_at >= '2026-06-01'"
"""

JSON = {
    "principal": "ana",
    "purpose": "train_ai_system.computer_use",
    "starts": "2026-11-01T00:00:00Z",
    "ends": "2026-12-01T00:00:00.500000Z",
    "max_rows": 5_000_000,
    "justification": "Pointer paths for the computer-use model, run cua-7b-v3.",
    "training_run": "cua-7b-v3",
    "assessment": "DPIA-2026-014",
    "datasets": {"pointer_events": {"columns": ["occurred_at", "x"], "rows": "occurred_at >= '2026-06-01'"}},
}


@pytest.fixture(scope="module")
def policies() -> Policies:
    return load_policies(POLICIES)


@pytest.fixture(scope="module")
def catalog(policies: Policies, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("scopes")
    (folder / "data/pointer_events").mkdir(parents=True)
    (folder / "data/pointer_events/a.parquet").touch()
    described = load_catalog(CATALOG.encode(), policies, folder=folder)
    return with_schema(described, {"pointer_events": LOOK | {"salary": ColumnType.FLOAT}})


def problems_of(obj: object) -> list[str]:
    with pytest.raises(MisreadAll) as refused:
        scope_from_json(obj)
    return [str(problem) for problem in refused.value.problems]


def test_the_example_of_the_design_is_understood_completely() -> None:
    assert load_scope(SCOPE.encode()) == Scope(
        purpose="train_ai_system.computer_use",
        starts=datetime(2026, 11, 1, tzinfo=UTC),
        ends=datetime(2026, 12, 1, microsecond=500_000, tzinfo=UTC),
        justification="Pointer paths for the computer-use model, run cua-7b-v3.",
        datasets=(DatasetScope("pointer_events", ("occurred_at", "x"), "occurred_at >= '2026-06-01'"),),
        principal="ana",
        max_rows=5_000_000,
        training_run="cua-7b-v3",
        assessment="DPIA-2026-014",
    )


def test_toml_and_json_have_one_shape() -> None:
    assert load_scope(SCOPE.encode()) == scope_from_json(JSON)
    assert scope_to_json(load_scope(SCOPE.encode())) == JSON


def test_what_is_not_set_is_left_out_of_json_and_null_counts_as_not_set() -> None:
    least = {key: JSON[key] for key in ("purpose", "starts", "ends", "justification")}
    least |= {"team": "research.ml", "datasets": {"pointer_events": {"columns": ["x"]}}}
    scope = scope_from_json(least)
    assert (scope.principal, scope.team, scope.max_rows, scope.training_run) == (None, "research.ml", None, None)
    assert scope.datasets == (DatasetScope("pointer_events", ("x",), ""),)
    assert scope_to_json(scope) == least | {"ends": JSON["ends"]}
    nulls = {"principal": None, "max_rows": None, "max_subjects": None, "assessment": None}
    assert scope_from_json(least | nulls) == scope


def test_json_comes_back_as_the_same_scope_through_text() -> None:
    scope = load_scope(SCOPE.encode())
    assert scope_from_json(json.loads(json.dumps(scope_to_json(scope)))) == scope


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"principal": None}, "name `principal` or `team`, exactly one: neither is"),
        ({"team": "research.ml"}, "name `principal` or `team`, exactly one: both are there"),
        ({"principal": " "}, "`principal` must be"),
        ({"principal": "ana\n"}, "`ana\\u000a` is no principal"),
        ({"principal": "a\x00"}, "`principal` holds a control character"),
        ({"principal": None, "team": "*"}, "`team` must be"),
        ({"purpose": "*"}, "`purpose` must be"),
        ({"purpose": None}, "`purpose` is missing"),
        ({"starts": None}, "`starts` is missing: it must be a time with its zone"),
        ({"starts": "2026-11-01"}, "`starts` must be a time with its zone"),
        ({"starts": "2026-11-01T00:00:00"}, "`starts` must be a time with its zone"),
        ({"starts": "2026-W45-1T00:00:00Z"}, "`starts` must be a time with its zone"),
        ({"starts": "2026-13-01T00:00:00Z"}, "`starts` must be a time with its zone"),
        ({"starts": "2026-11-01T00:00:00Z\n"}, "`starts` must be a time with its zone"),
        ({"starts": "٢٠26-11-01T00:00:00Z"}, "`starts` must be a time with its zone"),
        ({"starts": 1_793_000_000}, "`starts` must be a time with its zone"),
        ({"starts": "0001-01-01T00:00:00+14:00"}, "`starts` lies outside the years"),
        ({"ends": "9999-12-31T23:59:59-14:00"}, "`ends` lies outside the years"),
        ({"ends": "2026-11-01T00:00:00Z"}, "`ends` must be later than `starts`"),
        ({"ends": "2026-11-01T00:30:00+01:00"}, "`ends` must be later than `starts`"),
        ({"max_rows": 0}, "`max_rows` must be a whole number"),
        ({"max_rows": 1.0}, "`max_rows` must be a whole number"),
        ({"max_rows": True}, "`max_rows` must be a whole number"),
        ({"max_rows": "5"}, "`max_rows` must be a whole number"),
        ({"max_rows": 2**53}, "`max_rows` must be a whole number"),
        ({"max_subjects": 0}, "`max_subjects` must be a whole number"),
        ({"max_subjects": True}, "`max_subjects` must be a whole number"),
        ({"max_subjects": 2**31}, "`max_subjects` must be a whole number, at least 1 and below 2³¹"),
        ({"justification": None}, "`justification` is missing"),
        ({"justification": "\t \n"}, "`justification` must be"),
        ({"justification": "... -- !"}, "in at least one word"),
        ({"justification": "why\ud800"}, "half a surrogate pair"),
        ({"training_run": 7}, "`training_run` must be"),
        ({"purpos": "x"}, "unknown key `purpos`; did you mean `purpose`?"),
        ({"datasets": None}, "`datasets` is missing or empty"),
        ({"datasets": {}}, "`datasets` is missing or empty"),
        ({"datasets": ["pointer_events"]}, "`datasets` is missing or empty"),
        ({"datasets": {"pointer_events": ["x"]}}, "`datasets.pointer_events` must be a table"),
        ({"datasets": {"Pointer": {"columns": ["x"]}}}, "`Pointer` is no name"),
        ({"datasets": {"\ud800": {"columns": ["x"]}}}, "`\\ud800` is no name"),
        ({"datasets": {"d": {}}}, "`datasets.d.columns` is missing or empty"),
        ({"datasets": {"d": {"columns": []}}}, "`datasets.d.columns` is missing or empty"),
        ({"datasets": {"d": {"columns": "x"}}}, "`datasets.d.columns` must be a list"),
        ({"datasets": {"d": {"columns": ["x", ["y"]]}}}, "`datasets.d.columns[1]` must be a column's name"),
        ({"datasets": {"d": {"columns": ["x", "x"]}}}, "column `x` is named twice"),
        ({"datasets": {"d": {"columns": ["x"], "rows": 1}}}, "`datasets.d.rows` must be a filter"),
        ({"datasets": {"d": {"columns": ["x"], "row": "1"}}}, "unknown key `datasets.d.row`; did you mean `rows`?"),
    ],
)
def test_each_mistake_is_refused_on_its_own(change: dict[str, object], expected: str) -> None:
    said = problems_of(JSON | change)
    assert len(said) == 1
    assert expected in said[0]
    assert said[0].isprintable()


def test_all_mistakes_are_reported_with_their_lines() -> None:
    text = (
        SCOPE.replace("T00:00:00Z", "")
        .replace("5_000_000", "-5")
        .replace('"x"]', '"x", "x"]')
        .replace("rows = ", "r = ")
    )
    with pytest.raises(MisreadAll) as refused:
        load_scope(text.encode(), file="grant.toml")
    assert [problem.line for problem in refused.value.problems] == [3, 5, 10, 11]
    assert all(str(problem).startswith("grant.toml line") for problem in refused.value.problems)


@pytest.mark.parametrize("obj", [None, 1, "ana", [], [JSON], {}, {"datasets": JSON}])
def test_what_is_no_scope_at_all_is_refused(obj: object) -> None:
    assert problems_of(obj)


def test_toml_that_is_broken_is_refused_with_its_line() -> None:
    with pytest.raises(MisreadAll, match=r"g\.toml line 2: not TOML"):
        load_scope(b'principal = "ana"\npurpose\n', file="g.toml")


def test_random_json_is_a_scope_or_refused_and_never_breaks() -> None:
    chance = random.Random(7)
    odd = (
        None,
        True,
        0,
        -1,
        1.5,
        float("nan"),
        "",
        "x",
        "\x00",
        "\ud800",
        [],
        {},
        [[]],
        {"a": {}},
        "2026-11-01T00:00:00Z",
    )
    for _ in range(5_000):
        hostile = dict(JSON)
        for _ in range(chance.randint(1, 5)):
            inner = {"pointer_events": {chance.choice(["columns", "rows", "x\ud800"]): chance.choice(odd)}}
            key = chance.choice([*JSON, "team", "max_subjects", "\ud800", ""])
            hostile[key] = chance.choice([*odd, inner])  # type: ignore[assignment]
        said = ""
        try:
            scope = scope_from_json(hostile)
        except MisreadAll as refused:
            said = str(refused)
        else:
            assert scope_from_json(scope_to_json(scope)) == scope
        assert said.replace("\n", "").isprintable()


def test_a_scope_that_fits_the_bundle_has_no_problems(catalog: Catalog, policies: Policies) -> None:
    assert check_scope(load_scope(SCOPE.encode()), catalog, policies) is None


def test_a_scope_may_name_columns_that_the_store_has_and_the_catalog_does_not(
    catalog: Catalog, policies: Policies
) -> None:
    undeclared = SCOPE.replace('"x"]', '"salary"]')
    assert check_scope(load_scope(undeclared.encode()), catalog, policies) is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "computer_use",
            "computer_us",
            "unknown purpose `train_ai_system.computer_us`; did you mean `train_ai_system.c",
        ),
        ("[datasets.pointer_events]", "[datasets.pointer_event]", "unknown dataset `pointer_event`; did you mean"),
        ('"x"]', '"employe_id"]', "dataset `pointer_events` has no column `employe_id`; did you mean `employee_id`?"),
        ("occurred_at >=", "occured_at >=", "`rows` of `pointer_events` names `occured_at`, which is no classified"),
        ("occurred_at >=", "salary >=", "`rows` of `pointer_events` names `salary`, which is no classified column"),
        ("occurred_at >=", "occurred_at =>", "`rows` of `pointer_events` was not understood"),
        ("occurred_at >=", "x >=", "`rows` of `pointer_events` was not understood"),
        ('"occurred_at >=', '"  ', "`rows` of `pointer_events` was not understood"),
    ],
)
def test_a_scope_that_does_not_fit_the_bundle_says_why(
    old: str, new: str, expected: str, catalog: Catalog, policies: Policies
) -> None:
    assert old in SCOPE
    refused = check_scope(load_scope(SCOPE.replace(old, new).encode()), catalog, policies, file="grant.toml")
    assert isinstance(refused, MisreadAll)
    assert len(refused.problems) == 1
    assert str(refused).startswith("grant.toml: ")
    assert expected in str(refused)


def test_the_scopes_own_filter_may_name_a_classified_column_that_it_does_not_give(
    catalog: Catalog, policies: Policies
) -> None:
    scope = load_scope(SCOPE.replace("occurred_at >= '2026-06-01'", "employee_id != 'e1'").encode())
    assert check_scope(scope, catalog, policies) is None
