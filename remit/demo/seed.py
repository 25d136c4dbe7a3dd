"""Makes up one working day of a company: the data, its catalog, its policies, and one declared scope.

The same `seed` and `day` give the same bytes. Nobody but the owner of the files can read them.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from .hands import keystrokes, pointer_events
from .texts import performance_reviews, private_conversations, prompts, screen_text
from .working_day import plan_day

GRANT_DAYS = 30
SCOPES = ("request.toml", "paths.toml")


def seed(
    folder: Path, *, day: date, employees: int = 200, pointer_rows: int = 2_000_000, seed: int = 2026
) -> Mapping[str, int]:
    """Writes `policies.conf`, `catalog.toml`, two scopes and `data/` into `folder`; gives the rows of each dataset.

    The scopes of `request.toml` and `paths.toml` are in force from the beginning of `day` for 30 days. Raises
    `FileExistsError` where `folder` has data already: what is there is never mixed with new data.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "data").mkdir(mode=0o700)
    counts = dict.fromkeys(_DATASETS, 0)
    for name, part, table in _tables(day, employees, pointer_rows, seed):
        _write_parquet(folder / "data" / name / f"{part}.parquet", table)
        counts[name] += table.num_rows
    for name, text in _texts(day).items():
        _write(folder / name, text.encode())
    return counts


_DATASETS = (
    "pointer_events",
    "keystrokes",
    "screen_text",
    "prompts",
    "private_conversations",
    "performance_reviews",
)


def _tables(day: date, employees: int, pointer_rows: int, seed: int) -> Iterator[tuple[str, str, pa.Table]]:
    """Each dataset in parts: its name, the part's name, the rows; one at a time, for they are large."""
    rng = np.random.default_rng([seed, day.toordinal()])
    staff = plan_day(rng, employees)
    for part, table in _by_hour(pointer_events(rng, staff, pointer_rows, day)):
        yield "pointer_events", part, table
    for part, table in _by_hour(keystrokes(rng, staff, employees * 1_500, day)):
        yield "keystrokes", part, table
    whole = day.isoformat()
    yield "screen_text", whole, screen_text(rng, staff, employees * 60, day)
    yield "prompts", whole, prompts(rng, staff, employees * 9, day)
    yield "private_conversations", whole, private_conversations(rng, staff, employees * 12, day)
    yield "performance_reviews", whole, performance_reviews(rng, staff, day)


def _by_hour(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """A table in the order of time, cut into the hours that a recorder would have written."""
    hours = pc.strftime(pc.floor_temporal(table["occurred_at"], unit="hour"), format="%Y-%m-%dT%H").to_numpy()
    names, begins = np.unique(hours, return_index=True)
    for name, begin, end in zip(names, begins, [*begins[1:], len(hours)], strict=True):
        yield str(name), table.slice(begin, end - begin)


def _texts(day: date) -> Mapping[str, str]:
    starts = datetime.combine(day, time(), UTC)
    ends = starts + timedelta(days=GRANT_DAYS)
    here = files(__package__)
    texts = {name: (here / name).read_text() for name in ("policies.conf", "catalog.toml", *SCOPES)}
    for mark, value in {"{starts}": starts.isoformat(), "{ends}": ends.isoformat(), "{day}": day.isoformat()}.items():
        texts |= {name: texts[name].replace(mark, value) for name in SCOPES}
    return texts


def _write_parquet(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(_for_its_owner(path), "wb") as file:
        parquet.write_table(table, file, compression="zstd")


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(_for_its_owner(path), "wb") as file:
        file.write(data)


def _for_its_owner(path: Path) -> int:
    # the mode is given at the making: even for a moment nobody else can open what is inside
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
