"""The decision table: what fails first is the answer. Pure: the same input gives the same answer.

What always holds:

- An `Allow` names only columns that are declared, in the scope and allowed by a rule.
- Grants are tried in the order of their ids and never united; the first that permits wins, else the
  refusal furthest down the table is the answer.
- A column that the rules refuse refuses the whole read.
- A filter names only columns of the scope that the reader gets clear.
"""

from collections.abc import Sequence
from datetime import datetime

from .ask import Ask, understand
from .bundle import Bundle
from .decision import Allow, Code, Decision, Refuse
from .judgement import Judgement
from .pausing import pause_of, stopped
from .refusals import ORDER, refuse
from .values import Grant, Pause, Principal, ReadRequest


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
    if (pause := pause_of(ask, request.purpose, pauses)) is not None:
        return stopped(ask, pause)
    mine = sorted((grant for grant in grants if _covers(grant, ask)), key=lambda grant: grant.id)
    if not mine:
        named = f"grant `{request.grant}` is not yours, or does not cover dataset `{request.dataset}`"
        detail = named if request.grant else f"no grant of yours covers dataset `{request.dataset}`"
        return refuse(ask, Code.NO_GRANT, detail, declared="nothing", asked=f"dataset {request.dataset}")
    refusals = []
    for grant in mine:
        decision = Judgement(ask, grant, pauses, at).decide()
        if isinstance(decision, Allow):
            return decision
        refusals.append(decision)
    return max(refusals, key=lambda refusal: ORDER[refusal.code])


def _covers(grant: Grant, ask: Ask) -> bool:
    named = ask.request.grant in (None, grant.id)
    return named and grant.scope.is_for(ask.principal) and grant.scope.of(ask.dataset.name) is not None
