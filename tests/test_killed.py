"""Gateways killed with `kill -9` while they record, raise and send: no alert lost, none told under another key."""

from pathlib import Path
from typing import TYPE_CHECKING

from killed import contained, outlived

if TYPE_CHECKING:
    from tests.conftest import Database


def test_gateways_killed_at_random_points_lose_no_alert_and_tell_none_under_another_key(
    database: "Database", tmp_path: Path
) -> None:
    said = outlived(database.url(), tmp_path, kills=15, seed=7)
    assert said.alerts > 15


def test_gateways_killed_while_they_contain_leave_every_alert_contained_once_with_its_pause_and_entries(
    database: "Database",
) -> None:
    assert contained(database.url(), kills=8, seed=7, alerts=200)
