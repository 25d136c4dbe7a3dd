"""Faults of enforcement; any of them means that no more rows leave.

AuthzError
├── StoreFailed   a store could not be read, or is not what the catalog says
│   └── DoorClosed   somebody else closed the way to it just now; try again
├── NotCounted    whose rows these are could not be recorded
├── ReadStopped   a read was closed while rows were still to come
├── KeysUnfit     the master key in `REMIT_HOME` cannot be trusted or made
└── BundleHeld    a bundle would open again what an alert's containment closed; it is not let in
"""


class AuthzError(Exception):
    """Something on the way of a read broke; who asked may be told the text."""


class StoreFailed(AuthzError):
    """A store could not be read; `reason` is safe to show: no data, no SQL, no path of this machine."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DoorClosed(StoreFailed):
    """The open database of a dataset was closed between being found and being asked: there is a newer one."""

    def __init__(self) -> None:
        super().__init__("the dataset's files were replaced just now; ask again")


class NotCounted(AuthzError):
    """Whose rows they are could not be recorded, so they do not leave."""


class ReadStopped(AuthzError):
    """Somebody closed the read before its end; what came so far is not all of it."""

    def __init__(self) -> None:
        super().__init__("the read was stopped before its end")


class KeysUnfit(AuthzError):
    """The master key is unreadable, too open or damaged; the text names the file and says what to do."""


class BundleHeld(AuthzError):
    """A bundle is not let in: `digest` is its name, `alerts` those whose hold checks it would open, `what` says how."""

    def __init__(self, digest: str, alerts: tuple[int, ...], what: str) -> None:
        named = f"alert{'s' * (len(alerts) > 1)} {', '.join(map(str, alerts))}"
        super().__init__(f"this bundle would open again what {named} closed: {what}")
        self.digest = digest
        self.alerts = alerts
        self.what = what
