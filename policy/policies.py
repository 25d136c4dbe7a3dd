"""What `policies.conf` says once it is understood; `load_policies` understands it or refuses it whole."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .conditions import Condition, Truth
from .conditions_parse import parse_condition
from .conf_lines import BLANKS, ConfFile, ConfProblems, read_conf
from .errors import BadCondition
from .model import MODEL, is_model_line
from .names import ancestry, is_within
from .rules import NO_CONDITION, Rule, RuleReader
from .tables import shown
from .taxonomy import DATA_CLASSES, IDENTIFIER, OVERSIGHT, OWN, OWN_CLASSES, PURPOSES
from .values import Dataset, Principal, Sensitivity, Treatment

ALWAYS = Truth(True)
SENSITIVITIES: Mapping[str, Sensitivity] = {str(sensitivity): sensitivity for sensitivity in Sensitivity}


@dataclass(frozen=True, slots=True)
class DataClass:
    """A declared data class: how much harm it can do, and whether its values name a person or a device."""

    name: str
    sensitivity: Sensitivity
    identifier: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Policies:
    """The declared data classes, purposes (name to meaning) and conditions, and the rules in the file's order."""

    data_classes: Mapping[str, DataClass]
    purposes: Mapping[str, str]
    conditions: Mapping[str, Condition]
    rules: tuple[Rule, ...]

    @property
    def dataset_attributes(self) -> frozenset[str]:
        """The names that conditions ask of `dataset.`, without those of its own fields."""
        return self._asked_of("dataset")

    @property
    def principal_attributes(self) -> frozenset[str]:
        """The names that conditions ask of `principal.`, without `name` and `kind`."""
        return self._asked_of("principal")

    def knows_class(self, name: str) -> bool:
        """Whether `name` is declared, of the Fides taxonomy, or Remit's own."""
        return name in self.data_classes or name in DATA_CLASSES or name in OWN_CLASSES

    def knows_purpose(self, name: str) -> bool:
        """Whether `name` is declared, of the Fides taxonomy, or `oversight`."""
        return name in self.purposes or name in PURPOSES or name == OVERSIGHT

    def sensitivity_of(self, data_class: str) -> Sensitivity:
        """The class's own or its nearest declared ancestor's; none is `CRITICAL`."""
        if data_class in OWN_CLASSES:
            return Sensitivity.HIGH
        declared = (self.data_classes[name] for name in ancestry(data_class) if name in self.data_classes)
        return next((outer.sensitivity for outer in declared), Sensitivity.CRITICAL)

    def is_identifier(self, data_class: str) -> bool:
        """Whether its values name a person or a device: `user.unique_id`, a marked class, or within such a one."""
        return any(
            name == IDENTIFIER or (name in self.data_classes and self.data_classes[name].identifier)
            for name in ancestry(data_class)
        )

    def tell(self, condition: str, principal: Principal, dataset: Dataset | None) -> Truth:
        """Whether the condition of this name holds; `-` always does. Raises `KeyError` for one that is not declared."""
        return ALWAYS if condition == NO_CONDITION else self.conditions[condition].holds(principal, dataset)

    def _asked_of(self, whose: str) -> frozenset[str]:
        asked = (named for condition in self.conditions.values() for named in condition.reads())
        return frozenset(named.name for named in asked if named.of == whose and not named.is_field)


def load_policies(data: bytes, *, file: str = "policies.conf") -> Policies:
    """Reads the bytes of a policies file; `file` is its name in messages. Raises `MisreadAll` with every problem."""
    problems = ConfProblems(file)
    loader = _Loader(read_conf(data, problems), problems)
    policies = loader.policies()
    problems.raise_any()
    return policies


class _Loader:
    """Reads section after section, notes what is wrong and goes on, so that an author sees all of it at once."""

    def __init__(self, conf: ConfFile, problems: ConfProblems) -> None:
        self._conf = conf
        self._problems = problems

    def policies(self) -> Policies:
        self._check_model()
        classes = self._data_classes()
        purposes = self._purposes()
        conditions = self._conditions()
        rules = self._rules(classes.keys() | DATA_CLASSES | OWN_CLASSES, purposes.keys() | PURPOSES | {OVERSIGHT})
        policies = Policies(
            MappingProxyType(classes), MappingProxyType(purposes), MappingProxyType(conditions), tuple(rules)
        )
        for rule in rules:
            if rule.treatment is Treatment.PSEUDONYM and not policies.is_identifier(rule.data_class):
                # A pseudonym of a keystroke is a substitution cipher.
                reason = f"`pseudonym` is for identifiers only, and `{shown(rule.data_class)}` is none"
                self._problems.refuse(rule.line, reason)
        return policies

    def _check_model(self) -> None:
        for section, (name, value) in MODEL.items():
            settings = self._conf.settings(section)
            held = [setting for setting in settings if setting.name == name and is_model_line(section, setting.value)]
            wanted = f"section `[{section}]` must hold the line `{name} = {value}`"
            if not held:
                self._problems.refuse(self._conf.line(section), wanted)
            for setting in settings:
                if setting.name != name:
                    self._problems.refuse(setting.line, f"{wanted} and no other")
        sections = list(self._conf.sections)
        if any(name not in MODEL for name in sections[: len(MODEL)]) and set(MODEL) <= set(sections):
            self._problems.refuse(None, "the four sections of the Casbin model come first: move them to the top")

    def _data_classes(self) -> dict[str, DataClass]:
        classes = {}
        for setting in self._conf.settings("data_classes"):
            level, comma, mark = (part.strip(BLANKS) for part in setting.value.partition(","))
            if is_within(setting.name, OWN):
                self._problems.refuse(setting.line, f"`{shown(setting.name)}` is Remit's own: it cannot be declared")
            if level not in SENSITIVITIES:
                self._problems.unknown(setting.line, "sensitivity", level, SENSITIVITIES)
            if comma and mark != "identifier":
                self._problems.unknown(setting.line, "mark", mark, ["identifier"])
            sensitivity = SENSITIVITIES.get(level, Sensitivity.CRITICAL)
            classes[setting.name] = DataClass(setting.name, sensitivity, mark == "identifier")
        return classes

    def _purposes(self) -> dict[str, str]:
        purposes = {}
        for setting in self._conf.settings("purposes"):
            if setting.name == OVERSIGHT:
                self._problems.refuse(setting.line, f"`{OVERSIGHT}` is Remit's own: declare a narrower purpose")
            if " #" in setting.value:
                self._problems.refuse(setting.line, "comments have lines of their own: Casbin takes this one as text")
            purposes[setting.name] = setting.value
        return purposes

    def _conditions(self) -> dict[str, Condition]:
        conditions = {}
        for setting in self._conf.settings("conditions"):
            try:
                conditions[setting.name] = parse_condition(setting.name, setting.value)
            except BadCondition as error:
                reason = f"condition `{shown(setting.name)}`: {error.reason}"
                self._problems.refuse(setting.line, reason, error.suggestion)
        return conditions

    def _rules(self, data_classes: Collection[str], purposes: Collection[str]) -> list[Rule]:
        # A condition that is not understood is one problem, not one more for each rule that names it.
        conditions = {setting.name for setting in self._conf.settings("conditions")}
        reader = RuleReader(data_classes, purposes, conditions, self._problems)
        settings = self._conf.settings("rules")
        if not settings:
            self._problems.refuse(self._conf.line("rules"), "no rules: nobody could do anything; write `[rules]`")
        return [rule for rule in map(reader.read, settings) if rule is not None]
