"""Delivery that survives: letters are in the outbox, sent by threads, and looked after by every gateway."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Engine

from .channels import Channel
from .digests import Digests, OwnerOf
from .escalation import Escalation
from .ledger import Ledger
from .outbox import Outbox
from .postbox import Postbox
from .sending import Sending


class Delivery:
    """`with Delivery(…):` tells `channels` what the outbox has for them, until it ends; what is not told yet stays.

    `gateway` is the ledger's instance; `owner_of` the owner of a dataset; `clock` gives aware UTC times.
    """

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        channels: Sequence[Channel],
        escalation: Escalation,
        *,
        gateway: str,
        owner_of: OwnerOf,
        clock: Callable[[], datetime],
    ) -> None:
        self._outbox = Outbox(engine, gateway)
        self._postbox = Postbox(engine, ledger, channels, escalation)
        self._digests = Digests(engine, escalation, owner_of, clock=clock)
        self._sending = Sending(self._outbox, channels)

    def __enter__(self) -> "Delivery":
        self._postbox.serve()
        self._outbox.release()
        self._sending.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._sending.__exit__()

    def wake(self, _: object = None) -> None:
        """Something was written for somebody."""
        self._sending.wake()

    def look(self) -> None:
        """Do what is to be done now and then. Faults are SQLAlchemy's, or `NotRecorded`; then do it again."""
        self._outbox.release()
        self._postbox.look()
        self._digests.look()
