"""JSON logs: an event's name is constant, what varies stands in fields; never data, never a token."""

import logging
import sys

import structlog
from structlog.typing import Processor

QUIET = ("ASGI callable returned without completing response.",)
"""What uvicorn says of a stream that we broke on purpose; the entry of its end says why."""


def set_up_logs() -> None:
    """Everything that is logged, ours and the libraries', as one JSON object a line on standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(sort_keys=True)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(sort_keys=True),
            ],
        )
    )
    handler.addFilter(lambda record: record.getMessage() not in QUIET)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
