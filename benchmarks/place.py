"""Where it all happens: a folder of its own and one embedded PostgreSQL, as durable as the real one, for one run."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from conftest import Database

from audit.postgres import GATEWAY, Embedded
from audit.schema import migrate


@dataclass(frozen=True, slots=True)
class Place:
    """`database` makes databases that live until the end of the run; `stack` closes what is entered into it."""

    folder: Path
    server: Embedded
    stack: ExitStack

    def database(self, name: str) -> Database:
        """A fresh database with Remit's own schema: its tables, indexes and triggers."""
        made = Database(self.server, name)
        with psycopg.connect(self.server.url("owner"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        migrate(made.url("owner"), GATEWAY)
        self.stack.callback(made.close)
        return made

    def subfolder(self, name: str) -> Path:
        """A folder that only this user gets into."""
        made = self.folder / name
        made.mkdir(mode=0o700)
        return made


@contextmanager
def place() -> Iterator[Place]:
    """A place until the end of the `with`; nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="remit-bench-"))
    try:
        if os.geteuid() == 0:
            folder.chmod(0o711)  # the account that runs PostgreSQL has to get through
        with Embedded.open(folder / "home") as server, ExitStack() as stack:
            yield Place(folder, server, stack)
    finally:
        shutil.rmtree(folder)
