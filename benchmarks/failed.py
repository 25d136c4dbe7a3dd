"""What could not be measured, and why: one step that fails is told, and the others have their turn."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager


class Failed(dict[str, str]):
    """The reason of each step that failed, by its name."""

    @contextmanager
    def noted(self, step: str) -> Iterator[None]:
        """Any fault within is printed and noted, and ends no more than the `with`; being interrupted ends all."""
        try:
            yield
        except Exception as fault:  # noqa: BLE001  # the edge: whatever it was, the other steps are still worth having
            traceback.print_exc()
            self[step] = f"{type(fault).__name__}: {fault}".splitlines()[0]
