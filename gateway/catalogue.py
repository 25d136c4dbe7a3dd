"""`GET /v1/datasets`: what there is, and what of it the caller would get to see."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from policy.bundle import Bundle
from policy.engine import NOTHING, Answer
from policy.names import ANY
from policy.policies import Policies
from policy.tables import closest, shown
from policy.values import Action, Column, Dataset, Principal, Treatment

from .parts import Parts
from .problems import Failed


class AudienceView(BaseModel):
    """A team and a purpose that the owner wants to be able to read it."""

    team: str
    purpose: str


class ColumnView(BaseModel):
    """A column, its data class, and the most that the rules let the caller see of it for a declared purpose."""

    name: str
    data_class: str = Field(serialization_alias="class")
    type: str
    sensitivity: str
    treatment: str
    why: str
    purpose: str | None = Field(description="the purpose that `treatment` is for; none for outsiders")
    rules: list[str] = Field(description="the rules that decide, or would but for their condition")
    lacked: list[str] = Field(description="what conditions asked for and did not find")


class DatasetView(BaseModel):
    """A dataset as everybody who is known may see it: names, never rows."""

    name: str
    title: str
    owner: str
    source: str
    audience: list[AudienceView]
    columns: list[ColumnView]


class DatasetList(BaseModel):
    """Every dataset there is."""

    items: list[DatasetView]
    next: str | None = None


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The two calls, for one gateway."""
    router = APIRouter(prefix="/v1", tags=["datasets"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type

    @router.get("/datasets")
    def datasets(who: Who) -> DatasetList:
        """Every dataset, with what the caller would see of each column."""
        bundle = parts.control.state.bundle
        return DatasetList(items=[_view(dataset, who, bundle) for dataset in bundle.catalog.datasets.values()])

    @router.get("/datasets/{name}")
    def dataset(name: str, who: Who) -> DatasetView:
        """One dataset."""
        bundle = parts.control.state.bundle
        found = bundle.catalog.datasets.get(name)
        if found is None:
            near = closest(name, bundle.catalog.datasets)
            hint = f"did you mean `{near}`?" if near else "`remit datasets` lists what there is"
            raise Failed("unknown_dataset", f"there is no dataset `{shown(name)}`", hint)
        return _view(found, who, bundle)

    return router


def _view(dataset: Dataset, who: Principal, bundle: Bundle) -> DatasetView:
    declared = {one.purpose for one in dataset.audience if who.is_member(one.team)}
    if ANY in declared:
        declared |= {rule.purpose for rule in bundle.policies.rules}
    purposes = sorted(declared - {ANY})
    columns = []
    for column in dataset.columns.values():
        seen = _seen(dataset, column, who, purposes, bundle)
        columns.append(
            ColumnView(
                name=column.name,
                data_class=column.data_class,
                type=column.type.value,
                sensitivity=str(bundle.policies.sensitivity_of(column.data_class)),
                treatment=str(seen.treatment),
                why=seen.why,
                purpose=seen.purpose,
                rules=list(seen.answer.rules),
                lacked=list(seen.answer.lacked),
            )
        )
    return DatasetView(
        name=dataset.name,
        title=dataset.title,
        owner=dataset.owner,
        source=dataset.source,
        audience=[AudienceView(team=one.team, purpose=one.purpose) for one in dataset.audience],
        columns=columns,
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """The most revealing that the caller gets of a column, for which purpose, and the rules' answer to that."""

    treatment: Treatment
    purpose: str | None
    answer: Answer
    why: str


def _seen(dataset: Dataset, column: Column, who: Principal, purposes: Iterable[str], bundle: Bundle) -> Seen:
    """What the rules say for the purposes that the audience declares for the caller."""
    if not purposes:
        why = f"the owner, {dataset.owner}, did not declare any team of yours as its audience"
        return Seen(Treatment.HIDDEN, None, NOTHING, why)
    ask = bundle.engine.ask
    answers = [(ask(who, purpose, dataset, column.data_class, Action.READ).of(column), purpose) for purpose in purposes]
    answer, purpose = max(answers, key=lambda one: (one[0].effect == "allow", one[0].treatment))
    treatment = answer.treatment if answer.effect == "allow" else Treatment.HIDDEN
    return Seen(treatment, purpose, answer, _why(answer, column, bundle.policies))


def _why(answer: Answer, column: Column, policies: Policies) -> str:
    rules = ", ".join(answer.rules)
    match answer.effect:
        case "allow" if answer.treatment is Treatment.HIDDEN:
            said = f"allowed coarse by {rules}, but the catalog has no `coarse` for it"
        case "allow":
            said = f"allowed by {rules}"
        case "deny":
            said = f"denied by {rules}"
        case _ if answer.rules:
            said = f"no rule allows it; {'; '.join(_would(name, policies) for name in answer.rules)}"
        case _:
            said = f"no rule of your teams speaks of {column.data_class}"
    return "; ".join((said, *answer.lacked))


def _would(name: str, policies: Policies) -> str:
    condition = next(rule.condition for rule in policies.rules if rule.name == name)
    return f"{name} would, if {condition} held: {policies.conditions[condition].text}"
