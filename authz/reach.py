"""Roughly how many rows and people a scope reaches today: a read, recorded first, of which little comes out.

Two significant digits, the same for whoever asks again, and no number at all where there are fewer than 10 people:
asking twice, or for a little more each time, must not tell of one of them.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping

from audit.entries import Entry, Kind
from audit.ledger import Ledger
from policy.bundle import Bundle
from policy.decide import decide
from policy.decision import Allow
from policy.effect import DatasetEffect, Effect
from policy.rows import render
from policy.values import Principal, ReadRequest

from .control import State
from .files import File
from .reader import Reader
from .records import Records

FEWEST = 10
DIGITS = 2
REMEMBERED = 1000
Numbers = Mapping[str, int | bool | None]
Key = tuple[str, str, str, tuple[File, ...]]


class Reach:
    """Counts what scopes reach. Thread-safe."""

    def __init__(self, reader: Reader, ledger: Ledger, records: Records) -> None:
        self._reader = reader
        self._ledger = ledger
        self._records = records
        self._counted: OrderedDict[Key, tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, effect: Effect, who: Principal, reader: Principal, state: State) -> dict[str, Numbers]:
        """For each dataset `rows` and `subjects`, rounded, both None for fewer than 10 people; none where it is paused.

        `telling` says that the filter names what is hidden: then the numbers are for those who approve alone. Raises
        `StoreFailed`, or `NotRecorded`, and then nothing was counted.
        """
        return {
            one.dataset: self._of(one, who, state.bundle)
            for one in effect.datasets
            if not _is_paused(one.plan, reader, state)
        }

    def _of(self, one: DatasetEffect, who: Principal, bundle: Bundle) -> Numbers:
        plan = one.plan
        filter = self._records.applied(plan, bundle, redacted=True)
        recorded = self._ledger.append(
            Entry(
                Kind.REQUEST_COUNTED,
                actor=who.name,
                teams=who.teams,
                dataset=one.dataset,
                purpose=plan.purpose,
                digest=bundle.digest,
                details={"rows": filter},
            )
        )
        files = self._reader.files(plan.dataset)
        said = render(plan.scope_rows) if plan.scope_rows is not None else ""
        key = (plan.dataset.location, plan.dataset.subject, said, files)
        with self._lock:
            found = self._counted.get(key)
        if found is None:
            found = self._reader.count(plan, recorded)
            with self._lock:
                self._counted[key] = found
                if len(self._counted) > REMEMBERED:
                    self._counted.popitem(last=False)
        rows, subjects = found
        if subjects < FEWEST:
            return {"rows": None, "subjects": None, "telling": one.is_telling}
        return {"rows": rounded(rows), "subjects": rounded(subjects), "telling": one.is_telling}


def _is_paused(plan: Allow, reader: Principal, state: State) -> bool:
    """Whether `reader` could not read it now for a pause: then nobody counts for them either."""
    grant = plan.grant
    ask = ReadRequest(plan.dataset.name)
    return not isinstance(decide(ask, reader, [grant], state.pauses, state.bundle, grant.scope.starts), Allow)


def rounded(number: int) -> int:
    """The number to two significant digits: 4,987 is 5,000."""
    return round(number, -max(len(str(number)) - DIGITS, 0))
