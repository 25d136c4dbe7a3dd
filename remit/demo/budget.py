"""The story's middle: a budget that runs out, and a grant that is taken back in the middle of a read."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from remit.client import connect
from remit.errors import BrokenStream

from .acts import GRANT, REQUEST, Act
from .stage import DemoFailed, Stage

DATASET = "pointer_events"

ACTS = (
    Act(
        "ana",
        "For a second model Ana asks for every hand's way, two million rows of it.",
        ("requests", "create", "paths.toml"),
    ),
    Act(
        "mia",
        "Half of that is enough for a try, says Mia. Nothing of it is highly sensitive, so hers is the last word.",
        ("requests", "approve", REQUEST, "--max-rows", "1000000", "--comment", "enough for a try", "--yes"),
    ),
    Act(
        "ana",
        "Ana reads: it is cut where the budget ends, and says so.",
        ("read", DATASET, "--grant", GRANT, "--out", "paths.arrow"),
    ),
    Act("ana", "She wants more of it. The budget has run out.", ("read", DATASET, "--grant", GRANT), exit=1),
    Act(
        "ana",
        "So she asks again. Remit says how much of the last one she used, and proposes no more than that.",
        ("requests", "renew", GRANT, "--yes"),
    ),
    Act("mia", "Mia sees that it was used, and approves.", ("requests", "approve", REQUEST, "--yes")),
    Act(
        "mia",
        "Ana's notebook is in the middle of the rows when Mia takes the grant back. They stop at the next batch.",
        ("grants", "revoke", GRANT, "--why", "that run was stopped"),
        breaks="ana",
    ),
    Act(
        "ana",
        "Every read stays on record, with how many rows left and what ended it.",
        ("grants", "show", GRANT),
    ),
)


@contextmanager
def broken(console: Console, running: Stage, who: str, grant: str) -> Iterator[None]:
    """A read of `who` that runs while something is done; raises `DemoFailed` unless that ends it."""
    with (
        connect(running.gateway, token=running.token(who)) as client,
        client.read(DATASET, grant=grant) as reader,
    ):
        first = reader.read_next_batch().num_rows
        _line(console, who, f'reader = remit.connect().read("{DATASET}", grant="{grant}")')
        _line(console, who, "reader.read_next_batch().num_rows")
        console.print(f"{first:,}", markup=False)
        yield
        _line(console, who, "for batch in reader: train(batch)")
        try:
            for _ in reader:
                pass
        except BrokenStream as stopped:
            console.print(f"remit.BrokenStream: {stopped}", markup=False)
        else:
            raise DemoFailed(f"the rows under `{grant}` did not stop; see {running.place / 'service.log'}")


def _line(console: Console, who: str, code: str) -> None:
    console.print(f"  {who} >>> {code}", style="bold cyan", markup=False, soft_wrap=True)
