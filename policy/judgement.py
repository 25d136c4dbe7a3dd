"""One grant held against one ask: the lines of the decision table, from top to bottom."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from .amounts import amount
from .ask import Ask, column_types
from .decision import Allow, Code, Decision, PlannedColumn, Refuse
from .engine import Answer
from .errors import RemitPolicyError
from .names import is_within
from .pausing import pause_of, stopped
from .refusals import names, refuse
from .rows import ColumnRef, Filter, IsNull, Not, all_of, excludes, parse, typed
from .values import DatasetScope, Grant, GrantStatus, Pause, Treatment


@dataclass(frozen=True)
class Judgement:
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
        """The first check that refuses is the answer; where none does, the plan."""
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
        return refuse(self.ask, code, detail, grant=self.grant, **more)  # type: ignore[arg-type]  # named as there

    def _paused(self) -> Refuse | None:
        pause = pause_of(self.ask, self.purpose, self.pauses)
        return None if pause is None else stopped(self.ask, pause, self.grant)

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
        if not self.ask.bundle.policies.knows_purpose(self.purpose):
            detail = f"the policies do not know `{self.purpose}` any more, which grant `{self.grant.id}` is for"
            return self._refuse(Code.WRONG_PURPOSE, detail, declared=declared, asked=self.purpose)
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
        rules = f" (`{'`, `'.join(names(answer.rules for answer in answers))}`)" if effect == "deny" else ""
        classes = ", ".join(self.ask.classes(hit))
        lacked = names(answer.lacked for answer in answers)
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
            detail = f"the filter that `{self.grant.id}` declares does not fit `{self.ask.dataset.name}` any more"
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
        most, people = self.grant.scope.max_rows, self.grant.scope.max_subjects
        if most is not None and self._left is not None and self._left <= 0:
            detail = f"grant `{self.grant.id}` has used up its {amount(most, 'row')}"
            return self._refuse(Code.BEYOND_BUDGET, detail, declared=amount(most, "row"), asked="more rows")
        if people is not None and self.grant.has_met_more:
            declared = amount(people, "subject")
            detail = f"grant `{self.grant.id}` is for the rows of {declared}, and reads met more: it is used up"
            return self._refuse(Code.BEYOND_BUDGET, detail, declared=declared, asked="more subjects")
        return None

    @property
    def _rows_given(self) -> Filter | None:
        """What of the rows the grant alone gives: where subjects are counted, none of whom nobody knows whose it is."""
        if self.grant.scope.max_subjects is None:
            return self.scope_rows
        dataset = self.ask.dataset
        is_somebodys = Not(IsNull(ColumnRef(dataset.subject, dataset.columns[dataset.subject].type)))
        return is_somebodys if self.scope_rows is None else all_of(self.scope_rows, is_somebodys)

    def _allow(self) -> Allow:
        columns = self.ask.dataset.columns
        answers = [self.answers[name] for name in self.columns]
        asked, left = self.ask.request.limit, self._left
        people = self.grant.scope.max_subjects
        by_budget = left is not None and (asked is None or left < asked)
        return Allow(
            dataset=self.ask.dataset,
            grant=self.grant,
            purpose=self.purpose,
            columns=tuple(PlannedColumn(columns[name], self.answers[name].treatment) for name in self.columns),
            scope_rows=self._rows_given,
            asked_rows=self.ask.rows,
            limit=left if by_budget else asked,
            limited_by="budget" if by_budget else "limit" if asked is not None else None,
            rules=names(answer.rules for answer in answers),
            lacked=names(answer.lacked for answer in answers),
            sensitivity=self.ask.sensitivity(self.columns),
            subjects_left=None if people is None else max(0, people - self.grant.subjects_used),
        )
