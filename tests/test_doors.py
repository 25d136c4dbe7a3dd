"""Doors to stores are kept, and made once however many wait for one."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from reading import Shelf

from authz import doors
from authz.doors import Doors
from authz.stores import Door

CALLERS = 16


def test_reads_that_come_at_once_make_one_door_and_another_when_files_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Door] = []

    class Counted(Door):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr(doors, "Door", Counted)
    shelf, kept, start = Shelf(tmp_path), Doors(tmp_path), Barrier(CALLERS)

    def ask(_: int) -> Door:
        start.wait()
        return kept.door(shelf.location)

    with ThreadPoolExecutor(CALLERS) as threads:
        for rows in ([1], [1, 2]):
            shelf.put({"x": rows})
            (door,) = set(threads.map(ask, range(CALLERS)))
            assert door is made[-1]
            assert door.run("SELECT count(*) FROM dataset").read(1)[0].column(0).to_pylist() == [len(rows)]
    assert len(made) == 2
    kept.close()
