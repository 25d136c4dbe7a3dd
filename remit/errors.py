"""What can go wrong between a person and the gateway.

RemitError
├── Misuse         an address, a token or an argument cannot be used; nothing was sent
├── Unreachable    nothing answered at the address
├── LoginFailed    nobody could be logged in, or nobody is any longer; the message says what to do next
├── Refused        the gateway said no: which line of the decision table, and what to do next
├── GatewayFault   the gateway could not do it, or what answered is no gateway
├── NotGenuine     a webhook that is not Remit's, was changed, or is not of now
├── BrokenStream   the rows stopped before their end: what arrived is not the answer
└── NotInstalled   the library that a method gives its answer with is not there; an ImportError too
"""

from .answers import Compared, Problem


class RemitError(Exception):
    """The root of the tree."""


class Misuse(RemitError):
    """An address, a token or an argument cannot be used; nothing was sent."""


class Unreachable(RemitError):
    """Nothing answered at the address."""


class LoginFailed(RemitError):
    """Nobody could be logged in, or nobody is any longer; the message says what to do next."""


class NotGenuine(RemitError):
    """A webhook is not Remit's, was changed on its way, or is not of now: do nothing on its strength."""


class BrokenStream(RemitError):
    """The rows stopped before their end, so what arrived of them is not the answer."""


class NotInstalled(RemitError, ImportError):
    """The library that a method gives its answer with is not installed; the rows are not touched."""


class Refused(RemitError):
    """The gateway said no. `code` is the line of the decision table, `detail` why, `help` what to do next.

    `excess` puts what was declared and what was asked side by side (None where the ask was not too much),
    `rules` names the rules that decided, `entry` is the number of the entry in the ledger that records it.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    @property
    def code(self) -> str:
        return self.problem.code

    @property
    def detail(self) -> str:
        return self.problem.detail

    @property
    def excess(self) -> Compared | None:
        return self.problem.excess

    @property
    def rules(self) -> tuple[str, ...]:
        return self.problem.rules

    @property
    def help(self) -> str:
        return self.problem.help

    @property
    def entry(self) -> int | None:
        return self.problem.entry

    def __str__(self) -> str:
        return str(self.problem)


class GatewayFault(RemitError):
    """The gateway could not do it, or what answered is no gateway; `problem` is what it said of itself, if anything."""

    def __init__(self, reason: str, problem: Problem | None = None) -> None:
        super().__init__(reason)
        self.problem = problem
