"""Requests without HTTP: everything that asking and judging take, over one PostgreSQL, as often as a test wants it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb
from service import CATALOG, EVENTS, POLICIES
from sqlalchemy import Engine

from audit.ledger import Ledger
from authz.asking import Asking, Declared
from authz.control import Control
from authz.gate import Gate
from authz.grants import GrantStore
from authz.holds import Holds
from authz.in_force import InForceStore
from authz.judging import Judging, Outcome
from authz.keys import Keys
from authz.looks import look
from authz.pauses import PauseStore
from authz.reach import Reach
from authz.reader import Reader
from authz.records import Records
from authz.requests import Request, RequestStore
from authz.reviews import Reviews
from policy.bundle import Bundle, load_bundle
from policy.effect import Effect, effect_of
from policy.scopes import scope_from_json
from policy.values import Attribute, Principal

SENTENCE = "Pointer paths for the computer-use model, run cua-7b-v3."
TRAINED: tuple[tuple[str, Attribute], ...] = (("privacy_training", "current"),)
TEAMS = {
    "otto": ("collection.mci",),
    "oona": ("collection.mci", "privacy"),
    "pia": ("privacy",),
    "sam": ("security",),
    "bob": ("sales",),
}


def person(name: str) -> Principal:
    """One of `TEAMS`, or else a trained researcher."""
    if name in TEAMS:
        return Principal(name, teams=TEAMS[name])
    return Principal(name, teams=("research.ml",), attributes=TRAINED)


@dataclass
class World:
    """What all desks share: a clock that only goes on, and the bundle that the files give."""

    folder: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    bundle: Bundle = field(init=False)

    def __post_init__(self) -> None:
        for name in ("events", "long"):
            place = self.folder / "data" / name / "part.parquet"
            place.parent.mkdir(parents=True)
            duckdb.sql(f"COPY ({EVENTS}) TO '{place}' (FORMAT parquet)")
        self.bundle = self.with_rules()

    def with_rules(self, policies: str = POLICIES, catalog: str = CATALOG) -> Bundle:
        """The bundle that these texts give, over the files as they are now."""
        (self.folder / "policies.conf").write_text(policies)
        (self.folder / "catalog.toml").write_text(catalog)
        return load_bundle(
            self.folder / "policies.conf", self.folder / "catalog.toml", partial(look, folder=self.folder)
        )


@dataclass(frozen=True)
class Desk:
    """One gateway's share."""

    world: World
    engine: Engine
    ledger: Ledger
    control: Control
    requests: RequestStore
    grants: GrantStore
    asking: Asking
    judging: Judging
    reviews: Reviews

    def declared(
        self, who: str, *columns: str, rows: str = "", break_glass: bool = False, hours: float = 3
    ) -> Declared:
        """What `who` asks for: these columns of `events` from now on."""
        now = self.world.now
        scope = {
            "principal": who,
            "purpose": "train_ai_system.computer_use",
            "starts": now.isoformat(),
            "ends": (now + timedelta(hours=hours)).isoformat(),
            "justification": SENTENCE,
            "max_rows": 1000,
            "datasets": {"events": {"columns": list(columns), "rows": rows}},
        }
        return Declared(scope_from_json(scope), break_glass)

    def asked(self, who: str, *columns: str, rows: str = "", break_glass: bool = False, hours: float = 3) -> Request:
        """A request of theirs that must be taken in."""
        declared = self.declared(who, *columns, rows=rows, break_glass=break_glass, hours=hours)
        made = self.asking.create(declared, person(who), self.world.now)
        assert isinstance(made, Request), made
        return made

    def approve(self, id: str, who: str, shown: str | None = None) -> Outcome:
        """Approve what is shown now."""
        digest = shown or self.shown(id)
        return self.judging.approve(id, person(who), shown=digest, comment="", at=self.world.now)

    def shown(self, id: str) -> str:
        """The digest of what is shown of a request now; empty where the rules allow it no more."""
        request = self.requests.get(id)
        assert request is not None
        effect = effect_of(request.scope, request.reader, self.world.bundle)
        return effect.digest if isinstance(effect, Effect) else ""


@contextmanager
def desk(world: World, engine: Engine, name: str) -> Iterator[Desk]:
    """A desk with a ledger, stores and a reader of its own."""
    clock: Callable[[], datetime] = lambda: world.now  # noqa: E731  # it has to look each time
    ledger = Ledger(engine, gateway=name, clock=clock)
    pauses, grants = PauseStore(engine, ledger), GrantStore(engine, ledger)
    gate = Gate(engine, ledger, Holds(engine, grants), pauses, clock)
    control = Control(ledger, InForceStore(engine), lambda: world.bundle, world.bundle, gate)
    keys = Keys.open(world.folder / "home")
    reader = Reader(catalog_folder=world.folder, keys=keys)
    records, requests = Records(keys.of_literals()), RequestStore(engine)
    reach = Reach(reader, ledger, records)
    shared = {"control": control, "ledger": ledger, "requests": requests, "reach": reach, "records": records}
    try:
        yield Desk(
            world,
            engine,
            ledger,
            control,
            requests,
            grants,
            Asking(**shared),
            Judging(**shared),
            Reviews(engine, ledger, clock),
        )
    finally:
        reader.close()
        ledger.close()
