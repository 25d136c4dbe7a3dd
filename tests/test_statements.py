"""A statement is made once, and never stands for a plan that it was not made for."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pytest
from reading import Shelf

from authz import statements
from authz.doors import Doors
from authz.select import Statement, filters_of
from authz.statements import Statements
from authz.store_columns import Columns
from policy.decision import Allow
from policy.values import Dataset, Treatment

COARSE = {"x": Treatment.COARSE}


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    shelf.put({"x": pa.array([1, 205, 399], pa.int32()), "y": [1.5, 2.5, 3.5], "flag": [True, False, None]})
    yield shelf
    shelf.reader.close()


def columns(shelf: Shelf) -> Columns:
    doors = Doors(shelf.folder)
    found = doors.door(shelf.location).columns
    doors.close()
    return found


def plan(shelf: Shelf, **asked: object) -> Allow:
    return shelf.permit(asked.pop("columns", ["x", "y"]), **asked).plan  # type: ignore[arg-type]


def of(made: Statements, plan: Allow, there: Columns, *, is_known: bool = False) -> Statement:
    return made.of(plan, filters_of(plan), there, is_known=is_known)


def coarsened(dataset: Dataset, width: object) -> Dataset:
    """As after a reload; every one of these widths equals the others in Python."""
    column = replace(dataset.columns["x"], coarse=width)  # type: ignore[arg-type]
    return replace(dataset, columns=MappingProxyType({**dataset.columns, "x": column}))


def test_a_plan_that_comes_again_gets_the_statement_of_before(shelf: Shelf) -> None:
    made, there = Statements(), columns(shelf)
    assert of(made, plan(shelf, rows="x < 5"), there) is of(made, plan(shelf, rows="x < 5"), there)


def test_whatever_changes_the_answer_is_another_statement(shelf: Shelf) -> None:
    made, there = Statements(), columns(shelf)
    asked: list[dict[str, object]] = [
        {},
        {"rows": "x < 5"},
        {"rows": "x < 6"},
        {"scope": "x < 7"},
        {"scope": "x < 7", "rows": "x < 6"},
        {"rows": "flag = true"},
        {"columns": ["y", "x"]},
        {"columns": {"x": Treatment.HIDDEN, "y": Treatment.CLEAR}},
        {"limit": 1},
    ]
    texts = {_whole(of(made, plan(shelf, **dict(one)), there)) for one in asked}
    assert len(texts) == len(asked)
    for one in asked:
        assert _whole(of(made, plan(shelf, **dict(one)), there)) == _whole(of(Statements(), plan(shelf, **one), there))


def test_where_it_is_known_whose_rows_they_are_the_store_is_not_asked(shelf: Shelf) -> None:
    made, there, asked = Statements(), columns(shelf), plan(shelf, columns=["y"])
    unknown, known = of(made, asked, there), of(made, asked, there, is_known=True)
    assert (unknown.subject, known.subject) == (1, None)
    assert ('"x"' in unknown.sql, '"x"' in known.sql) == (True, False)
    assert of(made, asked, there) is unknown


def test_settings_that_only_python_takes_for_equal_do_not_share_a_statement(shelf: Shelf) -> None:
    made, there = Statements(), columns(shelf)
    dataset = shelf.dataset()
    shown = [
        of(made, plan(shelf, columns=COARSE, dataset=coarsened(dataset, width)), there).given[0].treatment
        for width in (1, 1.0, True, 1)
    ]
    assert shown == [Treatment.COARSE, Treatment.HIDDEN, Treatment.HIDDEN, Treatment.COARSE]


def test_a_file_of_other_types_is_read_by_another_statement(shelf: Shelf) -> None:
    assert shelf.read({"x": Treatment.COARSE}, dataset=coarsened(shelf.dataset(), 100))["x"].to_pylist() == [
        0,
        200,
        300,
    ]
    shelf.put({"x": pa.array([1, 205], pa.uint8()), "y": [1.5, 2.5], "flag": [True, False]})
    given = shelf.read({"x": Treatment.COARSE}, dataset=coarsened(shelf.dataset(), 100))["x"]
    assert (given.type, given.to_pylist()) == (pa.uint8(), [0, 200])


def test_what_is_remembered_is_bounded(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "REMEMBERED", 3)
    made, there = Statements(), columns(shelf)
    first = of(made, plan(shelf, rows="x < 0"), there)
    kept = [of(made, plan(shelf, rows=f"x < {most}"), there) for most in (1, 2, 3)]
    assert of(made, plan(shelf, rows="x < 0"), there) is not first
    assert of(made, plan(shelf, rows="x < 3"), there) is kept[-1]
    long = f"x in ({', '.join(map(str, range(3000)))})"
    assert of(made, plan(shelf, rows=long), there) is not of(made, plan(shelf, rows=long), there)


def _whole(statement: Statement) -> tuple[str, str, object]:
    bound = str(statement.parameters.to_pydict()) if statement.parameters is not None else ""
    return statement.sql, bound, statement.given
