"""A verified ledger that does not hold is an alert: `remit audit verify` tells the gateway, which calls on-call."""

import os
from typing import TYPE_CHECKING

from remit.errors import RemitError

from . import options, terminal

if TYPE_CHECKING:
    from audit.verify import Verdict

MOST, LONGEST = 20, 500
"""Problems that are told, and characters of each; the gateway takes no more."""
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
    first = [{"seq": problem.seq, "what": problem.what[:LONGEST]} for problem in verdict.problems[:MOST]]
    return {
        "ledger": verdict.origin[:200],
        "size": verdict.size,
        "root": verdict.root.hex(),
        "integrity": verdict.integrity,
        "completeness": verdict.completeness,
        "problems": len(verdict.problems),
        "first": first,
    }
