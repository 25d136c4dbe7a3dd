"""Everything a running gateway consists of; `wiring` makes it, routes use it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine

from audit.alerts import Alerts
from audit.checkpointer import Checkpointer
from audit.delivery import Delivery
from audit.figures import Counted
from audit.follower import Follower
from audit.ledger import Ledger
from audit.watchman import Watchman
from audit.witnessing import Witnessing
from authz.alone import Alone
from authz.asking import Asking
from authz.containment import Containment
from authz.control import Control, Watch
from authz.counting import CountedRows
from authz.dictionary import Dictionary
from authz.endings import Endings
from authz.grants import GrantStore
from authz.guard import Guard
from authz.hold_runs import HoldRuns
from authz.holds import Holds
from authz.identity import Identity
from authz.judging import Judging
from authz.oversight import Oversight
from authz.pauses import PauseStore
from authz.permit import Permit
from authz.reader import Reader
from authz.records import Records
from authz.refused_tokens import RefusedTokens
from authz.requests import RequestStore
from authz.stream import GovernedStream
from authz.subjects import Subjects
from authz.usage import Usage

from .audiences import report_audiences
from .metrics import Metrics
from .settings import Settings
from .stores import report_stores
from .streams import LiveStreams


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one gateway."""

    settings: Settings
    engine: Engine
    ledger: Ledger
    control: Control
    watch: Watch
    grants: GrantStore
    requests: RequestStore
    asking: Asking
    judging: Judging
    usage: Usage
    pauses: PauseStore
    guard: Guard
    records: Records
    oversight: Oversight
    reader: Reader
    dictionary: Dictionary
    subjects: Subjects
    endings: Endings
    identity: Identity
    refused_tokens: RefusedTokens
    alerts: Alerts
    delivery: Delivery
    holds: Holds
    hold_runs: HoldRuns
    containment: Containment
    alone: Alone
    follower: Follower
    watchman: Watchman
    counted: Counted
    checkpointer: Checkpointer
    witnessing: Witnessing
    metrics: Metrics
    clock: Callable[[], datetime]
    streams: LiveStreams = field(default_factory=LiveStreams)

    def stream(self, permit: Permit) -> GovernedStream:
        """Open what a permit permits; raises `StoreFailed`, and then nothing was opened."""
        stream = GovernedStream(
            permit,
            CountedRows(permit, self.reader.open(permit), self.dictionary, self.subjects),
            guard=self.guard,
            control=self.control,
            grants=self.grants,
            endings=self.endings,
            clock=self.clock,
            on_end=self.streams.remove,
        )
        self.streams.add(stream)
        return stream

    def reload(self, actor: str) -> str:
        """Put the files in force as they are now; gives the digest. Raises as `Control.reload` does."""
        bundle = self.control.reload(actor=actor)
        self.hold_runs.hurry()
        report_stores(self.ledger, bundle, self.settings.catalog.parent)
        report_audiences(self.ledger, bundle)
        return bundle.digest
