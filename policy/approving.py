"""Who must approve a scope, and whether those who did are enough. Pure.

A party is somebody who must say yes: `owner <team>` for the owner of each dataset, `privacy` from high on, `security`
for critical. Nobody stands for two parties of one request, and nobody who would use the grant stands for any.

What an `approve` rule gives: it names a team for a data class and a purpose, like `privacy, *, user, approve, -, clear,
allow`. Its team stands for `privacy` or `security` where that word is one part of the team's name (`privacy`,
`legal.privacy`), and only for a request all of whose classes of that level it allows. A deny takes it away, from
owners too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .bundle import Bundle
from .values import Action, Dataset, Principal, Scope, Sensitivity, Treatment

LEVELS: tuple[tuple[str, Sensitivity], ...] = (("privacy", Sensitivity.HIGH), ("security", Sensitivity.CRITICAL))
"""From which sensitivity on each must approve, beside the owner."""
OWNER = "owner "
Asked = tuple[Dataset, tuple[str, ...]]
"""A dataset, and the data classes of what is asked of it."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Who must approve `scope`: `parties` in their order, under one bundle."""

    scope: Scope
    asked: tuple[Asked, ...]
    parties: tuple[str, ...]
    bundle: Bundle

    def stands_for(self, who: Principal) -> tuple[str, ...]:
        """The parties that `who` can stand for by their teams and the rules."""
        return tuple(party for party in self.parties if self._stands(who, party))

    def is_users(self, who: Principal) -> bool:
        """Whether `who` would read under it: themselves, or as a member of the team that it is for."""
        return self.scope.is_for(who)

    def is_let(self, who: Principal, party: str, dataset: Dataset, classes: tuple[str, ...]) -> bool:
        """Whether an `approve` rule lets `who` stand for `party` on one of these classes at least."""
        return any(self._is_allowed(who, party, dataset, name) for name in classes)

    def _stands(self, who: Principal, party: str) -> bool:
        if party.startswith(OWNER):
            team = party.removeprefix(OWNER)
            own = [one for one in self.asked if one[0].owner == team]
            return who.is_member(team) and not any(self._denied(who, one) for one in own)
        least = dict(LEVELS)[party]
        level = self.bundle.policies.sensitivity_of
        sensitive = ((dataset, name) for dataset, classes in self.asked for name in classes if level(name) >= least)
        return all(self._is_allowed(who, party, dataset, name) for dataset, name in sensitive)

    def _denied(self, who: Principal, asked: Asked) -> bool:
        dataset, classes = asked
        ask = self.bundle.engine.ask
        return any(ask(who, self.scope.purpose, dataset, name, Action.APPROVE).effect == "deny" for name in classes)

    def _is_allowed(self, who: Principal, party: str, dataset: Dataset, data_class: str) -> bool:
        answer = self.bundle.engine.ask(who, self.scope.purpose, dataset, data_class, Action.APPROVE)
        if answer.effect != "allow" or answer.treatment is not Treatment.CLEAR:
            return False
        teams = {rule.name: rule.team for rule in self.bundle.policies.rules}
        return any(party in teams[name].split(".") for name in answer.rules)


def panel_of(scope: Scope, bundle: Bundle) -> Panel:
    """Who must approve `scope`; its datasets and columns are those of the bundle's catalog."""
    datasets = bundle.catalog.datasets
    asked = tuple((datasets[one.dataset], _classes(datasets[one.dataset], one.columns)) for one in scope.datasets)
    level = bundle.policies.sensitivity_of
    highest = max((level(name) for _, classes in asked for name in classes), default=Sensitivity.CRITICAL)
    owners = dict.fromkeys(f"{OWNER}{dataset.owner}" for dataset, _ in asked)
    return Panel(scope, asked, (*owners, *(party for party, least in LEVELS if highest >= least)), bundle)


def missing(parties: Sequence[str], can: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The parties that nobody stands for when each of `can` (who approved, in order) stands for one of theirs.

    As many as possible are filled, whatever the order in which people came: Kuhn's algorithm for matchings.
    """
    held: dict[str, int] = {}
    for person in range(len(can)):
        _placed(person, can, held, set())
    return tuple(party for party in parties if party not in held)


def _placed(person: int, can: Sequence[tuple[str, ...]], held: dict[str, int], tried: set[str]) -> bool:
    for party in can[person]:
        if party not in tried:
            tried.add(party)
            if party not in held or _placed(held[party], can, held, tried):
                held[party] = person
                return True
    return False


def _classes(dataset: Dataset, columns: Sequence[str]) -> tuple[str, ...]:
    """The data classes of these columns; none for one that the catalog does not name, which nobody gets either."""
    named: Mapping[str, str] = {name: column.data_class for name, column in dataset.columns.items()}
    return tuple(sorted({named[name] for name in columns if name in named}))


def may_end(scope: Scope, who: Principal, bundle: Bundle) -> bool:
    """Whether `who` may end a grant of `scope` whatever its sensitivity: owners of its datasets, privacy, security.

    It needs less than to approve: one class of it will do, for ending never lets anybody see more.
    """
    datasets = bundle.catalog.datasets
    known = tuple(
        (datasets[one.dataset], _classes(datasets[one.dataset], one.columns))
        for one in scope.datasets
        if one.dataset in datasets
    )
    if any(who.is_member(dataset.owner) for dataset, _ in known):
        return True
    panel = Panel(scope, known, (), bundle)
    return any(panel.is_let(who, party, *one) for party, _ in LEVELS for one in known)
