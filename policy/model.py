"""The Casbin model that every policies file opens with; a file may set its white space, nothing else."""

import re
from collections.abc import Mapping
from types import MappingProxyType

MODEL: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "request_definition": ("r", "principal, purpose, dataset, data_class, action"),
        "policy_definition": ("p", "team, purpose, data_class, action, condition, treatment, eft"),
        "policy_effect": ("e", "some(where (p.eft == allow)) && !some(where (p.eft == deny))"),
        "matchers": (
            "m",
            "member(r.principal, p.team) && within(r.purpose, p.purpose, p.eft)"
            " && within(r.data_class, p.data_class, p.eft) && r.action == p.action"
            " && holds(p.condition, p.eft, r.principal, r.dataset)",
        ),
    }
)
"""Section → the one line that it holds: name and value."""

MODEL_TEXT = "".join(f"[{section}]\n{name} = {value}\n" for section, (name, value) in MODEL.items())
"""The model as it stands in a file; any Casbin loads it."""

SLACK = re.compile(r"\s*(,|==)\s*|(?<=\()\s+|\s+(?=[()])")
"""White space that Casbin does not mind; it would read `)&&within` as one word, so that is not among it."""


def is_model_line(section: str, value: str) -> bool:
    """Whether `value` is what the model has in `section`, white space aside."""
    wanted = MODEL[section][1]
    if section == "policy_effect":
        # Casbin knows an effect by its exact text, and raises for one that is spaced in another way.
        return value == wanted
    return _tight(value) == _tight(wanted)


def _tight(value: str) -> str:
    return " ".join(SLACK.sub(r"\1", value).split())
