"""`/v1/subjects:erase`: a person is taken out of the dictionary of whose rows were read; the ledger stays as it is."""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from policy.values import Action, Principal

from .parts import Parts
from .problems import Failed
from .reads import unwrap
from .reasons import Because
from .trail import AUDIT


class Erasing(BaseModel):
    """Whom to forget, by the class of the column that names them, and why; the name is not recorded."""

    model_config = ConfigDict(extra="forbid", strict=True)

    data_class: str = Field(max_length=500, description="of the column that names them, `user.unique_id` for one")
    name: str = Field(description="their id as the data has it; a number in plain decimals")
    why: Because = Field(description="it stands in the ledger for good: name nobody in it")


class Erased(BaseModel):
    """Somebody was forgotten: the numbers that stand in records of reads lead to nobody any more."""

    model_config = ConfigDict(extra="forbid")

    data_class: str
    erased: Literal[True] = True


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The call about subjects, for one gateway."""
    router = APIRouter(prefix="/v1", tags=["subjects"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type

    @router.post("/subjects:erase")
    def erase(body: Erasing, who: Who) -> Erased:
        """Forget who somebody was, for whoever may administer `remit.audit`; erase their data first.

        That they were in a read stays proved, who they were does not. Trying is recorded too, for the answer says
        whether anything of that name was ever read.
        """
        if not parts.control.state.bundle.policies.knows_class(body.data_class):
            raise Failed("bad_request", f"there is no data class `{body.data_class}`", "`policies.conf` declares them")
        asked = {"subject": "erase", "data_class": body.data_class}
        under = unwrap(parts.oversight.look(who, AUDIT, asked, action=Action.ADMINISTER))
        if not parts.dictionary.erase(body.data_class, body.name, by=who, why=body.why, under=under):
            detail = f"no row of anybody of this name was ever read, as `{body.data_class}`"
            raise Failed("not_found", detail, "names are exact: case, spaces and zeros count")
        return Erased(data_class=body.data_class)

    return router
