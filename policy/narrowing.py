"""A scope made smaller by an approver: what may change, and only in the direction of less. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .errors import BadRows
from .rows import parse
from .scopes import Json, scope_from_json, scope_to_json
from .tables import Problems
from .values import Scope

LIMITS = ("max_rows", "max_subjects")
FIELDS = (*LIMITS, "starts", "ends", "datasets")


def narrowed(scope: Scope, by: Mapping[str, Any], at: datetime) -> Scope:
    """`scope` made narrower by what `by` names: `max_rows`, `max_subjects`, `starts`, `ends`, `datasets`.

    A dataset that is null is left out; its `columns` are those that stay, its `rows` a filter more. Raises
    `MisreadAll` where anything is no narrowing, names what is not there, or leaves nothing from `at` on.
    """
    problems = Problems("narrowing")
    before: dict[str, Any] = dict(scope_to_json(scope))
    after = {**before, "datasets": dict(before["datasets"])}
    for key, value in by.items():
        if key not in FIELDS:
            problems.add((key,), f"`{key}` cannot be narrowed: only {', '.join(FIELDS)} can")
        elif key == "datasets":
            _narrow_datasets(after["datasets"], value, problems)
        elif value is not None:
            after[key] = value
    problems.raise_any()
    made = scope_from_json(after, file="narrowing")
    _check(before, dict(scope_to_json(made)), scope, made, problems)
    if made.ends <= at:
        problems.add(("ends",), "`ends` has passed: name a later time, or deny the request")
    problems.raise_any()
    return made


def _narrow_datasets(datasets: dict[str, Any], by: object, problems: Problems) -> None:
    if not isinstance(by, Mapping):
        problems.add(("datasets",), "`datasets` must be a table of datasets that the request names")
        return
    for name, value in by.items():
        if name not in datasets:
            problems.add(("datasets", name), f"the request does not name dataset `{name}`")
        elif value is None:
            del datasets[name]
        elif not isinstance(value, Mapping) or set(value) - {"columns", "rows"}:
            problems.add(("datasets", name), f"`datasets.{name}` may have `columns` and `rows`, or be null")
        else:
            datasets[name] = _narrow_dataset(name, dict(datasets[name]), value, problems)


def _narrow_dataset(name: str, one: dict[str, Any], by: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    columns, rows = by.get("columns", one["columns"]), by.get("rows", "")
    if not isinstance(columns, list) or not columns or any(each not in one["columns"] for each in columns):
        asked = ", ".join(one["columns"])
        problems.add(("datasets", name, "columns"), f"`columns` of `{name}` must be some of those asked for: {asked}")
        return one
    one["columns"] = columns
    if not isinstance(rows, str):
        problems.add(("datasets", name, "rows"), f"`rows` of `{name}` must be a filter")
    elif rows:
        try:
            parse(rows)  # by itself, so that no bracket of it closes one of ours
        except BadRows as bad:
            problems.add(("datasets", name, "rows"), f"the filter was not understood: {bad}")
        one["rows"] = f"({one['rows']}) and ({rows})" if one.get("rows") else rows
    return one


def _check(before: Mapping[str, Json], after: Mapping[str, Json], old: Scope, new: Scope, problems: Problems) -> None:
    for key in LIMITS:
        was, now = before.get(key), after.get(key)
        if isinstance(was, int) and (not isinstance(now, int) or now > was):
            problems.add((key,), f"`{key}` was {was}: a narrowing names no more")
    if new.starts < old.starts:
        problems.add(("starts",), "`starts` is earlier than was asked for")
    if new.ends > old.ends:
        problems.add(("ends",), "`ends` is later than was asked for")
    if new == old:
        problems.add((), "nothing would change: name what is to become less")
