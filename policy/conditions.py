"""Conditions of rules: a small closed expression over `principal.*` and `dataset.*`; no calls.

    either = both {"or" both}
    both   = no {"and" no}
    no     = "not" no | "(" either ")" | test
    test   = value ("==" | "!=" | "<" | "<=" | ">" | ">=") value | value "in" "(" literal {"," literal} ")" | attribute

A condition in which an attribute is absent anywhere, or in which types differ anywhere, cannot be told: it does not
depend on the order of `b or a` whether a missing `a` counts.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .values import Attribute, Dataset, Principal

PRINCIPAL_FIELDS = frozenset({"name", "kind"})
DATASET_FIELDS = frozenset({"name", "owner", "source", "store"})
ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {"==": operator.eq, "!=": operator.ne, **ORDERS}


@dataclass(frozen=True, slots=True)
class Truth:
    """Whether a condition holds; None: cannot be told, and `lacked` says for want of what."""

    value: bool | None
    lacked: tuple[str, ...] = ()

    def counts_for(self, effect: str) -> bool:
        """Whether a rule of this `effect` applies: what cannot be told never helps the reader."""
        return self.value is True or (self.value is None and effect == "deny")


@dataclass(frozen=True, slots=True)
class Facts:
    """Whom and what a condition is asked of; there is no dataset where Remit's own things are asked for."""

    principal: Principal
    dataset: Dataset | None


@dataclass(frozen=True, slots=True)
class Named:
    """An attribute by its name, `principal.region`; a field of Remit's wins over a claim of the same name."""

    of: Literal["principal", "dataset"]
    name: str

    def __str__(self) -> str:
        return f"{self.of}.{self.name}"

    @property
    def is_field(self) -> bool:
        """Whether Remit sets it and it is text, whatever a token or a catalog says."""
        return self.name in (PRINCIPAL_FIELDS if self.of == "principal" else DATASET_FIELDS)

    def value(self, facts: Facts) -> Attribute | None:
        """What it is; None where it is absent, or neither text nor integer nor boolean."""
        whose = facts.principal if self.of == "principal" else facts.dataset
        if whose is None:
            return None
        if self.is_field:
            # A catalog need not say where a dataset was collected; then `source` is empty, and that is no answer.
            return str(getattr(whose, self.name)) or None
        found = next((value for name, value in whose.attributes if name == self.name), None)
        return found if isinstance(found, str | int) else None

    def names(self) -> Iterator["Named"]:
        """Itself: what a condition reads."""
        yield self


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal: text, an integer or a boolean."""

    literal: Attribute

    def __str__(self) -> str:
        return kind_of(self.literal)

    def value(self, _facts: Facts) -> Attribute:
        """The literal, whoever asks."""
        return self.literal

    def names(self) -> Iterator[Named]:
        """None: a literal reads nothing."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Compared:
    """`left` beside `right`; both have to be of one type, and booleans have no order."""

    comparison: str
    left: Named | Constant
    right: Named | Constant

    def told(self, facts: Facts, lacked: list[str]) -> bool:
        """Whether it holds; what it lacks is added to `lacked`, and then the answer means nothing."""
        left, right = self.left.value(facts), self.right.value(facts)
        if left is None or right is None:
            lacked += [str(side) for side, value in ((self.left, left), (self.right, right)) if value is None]
            return False
        if kind_of(left) != kind_of(right):
            lacked.append(f"{self.left} of the type of {self.right}")
            return False
        if self.comparison in ORDERS and isinstance(left, bool):
            lacked.append(f"an order of {self.left}")
            return False
        return COMPARISONS[self.comparison](left, right)

    def names(self) -> Iterator[Named]:
        """What it reads."""
        yield from self.left.names()
        yield from self.right.names()


@dataclass(frozen=True, slots=True)
class Among:
    """`left` is one of `literals`, which are all of one type."""

    left: Named
    literals: tuple[Attribute, ...]

    def told(self, facts: Facts, lacked: list[str]) -> bool:
        """As `Compared.told`."""
        left = self.left.value(facts)
        if left is None:
            lacked.append(str(self.left))
            return False
        if kind_of(left) != kind_of(self.literals[0]):
            lacked.append(f"{self.left} of the type of {kind_of(self.literals[0])}")
            return False
        return left in self.literals

    def names(self) -> Iterator[Named]:
        """What it reads."""
        yield self.left


@dataclass(frozen=True, slots=True)
class Flag:
    """An attribute that is a boolean, standing alone."""

    named: Named

    def told(self, facts: Facts, lacked: list[str]) -> bool:
        """As `Compared.told`."""
        value = self.named.value(facts)
        if not isinstance(value, bool):
            lacked.append(str(self.named) if value is None else f"{self.named} of the type of boolean")
            return False
        return value

    def names(self) -> Iterator[Named]:
        """What it reads."""
        yield self.named


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of `part`."""

    part: "Expression"

    def told(self, facts: Facts, lacked: list[str]) -> bool:
        """As `Compared.told`."""
        return not self.part.told(facts, lacked)

    def names(self) -> Iterator[Named]:
        """What it reads."""
        yield from self.part.names()


@dataclass(frozen=True, slots=True)
class Joined:
    """All of `parts` (`and`), or at least one of them (`or`)."""

    word: Literal["and", "or"]
    parts: tuple["Expression", ...]

    def told(self, facts: Facts, lacked: list[str]) -> bool:
        """As `Compared.told`; every part is asked, so that nothing that is lacking goes unnoticed."""
        told = [part.told(facts, lacked) for part in self.parts]
        return all(told) if self.word == "and" else any(told)

    def names(self) -> Iterator[Named]:
        """What it reads."""
        for part in self.parts:
            yield from part.names()


Expression = Compared | Among | Flag | Not | Joined


@dataclass(frozen=True, slots=True)
class Condition:
    """A named condition, its text as it stands in the file, and what was understood."""

    name: str
    text: str
    expression: Expression

    def holds(self, principal: Principal, dataset: Dataset | None) -> Truth:
        """Whether it holds for this principal and dataset; never raises."""
        lacked: list[str] = []
        told = self.expression.told(Facts(principal, dataset), lacked)
        return Truth(None, tuple(dict.fromkeys(lacked))) if lacked else Truth(told)

    def reads(self) -> frozenset[Named]:
        """The attributes and fields that it asks of."""
        return frozenset(self.expression.names())


def kind_of(value: object) -> str:
    """`text`, `integer` or `boolean`: Python would have True equal 1, a condition never does."""
    if isinstance(value, bool):
        return "boolean"
    return "integer" if isinstance(value, int) else "text"
