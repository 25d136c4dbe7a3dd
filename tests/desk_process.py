"""A desk in a process of its own, as another gateway has it, and a way to speak with it."""

import multiprocessing
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from desk import World, desk

from audit.engines import engine_for

LONGEST = 120


class Joined(World):
    """The world as a desk finds it that comes later: the data is there already."""

    def __post_init__(self) -> None:
        self.bundle = self.with_rules()


@dataclass
class Elsewhere:
    """The desk over there: `call` waits for the answer, `begin` does not, and then `answer` has to be asked for.

    Each call says which time it is and which rules the files have.
    """

    pipe: Connection

    def call(self, now: datetime, policies: str, part: str, method: str, *arguments: Any, **named: Any) -> Any:
        """What `part.method` of the desk gives: its values travel, as they are frozen."""
        self.begin(now, policies, part, method, *arguments, **named)
        return self.answer()

    def begin(self, now: datetime, policies: str, part: str, method: str, *arguments: Any, **named: Any) -> None:
        """Ask, and go on."""
        self.pipe.send((now, policies, part, method, arguments, named))

    def answer(self) -> Any:
        """What came of what was begun."""
        assert self.pipe.poll(LONGEST), "the other process does not answer"
        is_done, result = self.pipe.recv()
        assert is_done, result
        return result


@contextmanager
def elsewhere(folder: Path, url: str, rulings: Mapping[str, str], name: str) -> Iterator[Elsewhere]:
    """A process with a desk on `url`; `rulings` are texts of policies by the names that calls give them."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, folder, url, rulings, name))
    process.start()
    theirs.close()
    try:
        there = Elsewhere(ours)
        assert there.answer() == "ready"
        yield there
        ours.send(None)
        process.join(LONGEST)
        assert process.exitcode == 0
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()


def serve(pipe: Connection, folder: Path, url: str, rulings: Mapping[str, str], name: str) -> None:
    """Be that process, until None comes."""
    world = Joined(folder)
    bundles = {ruling: world.with_rules(policies) for ruling, policies in rulings.items()}
    engine = engine_for(url)
    with desk(world, engine, name) as here:
        pipe.send((True, "ready"))
        while (asked := pipe.recv()) is not None:
            world.now, policies, part, method, arguments, named = asked
            world.bundle = bundles[policies]
            try:
                pipe.send((True, getattr(getattr(here, part), method)(*arguments, **named)))
            except Exception:  # noqa: BLE001  # told to the one who asked, whose test it fails
                pipe.send((False, traceback.format_exc()))
    engine.dispose()
