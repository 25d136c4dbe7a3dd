"""A scope to ask for, out of a file or out of answers on a terminal."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from math import isfinite
from typing import Any, TypeVar

import typer

from remit.answers import Dataset
from remit.client import Client
from remit.errors import Misuse, Refused

from . import options, terminal

DAYS = 30
MOST_DIGITS = 17
T = TypeVar("T")


def scope_of_file(data: bytes, name: str) -> dict[str, Any]:
    """What a scope file says, as JSON has it. Raises `MisreadAll` where it is no TOML; the gateway judges the rest."""
    # imported here: the taxonomy behind it takes longer to load than most commands take
    from policy.toml_lines import read_toml

    return {key: _plain(value) for key, value in read_toml(data, file=name).values.items()}


def note_answers(scope: Mapping[str, Any]) -> None:
    """What was answered, as a scope file: nobody types it again because the gateway did not take it."""
    terminal.note("what you answered, to be mended in a file for `remit requests create FILE`:")
    for key, value in scope.items():
        if key not in ("datasets", "break_glass"):
            terminal.note(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    for name, one in scope["datasets"].items():
        terminal.note(f"[datasets.{json.dumps(name, ensure_ascii=False)}]")
        for key, value in one.items():
            terminal.note(f"{key} = {json.dumps(value, ensure_ascii=False)}")


def scope_of_answers(gateway: Client, *, at_once: bool = False) -> dict[str, Any]:
    """What somebody at a terminal answers; they are shown which columns there are and what they would see of them.

    An answer that cannot be meant is asked for again. `at_once` asks for no times: the gateway knows them.
    """
    asked: dict[str, dict[str, Any]] = {}
    datasets: list[Dataset] = []
    while dataset := _dataset(gateway, asked):
        datasets.append(dataset)
        asked[dataset.name] = _wanted(dataset)
    purpose = _answer("purpose", _text, default=_purpose_of(datasets))
    times = {} if at_once else _times()
    scope: dict[str, Any] = {"purpose": purpose, "datasets": asked} | times
    scope["max_rows"] = _answer("at most how many rows (empty: any)", _number)
    scope["max_subjects"] = _answer("at most how many people (empty: any)", _number)
    scope["justification"] = _answer("why, in a sentence", _sentence)
    scope["training_run"] = _answer("for which training run (empty: none)", str)
    scope["assessment"] = _answer("under which assessment, like DPIA-2026-014 (empty: none)", str)
    return {key: value for key, value in scope.items() if value not in (None, "")}


def _dataset(gateway: Client, asked: Mapping[str, object]) -> Dataset | None:
    """The next dataset, its columns shown; None after the last."""

    def known(name: str) -> Dataset | None:
        if asked and not name:
            return None
        if not name or name in asked:
            raise Misuse("name a dataset that is not there yet: `remit datasets` lists them")
        try:
            return gateway.dataset(name)
        except Refused as refused:
            if refused.code != "unknown_dataset":
                raise
            raise Misuse(f"{refused.detail}; {refused.help}") from refused

    found = _answer("another dataset (empty: no more)" if asked else "dataset", known)
    for column in found.columns if found else ():
        terminal.say(f"  {column.name:<20} {column.treatment or '':<10} {column.data_class or ''}")
    return found


def _wanted(dataset: Dataset) -> dict[str, Any]:
    """Which columns and rows of it."""
    names = {column.name for column in dataset.columns}

    def columns(text: str) -> list[str]:
        found = [name.strip() for name in text.split(",") if name.strip()]
        if not found or not names.issuperset(found):
            unknown = ", ".join(f"`{name}`" for name in found if name not in names)
            raise Misuse(f"`{dataset.name}` has no column {unknown}" if unknown else "name one column at least")
        return list(dict.fromkeys(found))

    def filter(text: str) -> str:
        # imported here as above
        from policy.errors import BadRows
        from policy.rows import columns_of, parse, typed
        from policy.values import ColumnType

        if not text:
            return text
        try:
            parsed = parse(text)
            if unknown := columns_of(parsed) - names:
                raise Misuse(f"`{dataset.name}` has no column {', '.join(sorted(unknown))}")
            typed(parsed, {column.name: ColumnType(column.type) for column in dataset.columns})
        except BadRows as bad:
            raise Misuse(f"the filter was not understood: {bad}") from bad
        return text

    chosen = _answer("columns, with commas between", columns)
    rows = _answer("rows (a filter, empty for every row)", filter)
    return {"columns": chosen} | ({"rows": rows} if rows else {})


def _purpose_of(datasets: Sequence[Dataset]) -> str:
    """The one purpose that every one of them is meant for; nothing where there are several, or none."""
    shared = set.intersection(*({one.purpose for one in each.audience} for each in datasets))
    return shared.pop() if len(shared) == 1 else ""


def _times() -> dict[str, str]:
    def start(text: str) -> datetime:
        return options.instant(text or None, "from") or datetime.now(UTC)

    starts = _answer("from, like 2026-12-01T00:00:00Z (empty: now)", start)

    def end(text: str) -> datetime:
        try:
            return max(starts, datetime.now(UTC)) + timedelta(days=_number(text) or DAYS)
        except OverflowError as far:
            raise Misuse("that is too far away: name fewer days") from far

    return {"starts": starts.isoformat(), "ends": _answer("for how many days", end, default=str(DAYS)).isoformat()}


def _answer(question: str, read: Callable[[str], T], default: str = "") -> T:
    """The answer as `read` understands it; the question again, with why, where that raises `Misuse`."""
    while True:
        text = str(typer.prompt(question, default=default, show_default=bool(default))).strip()
        try:
            return read(text)
        except Misuse as unfit:
            terminal.note(f"  {unfit}")


def _text(text: str) -> str:
    if not text:
        raise Misuse("it has to be answered")
    return text


def _sentence(text: str) -> str:
    # imported here as above
    from policy.declared import unfit_sentence

    if unfit := unfit_sentence(text):
        raise Misuse(unfit)
    return text


def _number(text: str) -> int | None:
    plain = text.replace(",", "").replace("_", "")
    if plain and not (plain.isascii() and plain.isdigit() and len(plain) < MOST_DIGITS and int(plain) > 0):
        raise Misuse(f"`{text}` is no whole number above 0")
    return int(plain) if plain else None


def _plain(value: object) -> Any:
    """TOML's values as JSON has them: times and dates are written out, and so is what is no number there."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
