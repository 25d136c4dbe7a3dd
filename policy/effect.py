"""What the rules make of a scope before it is a grant: each column's treatment and who must approve, or why it cannot
be. Pure: decided by the very table that decides reads, on the grant as it would be.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .approving import Panel, panel_of
from .bundle import Bundle
from .decide import decide
from .decision import Allow, PlannedColumn, Refuse
from .rows import columns_of, parse
from .scopes import Json, scope_to_json
from .values import Grant, Principal, ReadRequest, Scope, Sensitivity, Treatment

DRAFT = "this request"
"""What stands in the place of a grant's id while there is none."""


@dataclass(frozen=True, slots=True)
class DatasetEffect:
    """What would be seen of one dataset: what a read of all of the scope would be let through as."""

    plan: Allow

    @property
    def dataset(self) -> str:
        """Its name."""
        return self.plan.dataset.name

    @property
    def columns(self) -> tuple[PlannedColumn, ...]:
        """Its columns with their treatments."""
        return self.plan.columns

    @property
    def is_telling(self) -> bool:
        """Whether a number of rows tells what the treatments hide: the filter names a column that is not clear.

        The scope's own filter, that is: a budget of subjects only asks that there is one.
        """
        clear = {each.column.name for each in self.columns if each.treatment is Treatment.CLEAR}
        own = self.plan.grant.scope.of(self.dataset)
        return own is not None and own.rows != "" and not columns_of(parse(own.rows)) <= clear


@dataclass(frozen=True, slots=True)
class Effect:
    """What a scope would let its reader see, how sensitive that is, and who must approve it."""

    datasets: tuple[DatasetEffect, ...]
    sensitivity: Sensitivity
    panel: Panel

    def to_json(self) -> Mapping[str, Json]:
        """As it is shown and recorded; canonical JSON by construction."""
        return {
            "datasets": {
                one.dataset: {
                    "columns": [
                        {
                            "name": each.column.name,
                            "class": each.column.data_class,
                            "treatment": str(each.treatment),
                            "sensitivity": str(self.panel.bundle.policies.sensitivity_of(each.column.data_class)),
                        }
                        for each in one.columns
                    ],
                    "rules": list(one.plan.rules),
                }
                for one in self.datasets
            },
            "sensitivity": str(self.sensitivity),
            "parties": list(self.panel.parties),
        }

    @property
    def digest(self) -> str:
        """Names the scope with its treatments and parties: what was approved is this and nothing else.

        The rules' names and the order of parties are left out: a rule that is renamed changes nothing that anybody
        approved, and a scope comes back from the database with its datasets in another order.
        """
        shown = {one.dataset: [[e.column.name, str(e.treatment)] for e in one.columns] for one in self.datasets}
        parts = [scope_to_json(self.panel.scope), shown, str(self.sensitivity), sorted(self.panel.parties)]
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def reader_of(scope: Scope, who: Principal) -> Principal:
    """Whom the rules are asked about: `who` asks for themselves; for a team or another with their own attributes."""
    if scope.team is not None:
        return replace(who, teams=tuple(sorted({*who.teams, scope.team})))
    return replace(who, name=scope.principal or who.name)


def effect_of(scope: Scope, reader: Principal, bundle: Bundle) -> Effect | Refuse:
    """What `scope` would let `reader` see from its start on, or the first refusal of one of its datasets."""
    grant, parts = Grant(DRAFT, scope), []
    sensitivity = Sensitivity.LOW
    for one in scope.datasets:
        decision = decide(ReadRequest(one.dataset), reader, [grant], (), bundle, scope.starts)
        if not isinstance(decision, Allow):
            return decision
        sensitivity = max(sensitivity, decision.sensitivity)
        parts.append(DatasetEffect(decision))
    return Effect(tuple(parts), sensitivity, panel_of(scope, bundle))
