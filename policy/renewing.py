"""What to ask for next, after a grant: no more than was used of the last one. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from .values import Grant, GrantStatus, Scope

UNUSED = timedelta(days=30)
"""A grant that nobody read under for so long is proposed for removal."""
AMPLE = 2
"""How many times the rows that were used are proposed."""


def proposed(grant: Grant, used: Mapping[str, frozenset[str]], at: datetime) -> Scope | None:
    """The scope of `grant` with the columns and about the rows that were used, for as long again; None where none were.

    `used` are the columns of each dataset that were read or filtered by. It starts where the grant ends, at once where
    that is used up or revoked.
    """
    scope = grant.scope
    kept = (
        replace(one, columns=tuple(name for name in one.columns if name in used.get(one.dataset, frozenset())))
        for one in scope.datasets
    )
    datasets = tuple(one for one in kept if one.columns)
    if not datasets:
        return None
    is_over = grant.status is GrantStatus.REVOKED or _is_used_up(grant)
    starts = at if is_over else max(scope.ends, at)
    most = None if scope.max_rows is None else min(scope.max_rows, _rounded_up(AMPLE * max(grant.rows_used, 1)))
    return replace(scope, datasets=datasets, max_rows=most, starts=starts, ends=starts + (scope.ends - scope.starts))


def unused_for(grant: Grant, last_read: datetime | None, at: datetime) -> timedelta:
    """How long nobody has read under a grant that they could read under: one that was there and had started."""
    since = max(time for time in (grant.scope.starts, grant.added_at, last_read) if time is not None)
    return max(at - since, timedelta(0))


def _is_used_up(grant: Grant) -> bool:
    """Whether every further read of it is beyond its budget."""
    most = grant.scope.max_rows
    return grant.has_met_more or (most is not None and grant.rows_used >= most)


def _rounded_up(number: int) -> int:
    """To two significant digits: 1,234 is 1,300."""
    step = int(10 ** max(len(str(number)) - 2, 0))
    return -(-number // step) * step
