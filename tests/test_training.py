"""What docs/training.md shows is run: no row is charged twice, however many workers read."""

import itertools
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from service import Service

TEXT = (Path(__file__).parents[1] / "docs/training.md").read_text()
ONE_READ, SHARDED, TORCH = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
EDGES = range(100, 1000, 100)
ROWS = 1000


@pytest.fixture
def grant(service: Service, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment of a researcher who has a grant with a budget of exactly the rows that there are."""
    monkeypatch.setenv("REMIT_URL", service.url)
    monkeypatch.setenv("REMIT_TOKEN", service.token("ana"))
    return service.grant(columns=["x", "at"], max_rows=ROWS)


def shown(grant: str) -> dict[str, Any]:
    """What the sharded example defines; its reads name the grant, for the test's reader has many."""
    names: dict[str, Any] = {}
    exec(SHARDED.replace("rows=shard)", f"rows=shard, grant={grant!r})"), names)  # noqa: S102  # our own page
    return names


def used(service: Service, grant: str) -> int:
    (found,) = [each for each in service.call("GET", "/v1/grants").json()["items"] if each["id"] == grant]
    return int(found["rows_used"])


def test_one_read_is_cut_into_steps_of_one_size(service: Service, grant: str) -> None:
    steps: list[pa.RecordBatch] = []
    code = ONE_READ.replace('"pointer_events", columns=["x", "y"]', f'"events", columns=["x"], grant={grant!r}')
    exec(code.replace("1024", "300"), {"step": steps.append})  # noqa: S102  # our own page
    assert [step.num_rows for step in steps] == [300, 300, 300]


@pytest.mark.parametrize("workers", [1, 3, 16])
def test_workers_that_share_the_shards_charge_each_row_once(service: Service, grant: str, workers: int) -> None:
    names = shown(grant)
    shards = names["shards"]("x", EDGES)

    def work(worker: int) -> list[int]:
        batches = names["rows"]("events", ["x"], shards[worker::workers], 64)
        return [x for batch in batches for x in batch["x"].to_pylist()]

    with ThreadPoolExecutor(workers) as pool:
        found = list(itertools.chain(*pool.map(work, range(workers))))
    assert sorted(found) == list(range(ROWS))
    assert used(service, grant) == ROWS


def test_every_row_fits_exactly_one_shard_and_those_without_a_value_none(service: Service) -> None:
    shards = shown("g")["shards"]("x", [0, 500, 999])
    assert shards == ["x < 0", "x >= 0 and x < 500", "x >= 500 and x < 999", "x >= 999"]
    grant = service.grant(columns=["x"])
    found = [service.rows(grant=grant, rows=shard).num_rows for shard in shards]
    assert found == [0, 500, 499, 1]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed; it is no dependency")
@pytest.mark.parametrize("workers", [0, 2])
def test_the_pytorch_dataset_reads_each_row_once_however_many_workers_there_are(
    service: Service, grant: str, tmp_path: Path, workers: int
) -> None:
    code = SHARDED.replace("rows=shard)", f"rows=shard, grant={grant!r})") + TORCH
    code += f"""
if __name__ == "__main__":
    found = loader(GrantedRows("events", ["x"], shards("x", {list(EDGES)}), 64), {workers})
    batches = list(found)
    assert all(batch.shape[1] == 1 and len(batch) <= 64 for batch in batches)
    assert sorted(torch.cat(batches)[:, 0].tolist()) == list(range({ROWS}))
"""
    (tmp_path / "training.py").write_text(code)
    done = subprocess.run([sys.executable, "training.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert used(service, grant) == ROWS
