"""Numbers for Prometheus. No names in them: `/metrics` asks for no token."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from authz.stream import GovernedStream


class Metrics:
    """Everything that is counted, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.reads = Counter("remit_reads", "Reads decided, by code; `ok` was permitted", ["code"], registry=registry)
        self.ends = Counter("remit_read_ends", "Reads that ended, cleanly or not", ["clean"], registry=registry)
        self.rows_out = Counter("remit_rows_out", "Rows that left", registry=registry)
        self.bytes_out = Counter("remit_bytes_out", "Bytes of rows that left", registry=registry)
        self.tokens_refused = Counter("remit_tokens_refused", "Tokens that were refused", registry=registry)
        self.not_recorded = Counter("remit_not_recorded", "Asks that ended because of the ledger", registry=registry)
        self.seconds = Histogram("remit_request_seconds", "Time to the first byte", ["route"], registry=registry)

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A number that is looked up whenever somebody asks."""
        Gauge(name, text, registry=self._registry).set_function(value)

    def gauges(self, name: str, text: str, label: str, values: Mapping[str, Callable[[], float]]) -> None:
        """The same for several numbers of one name, one for each value of `label`."""
        gauge = Gauge(name, text, [label], registry=self._registry)
        for each, value in values.items():
            gauge.labels(each).set_function(value)

    def ended(self, stream: GovernedStream, ended_by: str) -> None:
        """Count the end of one stream."""
        self.rows_out.inc(stream.rows_out)
        self.ends.labels("no" if ended_by else "yes").inc()

    def text(self) -> bytes:
        """The exposition format of Prometheus."""
        return generate_latest(self._registry)
