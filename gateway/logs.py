"""JSON logs: an event's name is constant, what varies stands in fields; never data, never a token."""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

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
        where_it_broke,
    ]
    render = structlog.processors.JSONRenderer(sort_keys=True)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(lambda record: record.getMessage() not in QUIET)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def where_it_broke(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Of an exception its type and the places it passed; its message and its variables can hold data and tokens."""
    given = event.pop("exc_info", None)
    fault = given[1] if isinstance(given, tuple) else given if isinstance(given, BaseException) else sys.exception()
    if given and fault is not None:
        frames = traceback.extract_tb(fault.__traceback__)
        event["fault"] = type(fault).__name__
        event["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event
