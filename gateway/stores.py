"""What the stores hold that they should not, written down at each start and reload."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import structlog

from audit.entries import Entry, Json, Kind
from audit.ledger import Ledger
from authz.exposure import exposed_files, undeclared_columns, undeclared_files
from policy.bundle import Bundle

log = structlog.get_logger()

ACTOR = "gateway"
"""Who did it, in entries that no person caused."""
MOST_NAMES = 100
"""Names that one entry lists; it says how many there are in all."""


def report_stores(ledger: Ledger, bundle: Bundle, folder: Path) -> None:
    """Record what the catalog does not name, and files that can be read around Remit: the very incident."""
    for entry in (*_undeclared(bundle, folder), *_exposed(bundle, folder)):
        ledger.append(entry)
        log.warning(entry.kind.value.replace(".", "_"), dataset=entry.dataset, **entry.details)


def _undeclared(bundle: Bundle, folder: Path) -> Iterator[Entry]:
    for each in undeclared_columns(bundle.catalog):
        details: dict[str, Json] = {"columns": list(each.columns[:MOST_NAMES]), "in_all": len(each.columns)}
        yield Entry(Kind.STORE_UNDECLARED, ACTOR, dataset=each.dataset, digest=bundle.digest, details=details)
    if files := undeclared_files(bundle.catalog, folder):
        details = {"files": [path.name for path in files[:MOST_NAMES]], "in_all": len(files)}
        yield Entry(Kind.STORE_UNDECLARED, ACTOR, digest=bundle.digest, details=details)


def _exposed(bundle: Bundle, folder: Path) -> Iterator[Entry]:
    for dataset, found in groupby(exposed_files(bundle.catalog, folder), key=lambda each: each.dataset):
        files = list(found)
        details: dict[str, Json] = {
            "files": len(files),
            "example": files[0].path.name,
            "why": f"mode {files[0].mode:04o} lets other users of the machine read it",
        }
        yield Entry(Kind.STORE_EXPOSED, ACTOR, dataset=dataset, digest=bundle.digest, details=details)
