"""Who may look at and change Remit's own things: ruled like any other data, and recorded."""

from collections.abc import Mapping
from dataclasses import dataclass

from audit.entries import Entry, Json, Kind
from audit.ledger import Ledger
from policy.bundle import Bundle
from policy.decision import Code, Refuse
from policy.engine import Answer
from policy.values import Action, Excess, Principal, Sensitivity, Treatment

from .control import Control
from .guard import Refused, new_read_id

PURPOSE = "oversight"
"""The purpose of everything that is asked about Remit itself."""


@dataclass(frozen=True, slots=True)
class Permitted:
    """A look or a change that the rules allow: which rules, of which bundle."""

    bundle: Bundle
    rules: tuple[str, ...]


class Oversight:
    """Asks the rules about `remit.*` classes. Every look leaves an entry before anything is shown."""

    def __init__(self, control: Control, ledger: Ledger) -> None:
        self._control = control
        self._ledger = ledger

    def look(
        self, principal: Principal, data_class: str, asked: Mapping[str, Json], *, action: Action = Action.READ
    ) -> Permitted | Refused:
        """May `principal` see things of `data_class`? `asked` says what is looked for, and stands in the entry."""
        permitted = self.may(principal, data_class, action)
        if isinstance(permitted, Permitted):
            details: dict[str, Json] = {"asked": asked, "rules": list(permitted.rules)}
            self._ledger.append(_entry(Kind.AUDIT_READ, principal, data_class, permitted.bundle, details))
        return permitted

    def may(self, principal: Principal, data_class: str, action: Action) -> Permitted | Refused:
        """May `principal` do `action` to things of `data_class`? A refusal is recorded; what follows records itself."""
        bundle = self._control.refresh().bundle
        answer = self._ask(principal, data_class, action, bundle)
        if _is_allowed(answer):
            return Permitted(bundle, answer.rules)
        return self._refused(principal, data_class, action, answer, bundle)

    def is_allowed(self, principal: Principal, data_class: str, action: Action) -> bool:
        """Whether the rules allow it; leaves no entry, so it must not decide what anybody gets to see of others."""
        return _is_allowed(self._ask(principal, data_class, action, self._control.state.bundle))

    def _ask(self, principal: Principal, data_class: str, action: Action, bundle: Bundle) -> Answer:
        return bundle.engine.ask(principal, PURPOSE, None, data_class, action)

    def _refused(
        self, principal: Principal, data_class: str, action: Action, answer: Answer, bundle: Bundle
    ) -> Refused:
        denied = answer.effect == "deny"
        code = Code.DENIED_BY_RULE if denied else Code.NO_RULE
        excess = Excess.BEYOND if denied else Excess.OUTSIDE
        refusal = Refuse(
            code,
            f"{'a rule denies' if denied else 'no rule allows you'} to {action.value} `{data_class}`",
            "ask security for a rule that allows it, if it is your task",
            excess=excess,
            purpose=PURPOSE,
            data_classes=(data_class,),
            declared="nothing",
            asked=f"{action.value} {data_class}",
            rules=answer.rules,
            lacked=answer.lacked,
            sensitivity=Sensitivity.HIGH,
        )
        details: dict[str, Json] = {
            "action": action.value,
            "data_classes": [data_class],
            "sensitivity": str(Sensitivity.HIGH),
            "declared": "nothing",
            "asked": f"{action.value} {data_class}",
            "rules": list(answer.rules),
            "lacked": list(answer.lacked),
        }
        kind = Kind.READ_REFUSED if action is Action.READ else Kind.ACCESS_REFUSED
        entry = _entry(kind, principal, data_class, bundle, details, code=code.value, excess=excess.value)
        return Refused(new_read_id(), refusal, self._ledger.append(entry))


def _is_allowed(answer: Answer) -> bool:
    return answer.effect == "allow" and answer.treatment is Treatment.CLEAR


def _entry(
    kind: Kind,
    principal: Principal,
    data_class: str,
    bundle: Bundle,
    details: dict[str, Json],
    *,
    code: str | None = None,
    excess: str | None = None,
) -> Entry:
    return Entry(
        kind,
        actor=principal.name,
        teams=principal.teams,
        dataset=data_class,
        purpose=PURPOSE,
        code=code,
        excess=excess,
        digest=bundle.digest,
        details=details,
    )
