"""The life of requests and grants against a simple model: two desks on two engines over one PostgreSQL, any order."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from conftest import NUMBERS, made_database
from desk import TEAMS, Desk, World, desk, person
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from service import POLICIES

from audit.engines import engine_for
from audit.postgres import Embedded
from authz.permit import Permitted
from authz.requests import Request
from authz.standing import Cannot, Reason
from policy.lifecycle import GrantState, grant_state
from policy.values import GrantStatus

LOW, HIGH = ("at", "x"), ("x", "key_ms")
WITHOUT_PRIVACY = "\n".join(line for line in POLICIES.splitlines() if not line.startswith("privacy_approves")) + "\n"


@dataclass
class Modelled:
    """A request as the model knows it."""

    requester: str
    parties: frozenset[str]
    ends: datetime
    state: str = "open"
    version: int = 0
    approvals: list[str] = field(default_factory=list)
    shown: dict[int, str] = field(default_factory=dict)
    rows: int = 1000
    is_revoked: bool = False


def roles(who: str, parties: frozenset[str], has_privacy: bool) -> frozenset[str]:
    """What somebody can stand for, written down by hand."""
    teams = TEAMS.get(who, ())
    own = {"owner"} if "collection.mci" in teams else set()
    own |= {"privacy"} if has_privacy and "privacy" in teams else set()
    return frozenset(own) & parties


def most_filled(people: list[str], parties: frozenset[str], has_privacy: bool) -> int:
    """How many parties these people fill, each at most one: by trying everything."""
    best = 0
    for order in itertools.permutations(sorted(parties)):
        for chosen in itertools.permutations(people, min(len(order), len(people))):
            pairs = zip(order, chosen, strict=False)
            best = max(best, sum(party in roles(who, parties, has_privacy) for party, who in pairs))
    return best


class Machine(RuleBasedStateMachine):
    """Every step at one of two desks; what comes back is what the model says."""

    desks: tuple[Desk, Desk]
    world: World
    rulings: dict[bool, object]
    number = itertools.count(1)

    ids = Bundle("ids")
    at = st.integers(0, 1)
    people = st.sampled_from(("otto", "oona", "pia", "bob", "requester"))

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Modelled] = {}
        self.own = next(self.number)
        self.switch(True)

    @property
    def now(self) -> datetime:
        return self.world.now

    def state(self, id: str) -> str:
        known = self.known[id]
        return "lapsed" if known.state == "open" and self.now >= known.ends else known.state

    def named(self, id: str, who: str) -> str:
        return self.known[id].requester if who == "requester" else who

    def remember(self, id: str) -> None:
        """Keep the digest of what is shown now, to be named later."""
        self.known[id].shown[self.known[id].version] = self.desks[0].shown(id)

    def switch(self, has_privacy: bool) -> None:
        self.has_privacy = has_privacy
        self.world.bundle = self.rulings[has_privacy]  # type: ignore[assignment]
        self.desks[0].control.activate(self.world.bundle, actor="remit")

    @rule(target=ids, desk=at, columns=st.sampled_from((LOW, HIGH)), who=st.sampled_from(("ana", "lea")))
    def create(self, desk: int, columns: tuple[str, ...], who: str) -> str:
        name = f"{who}{self.own}"
        made = self.desks[desk].asking.create(self.desks[desk].declared(name, *columns), person(name), self.now)
        assert isinstance(made, Request)
        parties = frozenset({"owner"} | ({"privacy"} if columns == HIGH else set()))
        self.known[made.id] = Modelled(name, parties, made.scope.ends)
        self.remember(made.id)
        return made.id

    @rule(id=ids, desk=at, who=people, is_stale=st.booleans())
    def approve(self, id: str, desk: int, who: str, is_stale: bool) -> None:
        known, who = self.known[id], self.named(id, who)
        version = 0 if is_stale else known.version
        judging = self.desks[desk].judging
        made = judging.approve(id, person(who), shown=known.shown[version], comment="", at=self.now)
        if (wrong := self.wrong(id, who)) is not None:
            assert isinstance(made, Cannot)
            assert made.reason is wrong
            return
        if version != known.version:
            assert isinstance(made, Cannot)
            assert made.reason is Reason.CHANGED
            return
        counts = [each for each in known.approvals if roles(each, known.parties, self.has_privacy)]
        filled = most_filled(counts, known.parties, self.has_privacy)
        if who in counts or most_filled([*counts, who], known.parties, self.has_privacy) == filled:
            assert isinstance(made, Cannot)
            assert made.reason is Reason.NOT_APPROVER
            return
        known.approvals = [*counts, who]
        known.state = "granted" if filled + 1 == len(known.parties) else "open"
        assert isinstance(made, Request)
        assert made.state.value == known.state

    def wrong(self, id: str, who: str) -> Reason | None:
        """Why an approver's step must fail before it is looked at."""
        known = self.known[id]
        if self.state(id) != "open":
            return Reason.NOT_OPEN
        has_say = who != known.requester and roles(who, known.parties, self.has_privacy)
        return None if has_say else Reason.NOT_APPROVER

    @rule(id=ids, desk=at, who=people, most=st.integers(1, 1200))
    def narrow(self, id: str, desk: int, who: str, most: int) -> None:
        known, who = self.known[id], self.named(id, who)
        if self.wrong(id, who) is None and most >= known.rows:
            return
        shown = known.shown[known.version]
        judging = self.desks[desk].judging
        made = judging.narrow(id, {"max_rows": most}, person(who), shown=shown, why="less", at=self.now)
        if (wrong := self.wrong(id, who)) is not None:
            assert isinstance(made, Cannot)
            assert made.reason is wrong
            return
        assert isinstance(made, Request)
        known.version, known.approvals, known.rows = known.version + 1, [], most
        self.remember(id)

    @rule(id=ids, desk=at, who=people)
    def deny(self, id: str, desk: int, who: str) -> None:
        who = self.named(id, who)
        made = self.desks[desk].judging.deny(id, person(who), why="no", at=self.now)
        if (wrong := self.wrong(id, who)) is not None:
            assert isinstance(made, Cannot)
            assert made.reason is wrong
        else:
            assert isinstance(made, Request)
            self.known[id].state = "denied"

    @rule(id=ids, desk=at, who=people)
    def withdraw(self, id: str, desk: int, who: str) -> None:
        known, who = self.known[id], self.named(id, who)
        made = self.desks[desk].judging.withdraw(id, person(who), why="", at=self.now)
        if self.state(id) != "open":
            assert isinstance(made, Cannot)
            assert made.reason is Reason.NOT_OPEN
        elif who != known.requester:
            assert isinstance(made, Cannot)
            assert made.reason is Reason.NOT_APPROVER
        else:
            known.state = "withdrawn"

    @rule(id=ids, desk=at)
    def revoke(self, id: str, desk: int) -> None:
        if self.known[id].state == "granted":
            request = self.desks[desk].requests.get(id)
            assert request is not None
            assert request.grant is not None
            state = self.desks[desk].control.refresh()
            under = Permitted(state.bundle, (), state.epoch)
            grants = self.desks[desk].grants
            grants.change(request.grant, GrantStatus.REVOKED, by=person("otto"), why="over", under=under)
            self.known[id].is_revoked = True

    @rule(minutes=st.integers(1, 100))
    def time_passes(self, minutes: int) -> None:
        self.world.now += timedelta(minutes=minutes)

    @rule()
    def rules_change(self) -> None:
        self.switch(not self.has_privacy)

    @invariant()
    def both_desks_say_what_the_model_says(self) -> None:
        for id, known in self.known.items():
            for each in self.desks:
                request = each.requests.get(id)
                assert request is not None
                assert request.at(self.now).value == self.state(id)
                assert (request.grant is not None) == (known.state == "granted")
                assert request.scope.max_rows == known.rows
                if request.grant is not None:
                    self.check_grant(each, request, known)

    def check_grant(self, at: Desk, request: Request, known: Modelled) -> None:
        grant = at.grants.get(str(request.grant))
        assert grant is not None
        assert grant.scope == request.scope
        is_over = self.now >= known.ends
        expected = GrantState.REVOKED if known.is_revoked else GrantState.EXPIRED if is_over else GrantState.ACTIVE
        assert grant_state(grant, self.now) is expected


@pytest.fixture(scope="module")
def machine(server: Embedded, folder: Path) -> Iterator[type[Machine]]:
    place = Path(tempfile.mkdtemp(dir=folder))
    with ExitStack() as stack:
        made = stack.enter_context(made_database(server, f"test_{next(NUMBERS)}"))
        world = World(place)
        engines = [engine_for(made.url()) for _ in range(2)]
        for engine in engines:
            stack.callback(engine.dispose)
        desks = [stack.enter_context(desk(world, each, f"desk-{n}")) for n, each in enumerate(engines)]
        without = world.with_rules(WITHOUT_PRIVACY)
        own = {"desks": tuple(desks), "world": world, "rulings": {True: world.bundle, False: without}}
        yield type("Made", (Machine,), own)


def test_the_life_of_requests_and_grants_is_what_the_model_says(machine: type[Machine]) -> None:
    run_state_machine_as_test(
        machine, settings=settings(settings.get_profile("remit"), max_examples=15, stateful_step_count=20)
    )
