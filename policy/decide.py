"""The decision table: what fails first is the answer. Pure: the same input gives the same answer.

What always holds:

- An `Allow` names only columns that are declared, in the scope and allowed by a rule.
- Grants are tried in the order of their ids and never united; the first that permits wins, else the
  refusal furthest down the table is the answer.
- A column that the rules refuse refuses the whole read.
- A filter names only columns of the scope that the reader gets clear.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from .ask import Ask, column_types, understand
from .bundle import Bundle
from .decision import Allow, Code, Decision, PlannedColumn, Refuse, Side
from .engine import Answer
from .errors import RemitPolicyError
from .names import is_within
from .rows import Filter, excludes, parse, typed
from .values import DatasetScope, Excess, Grant, GrantStatus, Pause, Principal, ReadRequest, Treatment

EXCESS = {
    Code.NO_GRANT: Excess.OUTSIDE,
    Code.NOT_STARTED: Excess.OUTSIDE,
    Code.EXPIRED: Excess.OUTSIDE,
    Code.REVOKED: Excess.OUTSIDE,
    Code.SUSPENDED: Excess.OUTSIDE,
    Code.WRONG_PURPOSE: Excess.BEYOND,
    Code.BEYOND_AUDIENCE: Excess.BEYOND,
    Code.BEYOND_COLUMNS: Excess.BEYOND,
    Code.NO_RULE: Excess.OUTSIDE,
    Code.DENIED_BY_RULE: Excess.BEYOND,
    Code.BEYOND_ROWS: Excess.BEYOND,
    Code.BEYOND_BUDGET: Excess.BEYOND,
}
"""Which refusals are excess, and of which kind; those not named are none."""

HELP = {
    Code.PAUSED: "wait until the pause is lifted; asking again does not help",
    Code.NO_GRANT: "declare a scope for this dataset and have it approved; `remit grants list` shows what you have",
    Code.NOT_STARTED: "wait until the grant starts; `remit grants list` says when",
    Code.EXPIRED: "declare a new scope; a grant that ended is not extended",
    Code.REVOKED: "ask the dataset's owner why; a revoked grant does not come back",
    Code.SUSPENDED: "ask on-call; a suspended grant is under review",
    Code.WRONG_PURPOSE: "read for the purpose that was approved, or declare a scope for this one",
    Code.BEYOND_AUDIENCE: "ask the dataset's owner to declare your team and purpose as its audience",
    Code.BEYOND_COLUMNS: "leave these columns out, or declare a scope that names them",
    Code.UNCLASSIFIED: "ask the dataset's owner to give the column a data class in the catalog",
    Code.NO_RULE: "leave these columns out, or ask security for a rule",
    Code.DENIED_BY_RULE: "leave these columns out; a rule that denies stands above every grant",
    Code.BEYOND_ROWS: "ask for rows within the scope, or declare a scope that covers these",
    Code.BEYOND_BUDGET: "declare a new scope; the rows of this one are used up",
    Code.BAD_ROWS: "ask the dataset's owner; the scope has to be declared anew",
}
"""What to do next, for the refusals that a grant can meet."""

ORDER = {code: place for place, code in enumerate(Code)}
"""How far down the table a refusal stands."""


def decide(
    request: ReadRequest,
    principal: Principal,
    grants: Sequence[Grant],
    pauses: Sequence[Pause],
    bundle: Bundle,
    at: datetime,
) -> Decision:
    """Decide `request` of `principal` at `at` (aware).

    `grants` are candidates, whatever became of them: those that are not the principal's, do not cover the
    dataset or are not the one that was named are passed over.
    """
    ask = understand(request, principal, bundle)
    if isinstance(ask, Refuse):
        return ask
    if (pause := _pause_of(ask, request.purpose, pauses)) is not None:
        return _refuse(ask, Code.PAUSED, _said(pause))
    mine = sorted((grant for grant in grants if _covers(grant, ask)), key=lambda grant: grant.id)
    if not mine:
        named = f"grant `{request.grant}` is not yours, or does not cover dataset `{request.dataset}`"
        detail = named if request.grant else f"no grant of yours covers dataset `{request.dataset}`"
        return _refuse(ask, Code.NO_GRANT, detail, declared="nothing", asked=f"dataset {request.dataset}")
    refusals = []
    for grant in mine:
        decision = _Judgement(ask, grant, pauses, at).decide()
        if isinstance(decision, Allow):
            return decision
        refusals.append(decision)
    return max(refusals, key=lambda refusal: ORDER[refusal.code])


def _covers(grant: Grant, ask: Ask) -> bool:
    named = ask.request.grant in (None, grant.id)
    return named and grant.scope.is_for(ask.principal) and grant.scope.of(ask.dataset.name) is not None


def _pause_of(ask: Ask, purpose: str | None, pauses: Iterable[Pause]) -> Pause | None:
    """The first pause that holds; like a deny, one of a purpose also stops an ask for a wider purpose."""

    def holds(pause: Pause) -> bool:
        match pause.kind:
            case "everything":
                return True
            case "dataset":
                return pause.target == ask.dataset.name
            case "team":
                return ask.principal.is_member(pause.target)
            case "purpose":
                asked = purpose or ""
                return purpose is not None and (is_within(asked, pause.target) or is_within(pause.target, asked))

    return next((pause for pause in pauses if holds(pause)), None)


def _said(pause: Pause) -> str:
    what = pause.kind if pause.kind == "everything" else f"{pause.kind} `{pause.target}`"
    return f"reading is paused for {what}: {pause.reason}"


def _refuse(
    ask: Ask,
    code: Code,
    detail: str,
    *,
    about: Iterable[str] = (),
    grant: Grant | None = None,
    declared: Side = None,
    asked: Side = None,
    answers: Iterable[Answer] = (),
) -> Refuse:
    """A refusal by `code`, `about` some columns; without any it is about all that was asked for."""
    columns = tuple(about)
    scope = grant and grant.scope.of(ask.dataset.name)
    concerned = columns or ask.request.columns or (scope.columns if scope else tuple(ask.dataset.columns))
    return Refuse(
        code,
        detail,
        HELP[code],
        excess=EXCESS.get(code),
        grant=grant,
        purpose=ask.request.purpose or (grant.scope.purpose if grant else None),
        columns=columns,
        data_classes=ask.classes(concerned),
        declared=declared,
        asked=asked,
        rules=_names(answer.rules for answer in answers),
        lacked=_names(answer.lacked for answer in answers),
        sensitivity=ask.sensitivity(concerned),
    )


def _names(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted({name for group in groups for name in group}))


@dataclass(frozen=True)
class _Judgement:
    """One grant held against one ask."""

    ask: Ask
    grant: Grant
    pauses: Sequence[Pause]
    at: datetime

    @cached_property
    def purpose(self) -> str:
        return self.ask.request.purpose or self.grant.scope.purpose

    @cached_property
    def scope(self) -> DatasetScope:
        scope = self.grant.scope.of(self.ask.dataset.name)
        assert scope is not None, "only grants that cover the dataset are judged"  # noqa: S101
        return scope

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return self.ask.request.columns or self.scope.columns

    @cached_property
    def answers(self) -> dict[str, Answer]:
        return self.ask.answers({*self.columns, *self.ask.filtered}, self.purpose)

    @cached_property
    def scope_rows(self) -> Filter | None:
        return typed(parse(self.scope.rows), column_types(self.ask.dataset)) if self.scope.rows else None

    def decide(self) -> Decision:
        checks: tuple[Callable[[], Refuse | None], ...] = (
            self._paused,
            self._in_force,
            self._purpose,
            self._audience,
            self._columns,
            self._classified,
            self._ruled,
            self._denied,
            self._rows,
            self._budget,
        )
        refusals = (refusal for check in checks if (refusal := check()) is not None)
        return next(refusals, None) or self._allow()

    def _refuse(self, code: Code, detail: str, **more: object) -> Refuse:
        return _refuse(self.ask, code, detail, grant=self.grant, **more)  # type: ignore[arg-type]  # named as there

    def _paused(self) -> Refuse | None:
        pause = _pause_of(self.ask, self.purpose, self.pauses)
        return None if pause is None else self._refuse(Code.PAUSED, _said(pause))

    def _in_force(self) -> Refuse | None:
        scope, name = self.grant.scope, f"grant `{self.grant.id}`"
        asked = f"at {self.at.isoformat(timespec='seconds')}"
        declared = f"{scope.starts.isoformat()} to {scope.ends.isoformat()}"
        if self.at < scope.starts:
            detail = f"{name} starts at {scope.starts.isoformat()}"
            return self._refuse(Code.NOT_STARTED, detail, declared=declared, asked=asked)
        if self.at >= scope.ends:
            detail = f"{name} ended at {scope.ends.isoformat()}"
            return self._refuse(Code.EXPIRED, detail, declared=declared, asked=asked)
        if self.grant.status is GrantStatus.REVOKED:
            return self._refuse(Code.REVOKED, f"{name} was revoked", declared="nothing any more", asked=asked)
        if self.grant.status is GrantStatus.SUSPENDED:
            return self._refuse(Code.SUSPENDED, f"{name} is suspended", declared="nothing for now", asked=asked)
        return None

    def _purpose(self) -> Refuse | None:
        declared = self.grant.scope.purpose
        if is_within(self.purpose, declared):
            return None
        detail = f"purpose `{self.purpose}` is not within `{declared}`, which grant `{self.grant.id}` is for"
        return self._refuse(Code.WRONG_PURPOSE, detail, declared=declared, asked=self.purpose)

    def _audience(self) -> Refuse | None:
        principal, dataset = self.ask.principal, self.ask.dataset
        if any(principal.is_member(one.team) and is_within(self.purpose, one.purpose) for one in dataset.audience):
            return None
        declared = "; ".join(f"{one.team} for {one.purpose}" for one in dataset.audience) or "nobody"
        asked = f"{', '.join(principal.teams) or 'no team'} for {self.purpose}"
        detail = f"`{dataset.name}` is not declared for any team of yours with purpose `{self.purpose}`"
        return self._refuse(Code.BEYOND_AUDIENCE, detail, declared=declared, asked=asked)

    def _columns(self) -> Refuse | None:
        outside = [name for name in self.columns if name not in self.scope.columns]
        veiled = [name for name in sorted(self.ask.filtered) if not self._is_clear(name)]
        if not outside and not veiled:
            return None
        said = [f"outside the scope: {', '.join(outside)}"] if outside else []
        said += [f"not clear to you, so no filter may name it: {', '.join(veiled)}"] if veiled else []
        return self._refuse(
            Code.BEYOND_COLUMNS,
            f"columns {'; '.join(said)}",
            about=dict.fromkeys(outside + veiled),
            declared=", ".join(self.scope.columns),
            asked=", ".join(dict.fromkeys([*self.columns, *sorted(self.ask.filtered)])),
            answers=[self.answers[name] for name in veiled if name in self.answers],
        )

    def _is_clear(self, name: str) -> bool:
        answer = self.answers.get(name)
        allowed = answer is not None and answer.effect == "allow" and answer.treatment is Treatment.CLEAR
        return allowed and name in self.scope.columns

    def _classified(self) -> Refuse | None:
        bare = [name for name in self.columns if name not in self.ask.dataset.columns]
        detail = f"columns without a data class are hidden from everyone: {', '.join(bare)}"
        return self._refuse(Code.UNCLASSIFIED, detail, about=bare) if bare else None

    def _ruled(self) -> Refuse | None:
        return self._by_effect("none", Code.NO_RULE, "no rule allows", "nothing")

    def _denied(self) -> Refuse | None:
        return self._by_effect("deny", Code.DENIED_BY_RULE, "a rule denies", "denied")

    def _by_effect(self, effect: str, code: Code, says: str, declared: str) -> Refuse | None:
        hit = [name for name in self.columns if self.answers[name].effect == effect]
        if not hit:
            return None
        answers = [self.answers[name] for name in hit]
        rules = f" (`{'`, `'.join(_names(answer.rules for answer in answers))}`)" if effect == "deny" else ""
        classes = ", ".join(self.ask.classes(hit))
        lacked = _names(answer.lacked for answer in answers)
        detail = f"{says}{rules} {classes} for `{self.purpose}`: {', '.join(hit)}"
        return self._refuse(
            code,
            f"{detail}; {'; '.join(lacked)}" if lacked else detail,
            about=hit,
            declared=declared,
            asked=f"{classes} for {self.purpose}",
            answers=answers,
        )

    def _rows(self) -> Refuse | None:
        try:
            scope = self.scope_rows
        except RemitPolicyError:
            detail = f"the filter that grant `{self.grant.id}` declares does not fit `{self.ask.dataset.name}` any more"
            return self._refuse(Code.BAD_ROWS, detail)
        asked = self.ask.rows
        if scope is None or asked is None or not (apart := excludes(asked, scope)):
            return None
        columns = sorted(apart)
        detail = f"what you ask and what was declared exclude each other on {', '.join(columns)}"
        return self._refuse(Code.BEYOND_ROWS, detail, about=columns, declared=scope, asked=asked)

    @property
    def _left(self) -> int | None:
        most = self.grant.scope.max_rows
        return None if most is None else most - self.grant.rows_used

    def _budget(self) -> Refuse | None:
        if self._left is None or self._left > 0:
            return None
        most = self.grant.scope.max_rows
        detail = f"all {most} rows of grant `{self.grant.id}` are used up"
        return self._refuse(Code.BEYOND_BUDGET, detail, declared=f"{most} rows", asked="more rows")

    def _allow(self) -> Allow:
        columns = self.ask.dataset.columns
        answers = [self.answers[name] for name in self.columns]
        asked, left = self.ask.request.limit, self._left
        by_budget = left is not None and (asked is None or left < asked)
        return Allow(
            dataset=self.ask.dataset,
            grant=self.grant,
            purpose=self.purpose,
            columns=tuple(PlannedColumn(columns[name], self._treatment(name)) for name in self.columns),
            scope_rows=self.scope_rows,
            asked_rows=self.ask.rows,
            limit=left if by_budget else asked,
            limited_by="budget" if by_budget else "limit" if asked is not None else None,
            rules=_names(answer.rules for answer in answers),
            lacked=_names(answer.lacked for answer in answers),
            sensitivity=self.ask.sensitivity(self.columns),
        )

    def _treatment(self, name: str) -> Treatment:
        """The answer's; a coarse column that the catalog does not say how to coarsen is hidden."""
        treatment = self.answers[name].treatment
        bare = treatment is Treatment.COARSE and self.ask.dataset.columns[name].coarse is None
        return Treatment.HIDDEN if bare else treatment
