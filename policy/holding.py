"""What must stay closed: an access that was too wide, and outsiders like it, each asked in two ways. Pure.

By the rules alone: with a hypothetical grant of the whole dataset, and nothing paused. Whole: as a read is decided,
with the grants and pauses that there are. Only a way in which an access was refused counts from then on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product

from .bundle import Bundle
from .decide import decide
from .decision import Allow, Code, Decision, Refuse
from .names import ANY, is_within
from .pausing import touches
from .values import Action, Dataset, DatasetScope, Grant, Pause, Principal, ReadRequest, Scope

OUTSIDERS = 10
STRANGER = "somebody else"
"""Who is nobody: no token has blanks in its `sub` where an issuer is sane, and if one had, this is a name like any."""
LACKS_A_GRANT = frozenset(
    {Code.NO_GRANT, Code.NOT_STARTED, Code.EXPIRED, Code.REVOKED, Code.SUSPENDED, Code.BEYOND_BUDGET}
)
"""Refusals that a new grant is the mend of: where the rules let an access in, an approval of it is no hole."""


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody's ask for something, as it was or as it could be."""

    principal: Principal
    request: ReadRequest


@dataclass(frozen=True, slots=True)
class Held:
    """An access that must stay refused: by the rules alone, on the whole path, or both."""

    access: Access
    is_outsider: bool
    by_rules: bool
    whole: bool


@dataclass(frozen=True, slots=True)
class Ways:
    """What the two ways of asking say now; True is open."""

    by_rules: bool
    whole: bool


@dataclass(frozen=True, slots=True)
class Force:
    """What an access is decided under: a bundle, the grants that may cover it, the pauses, a time."""

    bundle: Bundle
    grants: Sequence[Grant]
    pauses: Sequence[Pause]
    at: datetime


def ways(access: Access, force: Force) -> Ways:
    """Which of the two ways are open."""
    by_rules = _by_rules(access, force.bundle, force.at)
    return Ways(isinstance(by_rules, Allow), isinstance(_whole(access, force), Allow))


def held(access: Access, force: Force, *, is_outsider: bool, suspended: str | None = None) -> Held:
    """What must stay refused of this access, from what is refused now. `suspended` is a grant that is about to be.

    An outsider counts only where something else than a pause refuses it, for what a pause stops may go on afterwards.
    Whether only a grant was missing is asked with that grant: it must not seem so because it is taken away.
    """
    by_rules = isinstance(_by_rules(access, force.bundle, force.at), Refuse)
    unpaused = _whole(access, replace(force, pauses=()))
    left = [grant for grant in force.grants if grant.id != suspended]
    now = unpaused if is_outsider else _whole(access, replace(force, grants=left))
    lacks_a_grant = isinstance(unpaused, Refuse) and unpaused.code in LACKS_A_GRANT
    return Held(access, is_outsider, by_rules, isinstance(now, Refuse) and (by_rules or not lacks_a_grant))


def is_touched(access: Access, pause: Pause, bundle: Bundle) -> bool:
    """Whether `pause` stops this access, so that lifting it may open it."""
    dataset = bundle.catalog.datasets.get(access.request.dataset)
    return dataset is not None and touches(pause, access.principal, dataset.name, _purpose(access, dataset, bundle))


def outsiders(access: Access, bundle: Bundle) -> tuple[Access, ...]:
    """Ten others like `access`, always the same for the same bundle: of other teams, for other purposes, unknown.

    They ask for the same; each differs from the one who asked too much in something that a rule may go by.
    """
    found: dict[tuple[object, ...], Access] = {}
    for principal, purpose in _others(access, bundle):
        request = replace(access.request, purpose=purpose)
        found.setdefault((principal, purpose), Access(principal, request))
        if len(found) == OUTSIDERS:
            break
    return tuple(found.values())


def _others(access: Access, bundle: Bundle) -> Iterator[tuple[Principal, str]]:
    who, dataset = access.principal, bundle.catalog.datasets[access.request.dataset]
    purpose = _purpose(access, dataset, bundle)
    yield replace(who, attributes=()), purpose
    yield replace(who, teams=()), purpose
    yield Principal(STRANGER), purpose
    teams = [team for team in _teams(bundle) if not who.is_member(team)]
    purposes = [each for each in _purposes(bundle) if not is_within(purpose, each) and not is_within(each, purpose)]
    for team in teams[:4]:
        yield replace(who, name=STRANGER, teams=(team,)), purpose
    for each in purposes[:3]:
        yield who, each
    for team, each in product([*teams, *(f"nobodys.team_{n}" for n in range(OUTSIDERS))], [purpose, *purposes]):
        yield replace(who, name=STRANGER, teams=(team,)), each


def _teams(bundle: Bundle) -> list[str]:
    """Every team that the rules or an audience name, in the order of their names."""
    ruled = {rule.team for rule in bundle.policies.rules}
    return sorted((ruled | {one.team for each in bundle.catalog.datasets.values() for one in each.audience}) - {ANY})


def _purposes(bundle: Bundle) -> list[str]:
    ruled = {rule.purpose for rule in bundle.policies.rules if rule.action is Action.READ}
    declared = {one.purpose for each in bundle.catalog.datasets.values() for one in each.audience}
    return sorted((ruled | declared | set(bundle.policies.purposes)) - {ANY})


def _by_rules(access: Access, bundle: Bundle, at: datetime) -> Decision:
    dataset = bundle.catalog.datasets.get(access.request.dataset)
    if dataset is None:
        return decide(access.request, access.principal, (), (), bundle, at)
    purpose = _purpose(access, dataset, bundle)
    columns = tuple(dict.fromkeys((*dataset.columns, *(access.request.columns or ()))))
    scope = Scope(
        purpose=purpose,
        starts=at,
        ends=at + timedelta(days=1),
        justification="a hold check: nobody has this grant",
        datasets=(DatasetScope(dataset.name, columns),),
        principal=access.principal.name,
    )
    request = replace(access.request, purpose=purpose)
    return decide(request, access.principal, (Grant("hypothetical", scope),), (), bundle, at)


def _whole(access: Access, force: Force) -> Decision:
    return decide(access.request, access.principal, force.grants, force.pauses, force.bundle, force.at)


def _purpose(access: Access, dataset: Dataset, bundle: Bundle) -> str:
    """The purpose that was asked for; where none was, one that the owner declared, or any that there is."""
    declared: Iterable[str] = (one.purpose for one in dataset.audience if one.purpose != ANY)
    return access.request.purpose or next(iter(declared), None) or next(iter(_purposes(bundle)), "")
