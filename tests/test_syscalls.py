"""What the kernel sees of a read: its entry is flushed before the first byte goes out; and each call may fail.

A write or flush that fails, and a process that is killed in one, never lead to rows without a durable entry, to a
ledger that does not verify, or to a read without an end. `make torture` goes through every call, one by one.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulting import PLACES, Fault, Trial, calls_of_a_read
from service import serving
from straced import calls, traced

from audit.postgres import GATEWAY, Embedded
from audit.schema import migrate


@pytest.fixture(scope="module")
def trial(folder: Path) -> Iterator[Trial]:
    """A gateway and a PostgreSQL of these tests' own: both get killed."""
    place = Path(tempfile.mkdtemp(dir=folder))
    place.chmod(0o711)
    with Embedded.open(place / "database") as database:
        migrate(database.url("owner"), GATEWAY)
        with serving(place, database.url("gateway")) as service:
            yield Trial(service, database)


def test_the_entry_is_flushed_before_the_first_byte_reaches_the_socket(trial: Trial) -> None:
    backends = trial.writing_backends()
    with traced(
        [*backends, trial.service.process.pid], "-e", "trace=fdatasync,fsync,write,writev,sendto,sendmsg"
    ) as seen:
        assert trial.read().is_whole
        lines = calls(seen)
    answered = next(place for place, call in enumerate(lines) if '"HTTP/1.1 200 OK' in call.line)
    flushes = [call.line for call in lines[:answered] if call.pid in backends and call.name in ("fdatasync", "fsync")]
    assert flushes
    assert all(line.endswith("= 0") for line in flushes)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_read_makes_the_calls_that_are_made_to_fail(trial: Trial, place: Fault) -> None:
    assert calls_of_a_read(trial, place) > 0


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_rows_have_a_durable_entry_and_the_ledger_verifies_whichever_call_fails_first(
    trial: Trial, place: Fault
) -> None:
    trial.hold(place.at(1))
