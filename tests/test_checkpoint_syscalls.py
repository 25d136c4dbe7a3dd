"""What the kernel is asked on the way of a checkpoint may fail: the first call of some places, one by one.

`make torture` goes through every call of all of them.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkpoint_faults import PLACES, Fault, Signing, signing


@pytest.fixture(scope="module")
def trial(folder: Path) -> Iterator[Signing]:
    """A database, a signer and a witness of these tests' own: all three get killed."""
    place = Path(tempfile.mkdtemp(dir=folder))
    place.chmod(0o711)
    with signing(place) as made:
        yield made


FIRST = (
    "database-fdatasync-EIO",
    "signer-sendto-KILL",
    "signer-rename-KILL",
    "witness-fsync-EIO",
    "witness-rename-KILL",
)


@pytest.mark.slow
@pytest.mark.parametrize("place", [place for place in PLACES if place.name in FIRST], ids=lambda place: place.name)
def test_a_checkpoint_that_was_handed_out_stays_and_the_witness_tells_one_story_whichever_call_fails_first(
    trial: Signing, place: Fault
) -> None:
    assert trial.calls(place) > 0
    trial.hold(place.at(1))
