"""A process of its own that appends an entry, signs it and shows it to a witness, once for each line that it is told.

python tests/checkpointing.py DATABASE HOME WITNESS_URL WITNESS_KEY; answers `signed N`, or `fault` and what it was.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError

import audit.checkpointer
import audit.witnessing
from audit.checkpointer import Checkpointer
from audit.cosignatures import Quorum
from audit.cosigner import WitnessAt
from audit.engines import engine_for
from audit.entries import Entry, Kind
from audit.errors import AuditError
from audit.ledger import Ledger
from audit.ledger_keys import NAME
from audit.notes import Verifier
from audit.witnessing import Witnessing

NOT_YET = "not signed"


def main(url: str, home: Path, witness: str, key: str) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # its answers alone go to stdout
    audit.checkpointer.APART = audit.witnessing.LEFT_ALONE = 0
    engine = engine_for(url)
    ledger = Ledger(engine, gateway=f"gw-{datetime.now(UTC):%H%M%S%f}", clock=lambda: datetime.now(UTC))
    ledger.close_orphans(ledger.missing())
    checkpointer = Checkpointer(engine, ledger, key=home / NAME, home=home)
    with_witness = Witnessing(engine, ledger, Quorum((WitnessAt(witness, Verifier.parse(key)),), 1))
    print("ready", flush=True)
    for _ in sys.stdin:
        try:
            ledger.append(Entry(Kind.READ_REFUSED, "ana", code="no_grant"))
            checkpointer.look()
            with_witness.look()
            size, counted = ledger.head().size, with_witness.standing.counted
            print(f"signed {counted}" if counted == size else f"fault {NOT_YET}", flush=True)
        except (SQLAlchemyError, psycopg.Error, AuditError, OSError) as fault:
            print(f"fault {type(fault).__name__}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4])
