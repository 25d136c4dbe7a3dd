"""Whose rows leave: what it costs to account for them beside the same scan without."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pyarrow as pa

from audit.entries import Json
from authz.guard import Refused
from authz.permit import Permit, seal
from authz.reader import RowStream
from authz.stream import GovernedStream
from gateway.parts import Parts
from policy.values import ReadRequest

from .contest import Contest, Goal, Measure, timed
from .gateways import ANA, GROUPED, PROMPTS
from .scale import Scale

COLUMNS = ("at", "x", "y", "button")
TEXTS = ("at", "prompt")
ACCOUNTED = "governed scan with its subjects accounted for"
LOOKED_AT = (
    "the same under a filter that was never asked before and keeps every row; ours reads the subject's column too, "
    "finds whom it has not met, and remembers who comes first in which batch"
)


def contests(parts: Parts, scale: Scale) -> Iterator[Contest]:
    """Five: 5,000 people mixed, and each a thousand rows at a time; read before, and the first time; prompts."""
    for name, how in (("wide", "5,000 people, each row another's"), (GROUPED, "1,000 rows of one after the other")):
        yield _contest(
            _scans(parts, name, scale, again=True),
            what=f"{ACCOUNTED}, {how}",
            how=f"{scale.rows:,} rows, {len(COLUMNS)} columns, none of which is the subject's, that were read before; "
            "ours knows who comes first in which batch, and records them before their rows leave",
            cause="About 0.15 ms for each batch of 65,536 rows, and durable writes of 2 ms, in a scan of a tenth of a "
            "second",
        )
        yield _contest(
            _scans(parts, name, scale, again=False),
            what=f"{ACCOUNTED}, {how}, the first time",
            how=LOOKED_AT,
            cause="The scan alone keeps both cores busy. To read one column more adds a quarter to it, and to look "
            "each row's text up takes about 20 ns of a third thread",
        )
    yield _contest(
        _scans(parts, PROMPTS, scale, again=False),
        what=f"{ACCOUNTED}, prompts, the first time",
        how=f"{LOOKED_AT}; {scale.rows // 20:,} rows, each another's than the one before, with a time and a text of "
        "1,024 characters",
        cause="The subject's column, a look at each row and durable writes of 2 ms, in a scan of a third of a second; "
        "alone and on a quiet machine it is within the goal",
    )


def _contest(scans: tuple[Measure, Measure], *, what: str, how: str, cause: str) -> Contest:
    ours, theirs = scans
    against, goal = "the same scan without", Goal("time", 1.10)
    return Contest(what, against, goal, "rows", how, ours, theirs, cause)


def _scans(parts: Parts, name: str, scale: Scale, *, again: bool) -> tuple[Measure, Measure]:
    """A scan of dataset `name`, and the same that nobody counts."""
    counted, uncounted = (_scan(parts, name, scale, counted=each, again=again) for each in (True, False))
    return counted, uncounted


def _scan(parts: Parts, name: str, scale: Scale, *, counted: bool, again: bool) -> Measure:
    filters = ("" if again else f"x > -{number}" for number in count(1))
    columns = TEXTS if name == PROMPTS else COLUMNS

    def read() -> int:
        permit = parts.guard.authorize(ReadRequest(name, columns, next(filters)), ANA)
        assert not isinstance(permit, Refused), permit
        stream = parts.stream(permit) if counted else _uncounted(parts, permit)
        rows = sum(batch.num_rows for batch in iter(stream.next_batch, None))
        stream.complete()
        return rows

    return lambda: timed(lambda: sum(read() for _ in range(scale.scans)))


def _uncounted(parts: Parts, permit: Permit) -> GovernedStream:
    """The same read of rows that nobody counts, and whose subject, as the reader is told, is a column of the answer."""
    plan = replace(permit.plan, dataset=replace(permit.plan.dataset, subject=permit.request.columns[-1]))
    told = seal(permit.read, permit.principal, permit.request, plan, permit.digest, permit.recorded)
    return GovernedStream(
        permit,
        Uncounted(parts.reader.open(told)),  # type: ignore[arg-type]  # as if
        guard=parts.guard,
        control=parts.control,
        grants=parts.grants,
        endings=parts.endings,
        clock=parts.clock,
        on_end=parts.streams.remove,
    )


class Uncounted:
    """What `CountedRows` is, without counting."""

    is_cut = False
    was_told = False

    def __init__(self, rows: RowStream) -> None:
        self.schema = rows.schema
        self._rows = rows
        self._next: pa.RecordBatch | None = None

    def fetch(self, _: int) -> int | None:
        """As `CountedRows` does."""
        self._next = self._rows.read_next()
        return None if self._next is None else self._next.num_rows

    def admit(self) -> Any:
        """As `CountedRows` does."""
        return self._next

    def settle(self) -> dict[str, Json]:
        """Nothing is known."""
        return {}

    def close(self) -> None:
        """As `CountedRows` does."""
        self._rows.close()
