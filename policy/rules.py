"""A rule, and how a line of `[rules]` is read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from .conf_lines import BLANKS, NAMES, ConfProblems, Setting
from .names import ANY, is_name
from .tables import shown
from .values import Action, Treatment

NO_CONDITION = "-"
"""What a rule without a condition says in its place."""

FIELDS = ("team", "purpose", "data class", "action", "condition", "treatment", "effect")
ACTIONS: Mapping[str, Action] = {str(action): action for action in Action}
TREATMENTS: Mapping[str, Treatment] = {str(treatment): treatment for treatment in Treatment}
EFFECTS: Mapping[str, Literal["allow", "deny"]] = {"allow": "allow", "deny": "deny"}

Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class Rule:
    """One named line of `[rules]`; `team`, `purpose` and `data_class` may be `*`, `condition` may be `-`.

    Team `*` is any of the principal's teams: who is in none is spoken of by no rule, and refused for that.
    """

    name: str
    team: str
    purpose: str
    data_class: str
    action: Action
    condition: str
    treatment: Treatment
    effect: Literal["allow", "deny"]
    line: int


@dataclass(frozen=True, slots=True)
class RuleReader:
    """Reads rules that may speak of these data classes, purposes and conditions; notes what is wrong."""

    data_classes: Collection[str]
    purposes: Collection[str]
    conditions: Collection[str]
    problems: ConfProblems

    def read(self, setting: Setting) -> Rule | None:
        """The rule that a line says; None, and at least one problem, where it is not understood."""
        fields = [field.strip(BLANKS) for field in setting.value.split(",")]
        if len(fields) != len(FIELDS):
            reason = f"rule `{shown(setting.name)}` has {len(fields)} fields, not {len(FIELDS)}: {', '.join(FIELDS)}"
            self.problems.refuse(setting.line, reason)
            return None
        team, purpose, data_class, action, condition, treatment, effect = fields
        self._check_team(setting.line, team)
        self._check_known(setting.line, "purpose", purpose, ANY, self.purposes)
        self._check_known(setting.line, "data class", data_class, ANY, self.data_classes)
        self._check_known(setting.line, "condition", condition, NO_CONDITION, self.conditions)
        does = self._choice(setting.line, "action", action, ACTIONS)
        shows = self._choice(setting.line, "treatment", treatment, TREATMENTS)
        says = self._choice(setting.line, "effect", effect, EFFECTS)
        if says == "deny" and shows is not None and shows is not Treatment.HIDDEN:
            self.problems.refuse(setting.line, f"a deny says `hidden`, not `{shows}`: it shows nothing")
        if does is None or shows is None or says is None:
            return None
        return Rule(setting.name, team, purpose, data_class, does, condition, shows, says, setting.line)

    def _check_team(self, line: int, team: str) -> None:
        if team != ANY and not is_name(team):
            self.problems.refuse(line, f"`{shown(team)}` is no team: write `*` for any; {NAMES}")

    def _check_known(self, line: int, what: str, name: str, wildcard: str, known: Collection[str]) -> None:
        if name != wildcard and name not in known:
            self.problems.unknown(line, what, name, known)

    def _choice(self, line: int, what: str, text: str, choices: Mapping[str, Choice]) -> Choice | None:
        if text not in choices:
            self.problems.unknown(line, what, text, choices)
        return choices.get(text)
