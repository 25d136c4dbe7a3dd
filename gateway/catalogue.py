"""`GET /v1/datasets`: what there is, and what of it the caller would get to see."""

from collections.abc import Callable, Iterable
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from policy.bundle import Bundle
from policy.engine import Answer
from policy.names import ANY
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
            raise Failed("unknown_dataset", f"there is no dataset `{name}`", "`remit datasets` lists what there is")
        return _view(found, who, bundle)

    return router


def _view(dataset: Dataset, who: Principal, bundle: Bundle) -> DatasetView:
    declared = {one.purpose for one in dataset.audience if who.is_member(one.team)}
    if ANY in declared:
        declared |= {rule.purpose for rule in bundle.policies.rules}
    purposes = sorted(declared - {ANY})
    columns = []
    for column in dataset.columns.values():
        treatment, why = _seen(dataset, column, who, purposes, bundle)
        columns.append(
            ColumnView(
                name=column.name,
                data_class=column.data_class,
                type=column.type.value,
                sensitivity=str(bundle.policies.sensitivity_of(column.data_class)),
                treatment=str(treatment),
                why=why,
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


def _seen(
    dataset: Dataset, column: Column, who: Principal, purposes: Iterable[str], bundle: Bundle
) -> tuple[Treatment, str]:
    """The most revealing treatment among the purposes that the audience declares for the caller, and why."""
    if not purposes:
        return Treatment.HIDDEN, "the owner did not declare any team of yours as its audience"
    ask = bundle.engine.ask
    answers = [ask(who, purpose, dataset, column.data_class, Action.READ).of(column) for purpose in purposes]
    best = max(answers, key=lambda answer: (answer.effect == "allow", answer.treatment))
    return (best.treatment if best.effect == "allow" else Treatment.HIDDEN), _why(best)


def _why(answer: Answer) -> str:
    lacked = f"; {'; '.join(answer.lacked)}" if answer.lacked else ""
    match answer.effect:
        case "allow":
            return f"allowed by {', '.join(answer.rules)}{lacked}"
        case "deny":
            return f"denied by {', '.join(answer.rules)}{lacked}"
        case _:
            return f"no rule allows it{lacked}"
