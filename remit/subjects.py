"""The dictionary of whose rows were read, from Python: `client.subjects.erase` has somebody forgotten."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from .connection import Connection


@dataclass(frozen=True, slots=True)
class Erased:
    """Somebody whom a column of `data_class` named was forgotten."""

    data_class: str
    erased: bool


_ERASED = TypeAdapter(Erased)


class Subjects:
    """Whose rows were read; raises as `remit.Client` does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def erase(self, data_class: str, name: str, why: str) -> Erased:
        """Forgets who `name` was in every record of a read; refused with `not_found` where nobody of it was read."""
        body = {"data_class": data_class, "name": name, "why": why}
        return self._connection.post("/v1/subjects:erase", body, _ERASED)
