"""The streams that are running now."""

import threading

from authz.stream import GovernedStream


class LiveStreams:
    """The streams that are running, so that a stop can end each with its entry."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: set[GovernedStream] = set()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, stream: GovernedStream) -> None:
        """A stream starts; while stopping it is interrupted at once."""
        with self._lock:
            self._streams.add(stream)
            stopping = self._stopping
        if stopping:
            stream.interrupt("stopping")

    def remove(self, stream: GovernedStream) -> None:
        """A stream has ended."""
        with self._lock:
            self._streams.discard(stream)

    def stop(self) -> None:
        """Interrupt every stream, each with its entry; those that start from now on too."""
        with self._lock:
            self._stopping = True
            streams = list(self._streams)
        for stream in streams:
            stream.interrupt("stopping")
