"""Hold. What people hold in their hands: the Python client and the command line."""

from .alerts import Alert
from .answers import (
    Accepted,
    Check,
    Compared,
    Dataset,
    Grant,
    LedgerKeys,
    Line,
    Page,
    Pause,
    Problem,
    Reloaded,
    Told,
    Whoami,
)
from .client import Client, connect
from .errors import (
    BrokenStream,
    GatewayFault,
    LoginFailed,
    Misuse,
    NotGenuine,
    NotInstalled,
    Refused,
    RemitError,
    Unreachable,
)
from .rows import Receipt, RowReader
from .webhooks import Notice, verify_webhook

__all__ = [
    "Accepted",
    "Alert",
    "BrokenStream",
    "Check",
    "Client",
    "Compared",
    "Dataset",
    "GatewayFault",
    "Grant",
    "LedgerKeys",
    "Line",
    "LoginFailed",
    "Misuse",
    "NotGenuine",
    "NotInstalled",
    "Notice",
    "Page",
    "Pause",
    "Problem",
    "Receipt",
    "Refused",
    "Reloaded",
    "RemitError",
    "RowReader",
    "Told",
    "Unreachable",
    "Whoami",
    "connect",
    "verify_webhook",
]
