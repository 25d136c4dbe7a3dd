"""A few `kill -9` under load, of gateways, of PostgreSQL's backends and of its postmaster; `make torture` has 1,000."""

import tempfile
from pathlib import Path

import pytest
from onslaught import onslaught


@pytest.mark.slow
def test_killed_under_load_no_rows_went_out_without_an_entry_and_every_read_has_its_end(folder: Path) -> None:
    place = Path(tempfile.mkdtemp(dir=folder))
    place.chmod(0o711)
    with onslaught(place, seed=5) as load:
        assert load.run(6).startswith("6 kill -9")
