"""Appends while the tree is stored, signed and co-signed by a witness, against the same while nobody does."""

from collections.abc import Iterator
from dataclasses import replace

from witnessing import witnessing

from audit.checkpointer import Checkpointer
from audit.cosignatures import Quorum
from audit.cosigner import WitnessAt
from audit.ledger_keys import NAME, read
from audit.witnessing import Witnessing

from .appends import appending, ledger_on
from .contest import Contest, Goal
from .place import Place
from .scale import Scale


def contests(place: Place, scale: Scale) -> Iterator[Contest]:
    """One, each side on a database of its own."""
    database, home = place.database("signed"), place.subfolder("signed")
    signed, unsigned = ledger_on(place, database), ledger_on(place, place.database("unsigned"))
    engine, key = database.engine(), home / NAME
    Checkpointer(engine, signed, key=key, home=home).look()
    log = read(key).signers[0].verifier
    # A checkpoint comes once a second: in a shorter round there may be one of them, or two.
    longer = replace(scale, seconds=3 * scale.seconds)
    with witnessing(place.subfolder("witness"), log) as witness:
        quorum = Quorum((WitnessAt(witness.url, witness.key),), 1)
        appended = appending(signed, longer)

        def ours() -> float:
            with Checkpointer(engine, signed, key=key, home=home), Witnessing(engine, signed, quorum) as shown:
                took = appended()
                assert not shown.standing.failing, shown.standing.failing
                return took

        yield Contest(
            what=f"durable appends with checkpoints and a witness, {scale.callers} callers",
            against="the same without",
            goal=Goal("time", 1.1),
            unit="entries",
            how="both entries of a read from each caller; in ours one thread reads the new entries back, hashes them "
            "again, stores tiles and signs, at most a second behind, and another shows that to a witness, which is a "
            "process of its own on this machine",
            cause="reading back and hashing again takes processor time of the same two cores and the same interpreter",
            ours=ours,
            theirs=appending(unsigned, longer),
        )
        # In a run of moments the threads may not have come to it.
        with Witnessing(engine, signed, quorum) as shown:
            shown.look()
            assert shown.standing.counted, shown.standing.failing
