"""Small audited reads: what group commit is worth to 32 clients who each ask for a few rows."""

import json
from collections.abc import Callable, Iterator

from service import Service

from .contest import Contest, Goal, Measure, crowd
from .gateways import caller, gateway, without_group_commit
from .place import Place
from .scale import Scale

BODY = json.dumps({"dataset": "events", "columns": ["at", "x"], "rows": "x < 10"}).encode()


def contests(place: Place, service: Service, scale: Scale) -> Iterator[Contest]:
    """One, between two gateways with databases of their own."""
    with gateway(place, "one_at_a_time", scale) as opponent:
        without_group_commit(opponent)
        yield Contest(
            what=f"small audited reads, {scale.clients} clients",
            against="the same, fsync for each request",
            goal=Goal("speed", 3),
            unit="reads",
            how="10 rows each through HTTP over connections that stay open; the opponent's ledger writes each of the "
            "two entries of a read in a transaction of its own",
            cause="The processor is the limit, not the disk: a read costs the gateway about 8 ms. A quarter of its "
            "thread's work is DuckDB, which plans each statement anew, a quarter three statements to PostgreSQL "
            "(grants, budget, subjects); around it are HTTP and the two entries; an fsync takes 0.2",
            ours=_reading(service, scale),
            theirs=_reading(opponent, scale),
        )


def _reading(service: Service, scale: Scale) -> Measure:
    works = [client(service) for _ in range(scale.clients)]
    return lambda: crowd(works, scale.seconds)


def client(service: Service) -> Callable[[], int]:
    own = caller(service.url, {"Authorization": f"Bearer {service.token('ana')}"})

    def read() -> int:
        assert own.post("/v1/reads", BODY) > 0
        return 1

    return read
