"""`GET /v1/reports/exposure`: who could read a dataset in a time, and who did."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import RootModel

from audit.canonical import LARGEST_INTEGER
from audit.entries import Json, Kind
from audit.past import Sought
from audit.report_values import ExposureReport
from audit.reporting import Asked, Reporter, UnknownDataset
from audit.usage import Known
from authz.stream import LONGEST
from policy.values import Principal

from .parts import Parts
from .problems import Failed
from .reads import unwrap
from .trail import AUDIT, Time, utc

BEFORE_AN_ALERT = timedelta(days=1)
"""How long before the first entry of an alert its report begins: what was open then was open before."""
SLOW = timedelta(minutes=5)
"""What a stream may take longer than the longest, at its last batch."""
Dataset = Annotated[str | None, Query(max_length=1000)]
AlertId = Annotated[int | None, Query(ge=1, le=LARGEST_INTEGER)]


class Exposure(RootModel[ExposureReport]):
    """Who could read, who did, and where the record is incomplete."""


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The reports of one gateway."""
    router = APIRouter(prefix="/v1/reports", tags=["audit"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type
    longest = timedelta(seconds=LONGEST) + SLOW
    reporter = Reporter(parts.engine, parts.settings.witnesses, longest, partial(_whose, parts))

    @router.get("/exposure")
    def exposure(
        who: Who,
        dataset: Dataset = None,
        from_: Annotated[Time | None, Query(alias="from")] = None,
        to: Time | None = None,
        alert: AlertId = None,
    ) -> Exposure:
        """Who could read `dataset` from `from` until `to` (now, where left out), and who did. It is recorded first.

        With `alert` it is the alert's dataset, from a day before its first entry, where they are left out.
        """
        asked: dict[str, Json] = {"alert": alert, "dataset": dataset}
        asked |= {name: time.isoformat() for name, time in (("from", from_), ("to", to)) if time is not None}
        given = {name: value for name, value in asked.items() if value is not None}
        unwrap(parts.oversight.look(who, AUDIT, {"exposure": given}, kind=Kind.EXPOSURE_REPORTED))
        head = parts.ledger.head()
        named, since = _of_alert(parts, alert) if alert is not None else (None, None)
        until = utc(to) or head.at
        sought = _sought(dataset or named, utc(from_) or since, until, head.size)
        try:
            return Exposure(reporter.report(sought, Asked(who.name, head.at, alert)))
        except UnknownDataset as unknown:
            raise Failed("unknown_dataset", str(unknown), "name a dataset and a time in which it was there") from None

    return router


def _whose(parts: Parts, reads: Sequence[str]) -> Known:
    found = parts.subjects.subjects_of_reads(reads)
    return Known(found.count, tuple(person.name for person in found.people))


def _of_alert(parts: Parts, id: int) -> tuple[str | None, datetime]:
    alert = parts.alerts.get(id)
    if alert is None:
        raise Failed("not_found", f"there is no alert {id}", "`remit alerts list` shows which there are")
    return alert.dataset, alert.first_at - BEFORE_AN_ALERT


def _sought(dataset: str | None, since: datetime | None, until: datetime, size: int) -> Sought:
    if dataset is None or since is None:
        missing = "dataset" if dataset is None else "from"
        raise Failed("bad_request", f"`{missing}` is missing", "name a dataset and a time, or an alert that has them")
    if since >= until:
        raise Failed("bad_request", "`from` is not before `to`", "name a time that ends after it begins")
    return Sought(dataset, since, until, size)
