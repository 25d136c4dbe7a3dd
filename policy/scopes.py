"""Declared scopes: from TOML or JSON, which have one shape, back to JSON, and held against the catalog."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from .catalog import LARGEST, Catalog
from .errors import BadRows, MisreadAll, UnknownColumn
from .policies import Policies
from .rows import parse, typed
from .tables import Path, Problems, Table, place, shown
from .taxonomy import PURPOSES
from .toml_lines import read_toml
from .values import Dataset, DatasetScope, Scope

Json = str | int | Sequence["Json"] | Mapping[str, "Json"]
FIELDS = (
    "principal",
    "team",
    "purpose",
    "starts",
    "ends",
    "max_rows",
    "max_subjects",
    "justification",
    "training_run",
    "assessment",
    "datasets",
)
RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
MOST_SUBJECTS = 2**31
"""There are no more numbers for them."""
UNSET = datetime.max.replace(tzinfo=UTC)


def load_scope(data: bytes, *, file: str = "scope.toml") -> Scope:
    """The scope that a TOML file declares. Raises `MisreadAll` with every problem and its line."""
    document = read_toml(data, file=file)
    return _scope(document.values, Problems(file, document.lines))


def scope_from_json(obj: object, *, file: str = "scope") -> Scope:
    """The scope that decoded JSON declares, times as RFC 3339 texts. Raises `MisreadAll`, which calls it `file`."""
    return _scope(obj, Problems(file))


def scope_to_json(scope: Scope) -> Mapping[str, Json]:
    """What `scope_from_json` reads back as the same scope; times in UTC, what is not set left out."""
    said: dict[str, Json | None] = {
        "principal": scope.principal,
        "team": scope.team,
        "purpose": scope.purpose,
        "starts": _written(scope.starts),
        "ends": _written(scope.ends),
        "max_rows": scope.max_rows,
        "max_subjects": scope.max_subjects,
        "justification": scope.justification,
        "training_run": scope.training_run,
        "assessment": scope.assessment,
        "datasets": {
            one.dataset: {"columns": list(one.columns)} | ({"rows": one.rows} if one.rows else {})
            for one in scope.datasets
        },
    }
    return {key: value for key, value in said.items() if value is not None}


def check_scope(scope: Scope, catalog: Catalog, policies: Policies, *, file: str = "scope") -> MisreadAll | None:
    """Why `scope` cannot become a grant under this bundle; None where it can.

    Columns that the store has and the catalog does not name may stand in a scope; reading them is `unclassified`.
    """
    problems = Problems(file)
    if not policies.knows_purpose(scope.purpose):
        near = problems.near(scope.purpose, {*policies.purposes, *PURPOSES})
        problems.add(("purpose",), f"unknown purpose `{shown(scope.purpose)}`", near)
    for one in scope.datasets:
        dataset = catalog.datasets.get(one.dataset)
        if dataset is None:
            near = problems.near(one.dataset, catalog.datasets)
            problems.add(("datasets", one.dataset), f"unknown dataset `{shown(one.dataset)}`", near)
        else:
            _check_dataset(one, dataset, problems)
    return problems.all()


def _check_dataset(scope: DatasetScope, dataset: Dataset, problems: Problems) -> None:
    path: Path = ("datasets", dataset.name)
    for index, name in enumerate(scope.columns):
        if name not in dataset.columns and name not in dataset.undeclared:
            reason = f"dataset `{dataset.name}` has no column `{shown(name)}`"
            problems.add((*path, "columns", index), reason, problems.near(name, dataset.columns))
    try:
        if scope.rows:
            typed(parse(scope.rows), {name: column.type for name, column in dataset.columns.items()})
    except UnknownColumn as unknown:
        reason = f"`rows` of `{dataset.name}` names `{shown(unknown.column)}`, which is no classified column"
        problems.add((*path, "rows"), reason, unknown.suggestion)
    except BadRows as bad:
        problems.add((*path, "rows"), f"`rows` of `{dataset.name}` was not understood: {bad}")


def _scope(obj: object, problems: Problems) -> Scope:
    if not isinstance(obj, Mapping):
        problems.add((), "a scope must be a table, or a JSON object")
        obj = {}
    table = Table(obj, (), problems)
    problems.raise_any()
    table.only(FIELDS)
    principal, team = _holder(table)
    scope = Scope(
        purpose=table.name("purpose", "the name of one purpose"),
        starts=_time(table, "starts"),
        ends=_time(table, "ends"),
        justification=_justification(table),
        datasets=tuple(_datasets(table)),
        principal=principal,
        team=team,
        max_rows=_most(table, "max_rows", LARGEST, "2⁵³"),
        max_subjects=_most(table, "max_subjects", MOST_SUBJECTS, "2³¹"),
        training_run=table.text("training_run", "the name of a training run", required=False) or None,
        assessment=table.text("assessment", "the name of an assessment", required=False) or None,
    )
    if UNSET not in (scope.starts, scope.ends) and scope.ends <= scope.starts:
        table.refuse("ends", "`ends` must be later than `starts`")
    problems.raise_any()
    return scope


def _holder(table: Table) -> tuple[str | None, str | None]:
    principal = table.text("principal", "the `sub` of one person's or service's token", required=False)
    if not principal.isprintable():
        table.refuse("principal", f"`{shown(principal)}` is no principal: it holds what does not print")
    team = table.name("team", "a team's name", required=False)
    named = [key for key in ("principal", "team") if table.values.get(key) is not None]
    if len(named) != 1:
        found = "both are there" if named else "neither is"
        table.refuse(named[1] if named else "principal", f"name `principal` or `team`, exactly one: {found}")
    return principal or None, team or None


def _time(table: Table, key: str) -> datetime:
    value = table.values.get(key)
    what = "a time with its zone, like 2026-11-01T00:00:00Z"
    if isinstance(value, str) and RFC_3339.fullmatch(value):
        value = _parsed(value)
    if value is None:
        table.refuse(key, f"`{key}` is missing: it must be {what}")
        return UNSET
    if isinstance(value, datetime) and value.tzinfo is not None:
        try:
            return value.astimezone(UTC)
        except OverflowError:
            table.refuse(key, f"`{key}` lies outside the years 1 to 9999")
            return UNSET
    table.refuse(key, f"`{key}` must be {what}")
    return UNSET


def _parsed(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return text


def _written(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _justification(table: Table) -> str:
    text = table.text("justification", "why the data is needed, in words")
    if text and not any(character.isalnum() for character in text):
        table.refuse("justification", "`justification` must say why the data is needed, in at least one word")
    return text


def _most(table: Table, key: str, beyond: int, written: str) -> int | None:
    value = table.values.get(key)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value < beyond:
        return value
    table.refuse(key, f"`{key}` must be a whole number, at least 1 and below {written}")
    return None


def _datasets(table: Table) -> Iterator[DatasetScope]:
    for name, value in table.entries("datasets", "name at least one dataset, like `[datasets.pointer_events]`"):
        one = table.within("datasets", name, value=value, what="a table with `columns`")
        if one is None or not one.is_named(name):
            continue
        one.only(("columns", "rows"))
        rows = "" if one.values.get("rows") == "" else one.text("rows", "a filter", required=False)
        yield DatasetScope(name, tuple(_columns(one)), rows)


def _columns(table: Table) -> Iterator[str]:
    names = list(table.items("columns", "a list of column names"))
    if not names and table.values.get("columns") in (None, []):
        table.refuse("columns", f"`{table.at('columns')}` is missing or empty: name the columns that are needed")
    seen: set[str] = set()
    for index, name in names:
        path = (*table.path, "columns", index)
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            table.problems.add(path, f"`{place(path)}` must be a column's name")
        elif name in seen:
            table.problems.add(path, f"column `{shown(name)}` is named twice in `{table.at('columns')}`")
        else:
            seen.add(name)
            yield name
