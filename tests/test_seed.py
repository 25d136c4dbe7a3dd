"""The demo's made-up day: believable, the same each time, and only for its owner's eyes; and its own gateway."""

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet
from service import Service

from authz.looks import look
from policy.bundle import load_bundle
from policy.scopes import check_scope, load_scope
from remit.demo.seed import seed
from remit.demo.stage import Stage

DAY = date(2026, 11, 21)
SIZE = {"employees": 40, "pointer_rows": 200_000}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "demo"
    seed(folder, day=DAY, **SIZE)
    return folder


@pytest.fixture(scope="module")
def pointer(made: Path) -> pa.Table:
    return parquet.read_table(made / "data" / "pointer_events")


def test_the_same_seed_makes_the_same_bytes_and_another_others(made: Path, tmp_path: Path) -> None:
    seed(tmp_path / "again", day=DAY, **SIZE)
    seed(tmp_path / "other", day=DAY, seed=1, **SIZE)
    assert _digests(tmp_path / "again") == _digests(made)
    assert _digests(tmp_path / "other") != _digests(made)


def test_it_counts_what_it_wrote(made: Path, tmp_path: Path) -> None:
    counts = seed(tmp_path / "again", day=DAY, **SIZE)
    assert counts["pointer_events"] == 200_000
    assert counts == {each.name: parquet.read_table(each).num_rows for each in (made / "data").iterdir()}


def test_nobody_else_can_read_it(made: Path) -> None:
    for path in [made, *made.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_new_data_is_never_mixed_with_old(made: Path) -> None:
    before = _digests(made)
    with pytest.raises(FileExistsError):
        seed(made, day=DAY, **SIZE)
    assert _digests(made) == before


def test_its_policies_catalog_and_scope_are_understood_and_fit_the_data(made: Path) -> None:
    bundle = load_bundle(made / "policies.conf", made / "catalog.toml", lambda catalog: look(catalog, made))
    scope = load_scope((made / "request.toml").read_bytes(), file="request.toml")
    assert check_scope(scope, bundle.catalog, bundle.policies) is None
    assert scope.starts.date() == DAY
    assert bundle.catalog.datasets["pointer_events"].undeclared == {"window_title"}
    assert all(not each.undeclared for name, each in bundle.catalog.datasets.items() if name != "pointer_events")


def test_people_work_between_eight_and_six_and_most_of_them_have_lunch(pointer: pa.Table) -> None:
    hours = np.bincount(pc.hour(pointer["occurred_at"]).to_numpy(), minlength=24)
    assert hours[:8].sum() == 0
    assert hours[18:].sum() < 0.001 * hours.sum()
    assert hours[12] < 0.8 * min(hours[11], hours[14])
    assert hours[8] < hours[10] > hours[17]


def test_pointers_move_like_hands_from_where_they_were_and_slow_down_to_click(pointer: pa.Table) -> None:
    stroke_lengths = []
    for path in _paths(pointer):
        steps = np.hypot(np.diff(path["x"].to_numpy()), np.diff(path["y"].to_numpy()))
        gaps = np.diff(path["occurred_at"].to_numpy()).astype(float) / 1e6
        clicks = np.flatnonzero(path["button"].is_valid().to_numpy(zero_copy_only=False)[1:])
        assert steps[clicks].mean() < steps[gaps < 0.2].mean()
        assert (gaps > 0).mean() > 0.99
        stroke_lengths.append(np.median(np.diff(np.flatnonzero(gaps > 0.2))))
    assert 10 < np.median(stroke_lengths) < 120


def test_the_recorders_miss_nobody_and_reviews_are_by_others(made: Path) -> None:
    for name in ("pointer_events", "keystrokes", "screen_text", "performance_reviews"):
        assert pc.count_distinct(parquet.read_table(made / "data" / name)["employee_id"]).as_py() == 40
    reviews = parquet.read_table(made / "data" / "performance_reviews")
    assert not pc.any(pc.equal(reviews["employee_id"], reviews["reviewer_id"])).as_py()


def test_the_repositorys_own_files_are_those_of_the_demo(made: Path) -> None:
    for name in ("policies.conf", "catalog.toml"):
        assert (Path(__file__).parents[1] / name).read_bytes() == (made / name).read_bytes()


def _paths(pointer: pa.Table) -> Iterator[pa.Table]:
    for person in ("e0001", "e0002", "e0003"):
        yield pointer.filter(pc.equal(pointer["employee_id"], person)).sort_by("occurred_at").combine_chunks()


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_demo_takes_no_other_gateway_for_its_own(service: Service, tmp_path: Path) -> None:
    own = Stage(tmp_path, service.url, service.provider.url, "secret")
    assert own.is_ready()
    assert not replace(own, issuer="http://127.0.0.1:1").is_ready()
    assert not replace(own, gateway="http://127.0.0.1:1").is_ready()
