"""Who could read a dataset, interval by interval: what changed, cut where it changed, and decided anew in between.

Every interval is half-open, [since, until), in UTC. What always holds: where nothing changes nothing is cut, and
whoever could read at a moment stands in exactly one interval of each of the grants that let them.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from .bundle import Bundle
from .imagined import Imagined, reach_by_rules
from .lives import GrantLife, Past
from .reach import Reach, reach
from .values import Grant, GrantStatus, Pause, Principal

TOKEN_LIVES = timedelta(hours=1, seconds=30)
"""For how long after it was seen a token may still be shown: an hour, and the skew of clocks."""


@dataclass(frozen=True, slots=True)
class Could:
    """Whoever `who` is could read this under `grant`. `who` is None for anybody else of the grant's team.

    `is_seen` says whether it was decided for tokens that were seen; else it is the most that a token could get.
    """

    since: datetime
    until: datetime
    grant: str
    who: str | None
    is_seen: bool
    reach: Reach


@dataclass(frozen=True, slots=True)
class ByRules:
    """Whoever was in `team` would only have needed a grant for this."""

    since: datetime
    until: datetime
    team: str
    reach: Reach


def who_could(past: Past, dataset: str, since: datetime, until: datetime) -> tuple[Could, ...]:
    """Everybody who could have read `dataset` in [since, until), by grant, person and time."""
    return _Times(past, dataset, since, until).who_could()


def by_rules_alone(past: Past, dataset: str, since: datetime, until: datetime) -> tuple[ByRules, ...]:
    """Which teams the rules and the audience let in, grants aside; by team and time."""
    return _Times(past, dataset, since, until).by_rules()


class _Times:
    def __init__(self, past: Past, dataset: str, since: datetime, until: datetime) -> None:
        self._past, self._dataset, self._since, self._until = past, dataset, since, until
        asked = [one.bundle.policies.principal_attributes for one in past.bundles if one.bundle is not None]
        # Attributes that no condition asks of change nothing: a token that differs in them alone is no other.
        self._attributes = frozenset[str]().union(*asked)
        self._everywhere = list(_everywhere(past, dataset))
        self._imagined: dict[tuple[str, str | None], Imagined] = {}
        self._reached: dict[tuple[object, ...], Reach] = {}
        self._ruled_by: dict[tuple[object, ...], Mapping[str, Reach]] = {}

    def who_could(self) -> tuple[Could, ...]:
        covering = [grant for grant in self._past.grants if grant.scope.of(self._dataset) is not None]
        return tuple(could for grant in covering for who in self._holders(grant) for could in self._could(grant, who))

    def by_rules(self) -> tuple[ByRules, ...]:
        steps = [(start, end, self._ruled(start)) for start, end in self._intervals((), self._since, self._until)]
        teams = sorted({team for *_, found in steps for team in found})
        return tuple(
            ByRules(start, end, team, found)
            for team in teams
            for start, end, found in merged((start, end, one.get(team, ())) for start, end, one in steps)
        )

    def _holders(self, grant: GrantLife) -> tuple[str | None, ...]:
        """Whom the grant may be for; None is anybody whose token says its team and whom nobody has seen."""
        scope = grant.scope
        if scope.principal is not None:
            return (scope.principal,)
        members = [name for name, seen in self._past.seen.items() if any(scope.is_for(one.principal) for one in seen)]
        return (*sorted(members), None)

    def _could(self, grant: GrantLife, who: str | None) -> Iterator[Could]:
        runs = self._runs(who)
        moments = {*grant.moments, *(moment for run in runs for moment in (run.first, run.last + TOKEN_LIVES))}
        first, last = max(self._since, grant.added, grant.scope.starts), min(self._until, grant.scope.ends)
        intervals = self._intervals(moments, first, last) if first < last else ()
        steps = ((start, end, self._reach(grant, who, runs, start)) for start, end in intervals)
        for start, end, found in merged(steps):
            yield Could(start, end, grant.id, who, bool(runs), found)

    def _reach(self, grant: GrantLife, who: str | None, runs: "Sequence[_Run]", at: datetime) -> Reach:
        here, held = self._here(at), grant.at(at)
        if here.bundle is None or held is None or held.status is not GrantStatus.ACTIVE:
            return ()
        asked = [_Asked(here.bundle, held, who, token, here.pauses) for token in _shown(runs, at) or (None,)]
        return tuple(dict.fromkeys(opening for one in asked for opening in self._remembered(one, at)))

    def _remembered(self, asked: "_Asked", at: datetime) -> Reach:
        if asked.key not in self._reached:
            self._reached[asked.key] = self._decided(asked, at)
        return self._reached[asked.key]

    def _decided(self, asked: "_Asked", at: datetime) -> Reach:
        bundle, grant = asked.bundle, asked.grant
        if asked.token is not None:
            return reach(bundle, self._dataset, grant, asked.token, asked.pauses, at)
        team = grant.scope.team if asked.who is None else None
        if (bundle.digest, team) not in self._imagined:
            self._imagined[bundle.digest, team] = Imagined.of(bundle, team)
        return self._imagined[bundle.digest, team].reach(self._dataset, grant, asked.pauses, at, name=asked.who)

    def _ruled(self, at: datetime) -> Mapping[str, Reach]:
        here = self._here(at)
        if here.bundle is None:
            return {}
        if here.key not in self._ruled_by:
            self._ruled_by[here.key] = reach_by_rules(here.bundle, self._dataset, here.pauses, at)
        return self._ruled_by[here.key]

    def _here(self, at: datetime) -> "_Here":
        place = bisect_right(self._everywhere, at, key=lambda here: here.since)
        return self._everywhere[place - 1] if place else _Here(at, None, ())

    def _runs(self, who: str | None) -> "list[_Run]":
        seen = self._past.seen.get(who, ()) if who is not None else ()
        runs: list[_Run] = []
        before: Principal | None = None
        for one in seen:
            if one.principal is before or (runs and repr(self._relevant(one.principal)) == repr(runs[-1].principal)):
                runs[-1].last = one.at
            else:
                runs.append(_Run(one.at, one.at, self._relevant(one.principal)))
            before = one.principal
        return runs

    def _relevant(self, principal: Principal) -> Principal:
        asked = tuple(pair for pair in principal.attributes if pair[0] in self._attributes)
        return replace(principal, attributes=asked)

    def _intervals(
        self, moments: Iterable[datetime], first: datetime, last: datetime
    ) -> Iterator[tuple[datetime, datetime]]:
        """The pieces of [first, last) between these moments and the changes that concern everybody."""
        low = bisect_right(self._everywhere, first, key=lambda here: here.since)
        high = bisect_left(self._everywhere, last, key=lambda here: here.since)
        inside = {moment for moment in moments if first < moment < last}
        inside.update(here.since for here in self._everywhere[low:high])
        return pairwise(sorted({first, *inside, last}))


@dataclass(frozen=True, slots=True, eq=False)
class _Here:
    """What concerned everybody from `since` on: the bundle, and the pauses, each once, whoever set it and why."""

    since: datetime
    bundle: Bundle | None
    pauses: tuple[Pause, ...]

    @property
    def key(self) -> tuple[object, ...]:
        """The same where nothing else was in force."""
        return (self.bundle and self.bundle.digest, *((pause.kind, pause.target) for pause in self.pauses))


def _everywhere(past: Past, dataset: str) -> Iterator[_Here]:
    """Bundles and pauses together, cut where they change anything for the dataset; oldest first."""
    bundles = {life.since: life.bundle for life in past.bundles}
    changes: dict[datetime, list[tuple[int, Pause]]] = {}
    for one in past.pauses:
        if one.pause.kind != "dataset" or one.pause.target == dataset:
            changes.setdefault(one.since, []).append((1, one.pause))
            if one.until is not None:
                changes.setdefault(one.until, []).append((-1, one.pause))
    bundle: Bundle | None = None
    holding: Counter[tuple[str, str]] = Counter()
    pauses: dict[tuple[str, str], Pause] = {}
    last: tuple[object, ...] | None = None
    for moment in sorted({*bundles, *changes}):
        bundle = bundles.get(moment, bundle)
        for change, pause in changes.get(moment, ()):
            pauses[pause.kind, pause.target] = pause
            holding[pause.kind, pause.target] += change
        here = _Here(moment, bundle, tuple(pauses[key] for key in sorted(holding) if holding[key] > 0))
        if here.key != last:
            yield here
        last = here.key


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What one interval's answer depends on; `token` is None where nobody has seen one."""

    bundle: Bundle
    grant: Grant
    who: str | None
    token: Principal | None
    pauses: tuple[Pause, ...]

    @property
    def key(self) -> tuple[object, ...]:
        """The same for the same answer. The token by its text, for to Python 1 is True."""
        pauses = tuple((pause.kind, pause.target) for pause in self.pauses)
        return self.bundle.digest, self.grant.id, self.who, repr(self.token), pauses


@dataclass(slots=True)
class _Run:
    """Sightings that say the same, one after the other."""

    first: datetime
    last: datetime
    principal: Principal


def merged(steps: Iterable[tuple[datetime, datetime, Reach]]) -> Iterator[tuple[datetime, datetime, Reach]]:
    """Steps that follow each other and say the same as one; those that say nothing left out."""
    open_: tuple[datetime, datetime, Reach] | None = None
    for start, end, found in steps:
        if open_ is not None and open_[1:] == (start, found):
            open_ = (open_[0], end, found)
            continue
        if open_ is not None and open_[2]:
            yield open_
        open_ = (start, end, found)
    if open_ is not None and open_[2]:
        yield open_


def _shown(runs: Sequence[_Run], at: datetime) -> tuple[Principal, ...]:
    """The tokens that could be shown at a moment: the last that was seen, and those whose time was not over.

    Before the first was seen it is that one: nothing else is known.
    """
    if not runs:
        return ()
    begun = [run for run in runs if run.first <= at] or [runs[0]]
    shown = [run.principal for run in begun if run is begun[-1] or at < run.last + TOKEN_LIVES]
    return tuple({repr(principal): principal for principal in shown}.values())
