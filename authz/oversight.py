"""Who may look at and change Remit's own things: ruled like any other data, and recorded."""

from collections.abc import Mapping
from dataclasses import replace

from audit.entries import Entry, Json, Kind
from audit.errors import NotRecorded, StaleEpoch
from audit.ledger import Ledger
from policy.bundle import Bundle
from policy.decision import Code, Refuse
from policy.engine import Answer
from policy.pausing import suspension_of, told
from policy.refusals import HELP
from policy.values import Action, Excess, Pause, Principal, Sensitivity, Treatment

from .control import Control
from .guard import ATTEMPTS, Refused, new_read_id
from .permit import Permitted

PURPOSE = "oversight"
"""The purpose of everything that is asked about Remit itself."""


class Oversight:
    """Asks the rules about `remit.*` classes. Every look leaves an entry before anything is shown."""

    def __init__(self, control: Control, ledger: Ledger) -> None:
        self._control = control
        self._ledger = ledger

    def look(
        self,
        principal: Principal,
        data_class: str,
        asked: Mapping[str, Json],
        *,
        action: Action = Action.READ,
        kind: Kind = Kind.AUDIT_READ,
    ) -> Permitted | Refused:
        """May `principal` see things of `data_class`? `asked` says what is looked for, and stands in the entry."""
        for _ in range(ATTEMPTS):
            permitted = self.may(principal, data_class, action)
            if isinstance(permitted, Refused):
                return permitted
            details: dict[str, Json] = {"asked": asked, "rules": list(permitted.rules)}
            entry = _entry(kind, principal, data_class, permitted.bundle, details)
            try:
                self._ledger.append(entry, epoch=permitted.epoch)
            except StaleEpoch:
                continue
            return permitted
        raise NotRecorded("what is in force keeps changing; the look was never decided under the newest of it")

    def may(self, principal: Principal, data_class: str, action: Action) -> Permitted | Refused:
        """May `principal` do `action` to things of `data_class`? A refusal is recorded; what follows records itself."""
        state = self._control.refresh()
        suspension = suspension_of(principal, state.pauses)
        if suspension is not None:
            return self._suspended(principal, data_class, action, suspension, state.bundle)
        answer = self._ask(principal, data_class, action, state.bundle)
        if _is_allowed(answer):
            return Permitted(state.bundle, answer.rules, state.epoch)
        return self._refused(principal, data_class, action, answer, state.bundle)

    def allows(self, principal: Principal, data_class: str, action: Action) -> bool:
        """Whether the rules allow it, to choose what to ask for: nothing is recorded, and nothing shown on it alone."""
        return _is_allowed(self._ask(principal, data_class, action, self._control.state.bundle))

    def _ask(self, principal: Principal, data_class: str, action: Action, bundle: Bundle) -> Answer:
        return bundle.engine.ask(principal, PURPOSE, None, data_class, action)

    def _suspended(
        self, principal: Principal, data_class: str, action: Action, pause: Pause, bundle: Bundle
    ) -> Refused:
        """Whoever is suspended does nothing here either: a stolen token must not lift its own suspension."""
        refusal = Refuse(
            Code.SUSPENDED, told(pause), HELP[Code.SUSPENDED], excess=Excess.OUTSIDE, declared="nothing for now"
        )
        return self._record(principal, data_class, action, refusal, bundle)

    def _refused(
        self, principal: Principal, data_class: str, action: Action, answer: Answer, bundle: Bundle
    ) -> Refused:
        denied = answer.effect == "deny"
        refusal = Refuse(
            Code.DENIED_BY_RULE if denied else Code.NO_RULE,
            f"{'a rule denies' if denied else 'no rule allows you'} to {action.value} `{data_class}`",
            "ask security for a rule that allows it, if it is your task",
            excess=Excess.BEYOND if denied else Excess.OUTSIDE,
            declared="nothing",
            rules=answer.rules,
            lacked=answer.lacked,
        )
        return self._record(principal, data_class, action, refusal, bundle)

    def _record(
        self, principal: Principal, data_class: str, action: Action, refusal: Refuse, bundle: Bundle
    ) -> Refused:
        asked = f"{action.value} {data_class}"
        refusal = replace(
            refusal, purpose=PURPOSE, data_classes=(data_class,), asked=asked, sensitivity=Sensitivity.HIGH
        )
        details: dict[str, Json] = {
            "action": action.value,
            "data_classes": [data_class],
            "sensitivity": str(Sensitivity.HIGH),
            "declared": str(refusal.declared),
            "asked": asked,
            "rules": list(refusal.rules),
            "lacked": list(refusal.lacked),
        }
        kind = Kind.READ_REFUSED if action is Action.READ else Kind.ACCESS_REFUSED
        read, code, excess = new_read_id(), refusal.code.value, str(refusal.excess)
        entry = _entry(kind, principal, data_class, bundle, details, read=read, code=code, excess=excess)
        return Refused(read, refusal, self._ledger.append(entry))


def _is_allowed(answer: Answer) -> bool:
    return answer.effect == "allow" and answer.treatment is Treatment.CLEAR


def _entry(
    kind: Kind,
    principal: Principal,
    data_class: str,
    bundle: Bundle,
    details: dict[str, Json],
    *,
    read: str | None = None,
    code: str | None = None,
    excess: str | None = None,
) -> Entry:
    return Entry(
        kind,
        actor=principal.name,
        teams=principal.teams,
        read=read,
        dataset=data_class,
        purpose=PURPOSE,
        code=code,
        excess=excess,
        digest=bundle.digest,
        details=details,
    )
