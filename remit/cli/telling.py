"""A verified ledger that does not hold is an alert: `remit audit verify` tells the gateway, which calls on-call."""

import os
from typing import TYPE_CHECKING

from remit.errors import RemitError

from . import options, terminal

if TYPE_CHECKING:
    from audit.verify import Verdict

MOST, LONGEST, NAME = 20, 500, 200
"""Problems that are told, characters of each and of the ledger's name; the gateway takes no more."""
BY_HAND = "nobody was called: tell on-call yourself"


def tell(verdict: "Verdict") -> None:
    """Tell the gateway of REMIT_URL, and say on stderr whether it was. The verdict stands either way."""
    if not os.environ.get("REMIT_URL"):
        terminal.note(f"{BY_HAND}, or set REMIT_URL and REMIT_TOKEN, and verify again")
        return
    try:
        with options.gateway() as gateway:
            entry = gateway.tell_verdict(_told(verdict)).entry
    except RemitError as fault:
        terminal.note(f"{BY_HAND}; the gateway did not take it: {fault}")
        return
    terminal.note(f"on-call is called: entry {entry} says what was found")


def _told(verdict: "Verdict") -> dict[str, object]:
    """As the gateway takes it, whatever stands in a ledger that somebody changed."""
    first = [{"seq": _count(each.seq), "what": _plain(each.what, LONGEST)} for each in verdict.problems[:MOST]]
    return {
        "ledger": _plain(verdict.origin, NAME),
        "size": _count(verdict.size),
        "root": verdict.root.hex(),
        "integrity": verdict.integrity,
        "completeness": verdict.completeness,
        "problems": len(verdict.problems),
        "first": first,
    }


def _count(number: int) -> int:
    """Within what JSON says exactly."""
    return min(max(number, 0), 2**53 - 1)


def _plain(text: str, longest: int) -> str:
    """Without what no text of the API may have."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")[:longest]
