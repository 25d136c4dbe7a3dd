"""Ledgers of many shapes for tests: written, signed and co-signed by the product's own parts, and then left alone."""

import itertools
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import psycopg
from sqlalchemy import Engine

import audit.checkpointer
from audit import cosignatures
from audit.checkpointer import Checkpointer
from audit.engines import engine_for
from audit.entries import Entry, Kind
from audit.head import Session
from audit.instances import held_locks, lock_key
from audit.ledger import Ledger
from audit.ledger_keys import NAME, read, rotate
from audit.notes import COSIGNED, Note, Signature, Signer, Verifier
from audit.proofs import prove_consistency
from audit.submissions import Submission, address
from audit.tilestore import StoredTree
from witness.cosigning import Witness
from witness.memory import Memory

WITNESS = Signer("witness.example/w", COSIGNED, b"w" * 32)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a ledger came about: of `size` entries the last `tail` are under no checkpoint yet."""

    size: int
    gateways: int = 1
    rotations: int = 0
    restarts: int = 0
    looks: int = 6
    tail: int = 0
    seed: int = 0


def documents(url: str, kind: Kind) -> list[dict[str, Any]]:
    """What all entries of this kind say, oldest first."""
    with psycopg.connect(url) as connection:
        query = "SELECT doc FROM audit_entries WHERE doc ->> 'kind' = %s ORDER BY seq"
        return [doc for (doc,) in connection.execute(query, (str(kind),))]


def wait_until_gone(engine: Engine, gateway: str) -> None:
    """PostgreSQL notices a moment later that a session was closed; a process takes longer than that to start."""
    with engine.connect() as connection:
        session = cast(Session, connection.connection.driver_connection)
        while lock_key(gateway) in held_locks(session):
            time.sleep(0.005)


@dataclass
class Grown:
    """A ledger, who writes it, and the witness that has seen its newest checkpoint."""

    engine: Engine
    folder: Path
    ledgers: list[Ledger]
    checkpointers: list[Checkpointer] = field(default_factory=list)
    witness: Witness | None = None
    witnessed: int = 0

    signers: list[Signer] = field(default_factory=list)
    """Every key that ever signed; somebody noted the first one of each gateway when the ledger began."""

    @property
    def home(self) -> Path:
        return self.folder / "home-0"

    @property
    def keys(self) -> tuple[Verifier, ...]:
        """What others need to check what was signed."""
        return tuple(signer.verifier for signer in self.signers)

    @property
    def noted(self) -> tuple[Verifier, ...]:
        """The first key of each gateway."""
        return self.keys[: len(self.checkpointers)]

    def seen(self) -> Note:
        """What the witness says that it saw last."""
        assert self.witness is not None
        return Note.parse(self.witness.latest(address(self.signers[0].name)).text.encode())

    def begin(self, gateways: int) -> None:
        """The first checkpoint, over the entry that names the key."""
        for number in range(gateways):
            home = self.folder / f"home-{number}"
            home.mkdir(parents=True)
            ledger = self.ledgers[number % len(self.ledgers)]
            self.checkpointers.append(Checkpointer(self.engine, ledger, key=home / NAME, home=home))
            self.checkpointers[-1].look()
        self.signers = [read(self.folder / f"home-{number}" / NAME).signers[0] for number in range(gateways)]
        self._watch()

    def append(self, entries: list[Entry], by: int = 0) -> None:
        """The first of them as a read is appended, which holds the gateway's lock; the others at once."""
        ledger, first, others = self.ledgers[by % len(self.ledgers)], entries[:1], entries[1:]
        for entry in first:
            ledger.append(entry)
        ledger.change(lambda _: others, raises_epoch=False)

    def look(self, by: int = 0) -> None:
        """A checkpoint, shown to the witness."""
        self.checkpointers[by % len(self.checkpointers)].look()
        self._show()

    def rotate(self) -> None:
        """A new key in front; the witness learns of it as whoever runs it would tell it."""
        self.signers.append(rotate(self.home / NAME).signers[0])
        self.checkpointers[0].look()
        self._watch()

    def restart(self, number: int) -> None:
        """The first gateway dies without a word, and another one starts in its place."""
        self.ledgers[0].close()
        wait_until_gone(self.engine, self.ledgers[0]._gateway)
        self.ledgers[0] = Ledger(self.engine, gateway=f"gw-again-{number}", clock=_now)
        self.ledgers[0].close_orphans(self.ledgers[0].missing())
        if self.checkpointers:
            self.checkpointers[0] = Checkpointer(self.engine, self.ledgers[0], key=self.home / NAME, home=self.home)

    def close(self) -> None:
        for ledger in self.ledgers:
            ledger.close()
        self.engine.dispose()

    def _watch(self) -> None:
        """A witness of all keys, with the memory that it has."""
        self.witness = Witness(WITNESS, self.keys, Memory(self.folder / "witness"), time.time)
        self._show()

    def _show(self) -> None:
        with self.engine.connect() as connection:
            newest = cosignatures.latest(connection)
            if newest is None or newest[0] == self.witnessed:
                return
            session = cast(Session, connection.connection.driver_connection)
            tree, old, size = StoredTree.read(session), self.witnessed, newest[0]
            proof = tree.work(session, lambda node: prove_consistency(old, size, node))
        assert self.witness is not None
        answer = self.witness.add(bytes(Submission(old, tuple(proof), newest[1])))
        assert answer.status == 200, answer
        with self.engine.begin() as connection:
            signature = Signature.parse(answer.text.removesuffix("\n"))
            cosignatures.keep(connection, size, WITNESS.verifier, signature)
        self.witnessed = size


@contextmanager
def grown(url: str, folder: Path, shape: Shape) -> Iterator[Grown]:
    """A ledger of this shape in the empty database at `url`; its gateways live until the end of the `with`."""
    with ExitStack() as stack:
        stack.enter_context(_signing_at_once())
        ledgers = []
        engine = engine_for(url)
        for number in range(shape.gateways):
            ledgers.append(Ledger(engine, gateway=f"gw-{number}", clock=_now))
        made = Grown(engine, folder, ledgers)
        stack.callback(made.close)
        _grow(made, shape)
        yield made


def _grow(made: Grown, shape: Shape) -> None:
    if not shape.size:
        return
    chance, story = random.Random(shape.seed), happenings(shape.seed)
    made.begin(shape.gateways)
    looks = sorted(chance.sample(range(1, shape.size), min(shape.looks, shape.size - 1)))
    restarts = set(looks[: shape.restarts])
    rotations = set(looks[len(restarts) : len(restarts) + shape.rotations])
    for number, size in enumerate([*looks, shape.size - shape.tail]):
        _fill(made, story, size, number)
        if size in restarts:
            made.restart(number)
        if size in rotations:
            made.rotate()
        made.look(number)
    _fill(made, story, shape.size, 0)


def _fill(made: Grown, story: Iterator[Entry], size: int, by: int) -> None:
    made.append(list(itertools.islice(story, max(0, size - made.ledgers[0].head().size))), by)


def happenings(seed: int) -> Iterator[Entry]:
    """What goes on in a company, without end: reads with their ends, refusals, grants, alerts; one read stays open."""
    chance = random.Random(seed)
    yield Entry(Kind.POLICY_ACTIVATED, "remit", digest="d-0", details={"catalog": "[datasets]", "rules": 12})
    for number in itertools.count(1):
        who, read_ = chance.choice(("ana", "max", "zoë", "李")), f"r-{seed}-{number}"
        asked = {"dataset": "events", "grant": f"g-{number % 3}", "purpose": "train_ai_system", "digest": "d-0"}
        about: dict[str, object] = {"columns": ["x", "y"], "limit": number, "clear": True, "rows": None}
        if number % 5 == 0:
            yield Entry(Kind.READ_REFUSED, who, code="no_grant", excess="outside", dataset="events")
        elif number % 7 == 0:
            yield Entry(Kind.GRANT_ADDED, "eve", grant=f"g-{number}", details={"scope": {"principal": who}})
        elif number % 11 == 0:
            yield Entry(Kind.ALERT_RAISED, "remit", code="no_grant", details={"severity": 3, "of": number})
        else:
            yield Entry(Kind.READ_AUTHORIZED, who, ("research.ml",), read_, details=about, **asked)  # type: ignore[arg-type]
            if number != 1:
                ended = {"rows": number, "bytes": 10 * number}
                yield Entry(Kind.READ_COMPLETED, who, ("research.ml",), read_, details=ended, **asked)


@contextmanager
def _signing_at_once() -> Iterator[None]:
    apart, audit.checkpointer.APART = audit.checkpointer.APART, 0
    try:
        yield
    finally:
        audit.checkpointer.APART = apart


def _now() -> datetime:
    return datetime.now(UTC)
