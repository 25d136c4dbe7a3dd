"""Send what stands in the outbox: a thread for each channel, so that one that hangs or fails holds up no other.

The only module that imports `stamina`, which tries again within one sending where no connection came about. Everything
longer is kept in the outbox, and outlives the gateway.
"""

import random
from collections.abc import Callable, Sequence
from threading import Event, Thread
from time import monotonic

import stamina
import structlog

from .channels import Channel
from .letters import Letter
from .outbox import Outbox
from .transport import NotDelivered, Unreachable

POLL = 1.0
"""Seconds after which a sender looks by itself: what other gateways write wakes nobody here."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
"""Seconds between two tries, doubled with each."""

log = structlog.get_logger()


class Sending:
    """`with Sending(…):` sends until it ends, and then what is due, as long as that takes no more than `LAST` seconds.

    `jitter` gives numbers from 0 to 1.
    """

    LAST = 5.0

    def __init__(
        self, outbox: Outbox, channels: Sequence[Channel], *, jitter: Callable[[], float] = random.random
    ) -> None:
        self._senders = [_Sender(outbox, channel, jitter) for channel in channels]

    def __enter__(self) -> "Sending":
        for sender in self._senders:
            sender.start()
        return self

    def __exit__(self, *_: object) -> None:
        until = monotonic() + self.LAST
        for sender in self._senders:
            sender.end()
        for sender in self._senders:
            # One that hangs is left: its letter is let go of when this gateway's lock is free.
            sender.join(max(0.0, until - monotonic()))

    def wake(self, _: object = None) -> None:
        """Look now: something was written."""
        for sender in self._senders:
            sender.wake()


class _Sender(Thread):
    def __init__(self, outbox: Outbox, channel: Channel, jitter: Callable[[], float]) -> None:
        super().__init__(name=f"sender-{channel.name}", daemon=True)
        self._outbox, self._channel, self._jitter = outbox, channel, jitter
        self._woken, self._ending = Event(), Event()

    def wake(self) -> None:
        self._woken.set()

    def end(self) -> None:
        self._ending.set()
        self._woken.set()

    def run(self) -> None:
        while True:
            is_last = self._ending.is_set()
            self._woken.clear()
            try:
                while self._send_next():
                    pass
            except Exception as fault:  # noqa: BLE001  # a sender that dies of one fault would send nothing more
                log.error("sending_interrupted", channel=self._channel.name, fault=type(fault).__name__)
            if is_last:
                return
            self._woken.wait(POLL)

    def _send_next(self) -> bool:
        """Send one letter; whether there was one."""
        name, letter = self._channel.name, self._outbox.claim(self._channel.name)
        if letter is None:
            return False
        if fault := self._fault_of(letter):
            wait = max(fault.wait, wait_after(letter.attempts, self._jitter()))
            self._outbox.failed(letter, name, str(fault), wait=wait)
            log.error("not_delivered", channel=name, key=letter.key, attempt=letter.attempts, reason=str(fault))
        else:
            self._outbox.delivered(letter, name)
            log.info("delivered", channel=name, key=letter.key, attempt=letter.attempts)
        return True

    def _fault_of(self, letter: Letter) -> NotDelivered | None:
        try:
            for attempt in stamina.retry_context(on=Unreachable, attempts=3, timeout=3, wait_initial=0.1, wait_max=1):
                with attempt:
                    self._channel.transport.send(letter)
        except NotDelivered as fault:
            return fault
        except Exception as fault:  # noqa: BLE001  # a letter that a channel's library breaks on must not stop the rest
            return NotDelivered(f"it failed: {type(fault).__name__}")
        return None


def wait_after(attempts: int, jitter: float) -> float:
    """Seconds until the next try after so many, longer each time; half of it is `jitter`, which is from 0 to 1."""
    longest = min(FIRST_WAIT * 2.0 ** min(attempts - 1, 30), LONGEST_WAIT)
    return longest / 2 * (1 + jitter)
