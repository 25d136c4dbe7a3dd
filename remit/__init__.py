"""Hold. What people hold in their hands: the Python client and the command line."""

from .answers import Compared, Problem
from .client import Client, connect
from .errors import BrokenStream, GatewayFault, Misuse, Refused, RemitError, Unreachable
from .rows import Receipt, RowReader

__all__ = [
    "BrokenStream",
    "Client",
    "Compared",
    "GatewayFault",
    "Misuse",
    "Problem",
    "Receipt",
    "Refused",
    "RemitError",
    "RowReader",
    "Unreachable",
    "connect",
]
