"""The life of requests and grants against a simple model: two desks over one PostgreSQL, the second of them in a
process of its own, any order, and now and then both at the same moment."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import NUMBERS, made_database
from desk import TEAMS, Desk, World, desk, person
from desk_process import Elsewhere, elsewhere
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
from policy.values import Grant, GrantStatus

LOW, HIGH = ("at", "x"), ("x", "key_ms")
WITH, WITHOUT = "with privacy", "without"
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

    here: Desk
    there: Elsewhere
    rulings: dict[str, object]
    number = itertools.count(1)

    ids = Bundle("ids")
    at = st.booleans()
    people = st.sampled_from(("otto", "oona", "pia", "bob", "requester"))

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Modelled] = {}
        self.own = next(self.number)
        self.switch(True)

    @property
    def now(self) -> datetime:
        return self.here.world.now

    @property
    def ruling(self) -> str:
        return WITH if self.has_privacy else WITHOUT

    def at_desk(self, is_here: bool, part: str, method: str, *arguments: object, **named: object) -> object:
        """Do it at the desk of this process, or at the other."""
        if is_here:
            return getattr(getattr(self.here, part), method)(*arguments, **named)
        return self.there.call(self.now, self.ruling, part, method, *arguments, **named)

    def state(self, id: str) -> str:
        known = self.known[id]
        return "lapsed" if known.state == "open" and self.now >= known.ends else known.state

    def named(self, id: str, who: str) -> str:
        return self.known[id].requester if who == "requester" else who

    def remember(self, id: str) -> None:
        """Keep the digest of what is shown now, to be named later."""
        self.known[id].shown[self.known[id].version] = self.here.shown(id)

    def switch(self, has_privacy: bool) -> None:
        self.has_privacy = has_privacy
        world = self.here.world
        world.bundle = self.rulings[self.ruling]  # type: ignore[assignment]
        self.here.control.activate(world.bundle, actor="remit")

    @rule(target=ids, is_here=at, columns=st.sampled_from((LOW, HIGH)), who=st.sampled_from(("ana", "lea")))
    def create(self, is_here: bool, columns: tuple[str, ...], who: str) -> str:
        name = f"{who}{self.own}"
        declared = self.here.declared(name, *columns)
        made = self.at_desk(is_here, "asking", "create", declared, person(name), self.now)
        assert isinstance(made, Request)
        parties = frozenset({"owner"} | ({"privacy"} if columns == HIGH else set()))
        self.known[made.id] = Modelled(name, parties, made.scope.ends)
        self.remember(made.id)
        return made.id

    @rule(id=ids, is_here=at, who=people, is_stale=st.booleans())
    def approve(self, id: str, is_here: bool, who: str, is_stale: bool) -> None:
        who, shown = self.named(id, who), self.known[id].shown
        version = 0 if is_stale else self.known[id].version
        named = {"shown": shown[version], "comment": "", "at": self.now}
        made = self.at_desk(is_here, "judging", "approve", id, person(who), **named)
        expected = self.approved(id, who, version)
        assert told(made) is expected
        assert expected is not None or made.state.value == self.known[id].state  # type: ignore[attr-defined]

    @rule(id=ids, pair=st.permutations(("otto", "oona", "pia")))
    def approve_both_at_the_same_moment(self, id: str, pair: list[str]) -> None:
        """Whoever comes first: as many approvals count, and the same becomes of the request."""
        named = {"shown": self.known[id].shown[self.known[id].version], "comment": "", "at": self.now}
        self.there.begin(self.now, self.ruling, "judging", "approve", id, person(pair[1]), **named)
        outcomes = [told(self.here.judging.approve(id, person(pair[0]), **named)), told(self.there.answer())]
        expected = [self.approved(id, who, self.known[id].version) for who in pair[:2]]
        assert outcomes.count(None) == expected.count(None)
        request = self.here.requests.get(id)
        assert request is not None
        # Who of the two was too late is theirs to settle; the model goes on from what became of it.
        self.known[id].approvals = [each.by.name for each in request.approvals]

    def approved(self, id: str, who: str, version: int) -> Reason | None:
        """What an approval must come to; where it counts, the model has it from now on."""
        known = self.known[id]
        if (wrong := self.wrong(id, who)) is not None:
            return wrong
        if version != known.version:
            return Reason.CHANGED
        counts = [each for each in known.approvals if roles(each, known.parties, self.has_privacy)]
        filled = most_filled(counts, known.parties, self.has_privacy)
        if who in counts or most_filled([*counts, who], known.parties, self.has_privacy) == filled:
            return Reason.NOT_APPROVER
        known.approvals = [*counts, who]
        known.state = "granted" if filled + 1 == len(known.parties) else "open"
        return None

    def wrong(self, id: str, who: str) -> Reason | None:
        """Why an approver's step must fail before it is looked at."""
        known = self.known[id]
        if self.state(id) != "open":
            return Reason.NOT_OPEN
        has_say = who != known.requester and roles(who, known.parties, self.has_privacy)
        return None if has_say else Reason.NOT_APPROVER

    @rule(id=ids, is_here=at, who=people, most=st.integers(1, 1200))
    def narrow(self, id: str, is_here: bool, who: str, most: int) -> None:
        known, who = self.known[id], self.named(id, who)
        expected = self.wrong(id, who)
        if expected is None and most >= known.rows:
            return
        named = {"shown": known.shown[known.version], "why": "less", "at": self.now}
        made = self.at_desk(is_here, "judging", "narrow", id, {"max_rows": most}, person(who), **named)
        assert told(made) is expected
        if expected is None:
            known.version, known.approvals, known.rows = known.version + 1, [], most
            self.remember(id)

    @rule(id=ids, is_here=at, who=people)
    def deny(self, id: str, is_here: bool, who: str) -> None:
        who = self.named(id, who)
        made = self.at_desk(is_here, "judging", "deny", id, person(who), why="no", at=self.now)
        expected = self.wrong(id, who)
        assert told(made) is expected
        if expected is None:
            self.known[id].state = "denied"

    @rule(id=ids, is_here=at, who=people)
    def withdraw(self, id: str, is_here: bool, who: str) -> None:
        known, who = self.known[id], self.named(id, who)
        made = self.at_desk(is_here, "judging", "withdraw", id, person(who), why="", at=self.now)
        if self.state(id) != "open":
            assert told(made) is Reason.NOT_OPEN
        elif who != known.requester:
            assert told(made) is Reason.NOT_APPROVER
        else:
            assert told(made) is None
            known.state = "withdrawn"

    @rule(id=ids, is_here=at)
    def revoke(self, id: str, is_here: bool) -> None:
        if self.known[id].state == "granted":
            request = self.here.requests.get(id)
            assert request is not None
            state = self.here.control.refresh()
            under = Permitted(SimpleNamespace(digest=state.bundle.digest), (), state.epoch)  # type: ignore[arg-type]
            named = {"by": person("otto"), "why": "over", "under": under}
            self.at_desk(is_here, "grants", "change", request.grant, GrantStatus.REVOKED, **named)
            self.known[id].is_revoked = True

    @rule(minutes=st.integers(1, 100))
    def time_passes(self, minutes: int) -> None:
        self.here.world.now += timedelta(minutes=minutes)

    @rule()
    def rules_change(self) -> None:
        self.switch(not self.has_privacy)

    @invariant()
    def both_desks_say_what_the_model_says(self) -> None:
        for id, known in self.known.items():
            for is_here in (True, False):
                request = self.at_desk(is_here, "requests", "get", id)
                assert isinstance(request, Request)
                assert request.at(self.now).value == self.state(id)
                assert (request.grant is not None) == (known.state == "granted")
                assert request.scope.max_rows == known.rows
                if request.grant is not None:
                    self.check_grant(self.at_desk(is_here, "grants", "get", request.grant), request, known)

    def check_grant(self, grant: object, request: Request, known: Modelled) -> None:
        assert isinstance(grant, Grant)
        assert grant.scope == request.scope
        is_over = self.now >= known.ends
        expected = GrantState.REVOKED if known.is_revoked else GrantState.EXPIRED if is_over else GrantState.ACTIVE
        assert grant_state(grant, self.now) is expected


def told(outcome: object) -> Reason | None:
    """Why a step could not be taken; None where it was."""
    assert isinstance(outcome, Request | Cannot), outcome
    return outcome.reason if isinstance(outcome, Cannot) else None


@pytest.fixture(scope="module")
def machine(server: Embedded, folder: Path) -> Iterator[type[Machine]]:
    place = Path(tempfile.mkdtemp(dir=folder))
    with ExitStack() as stack:
        made = stack.enter_context(made_database(server, f"test_{next(NUMBERS)}"))
        world = World(place)
        without = world.with_rules(WITHOUT_PRIVACY)
        engine = engine_for(made.url())
        stack.callback(engine.dispose)
        here = stack.enter_context(desk(world, engine, "here"))
        texts = {WITH: POLICIES, WITHOUT: WITHOUT_PRIVACY}
        there = stack.enter_context(elsewhere(place, made.url(), texts, "there"))
        own = {"here": here, "there": there, "rulings": {WITH: world.bundle, WITHOUT: without}}
        yield type("Made", (Machine,), own)


def test_the_life_of_requests_and_grants_is_what_the_model_says(machine: type[Machine]) -> None:
    run_state_machine_as_test(
        machine, settings=settings(settings.get_profile("remit"), max_examples=15, stateful_step_count=20)
    )
