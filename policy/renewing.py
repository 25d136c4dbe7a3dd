"""What to ask for next, after a grant: no more than was used of the last one. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from .values import Grant, GrantStatus, Scope

UNUSED = timedelta(days=30)
"""A grant that nobody read under for so long is proposed for removal."""
AMPLE = 2
"""How many times the rows and the people that were used are proposed."""


def proposed(grant: Grant, used: Mapping[str, frozenset[str]], at: datetime) -> Scope | None:
    """The scope of `grant` with about what was used of it, for as long again; None where nothing was.

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
    ends = starts + (scope.ends - scope.starts)
    rows, people = _ample(scope.max_rows, grant.rows_used), _ample(scope.max_subjects, grant.subjects_used)
    return replace(scope, datasets=datasets, max_rows=rows, max_subjects=people, starts=starts, ends=ends)


def unused_for(grant: Grant, last_read: datetime | None, at: datetime) -> timedelta:
    """How long nobody has read under a grant that they could read under: one that was there and had started."""
    since = max(time for time in (grant.scope.starts, grant.added_at, last_read) if time is not None)
    return max(at - since, timedelta(0))


def _is_used_up(grant: Grant) -> bool:
    """Whether every further read of it is beyond its budget."""
    most = grant.scope.max_rows
    return grant.has_met_more or (most is not None and grant.rows_used >= most)


def _ample(most: int | None, used: int) -> int | None:
    return None if most is None else min(most, _rounded_up(AMPLE * max(used, 1)))


def _rounded_up(number: int) -> int:
    """To two significant digits: 1,234 is 1,300."""
    step = int(10 ** max(len(str(number)) - 2, 0))
    return -(-number // step) * step
