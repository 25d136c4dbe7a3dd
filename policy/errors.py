"""What can go wrong while deciding.

RemitPolicyError
├── Misread          one problem of a file that was refused
├── MisreadAll       every problem of such a file; what loaders raise
├── BadCondition     a condition of policies.conf that was not understood
├── BadRows          a filter of the row language that was not understood
├── UnknownColumn    a filter names a column that the dataset does not have
└── EngineFault      Casbin and the index disagree: nobody may read on such an answer
"""

from collections.abc import Iterable


class RemitPolicyError(Exception):
    """The root of the tree."""


class Misread(RemitPolicyError):
    """One problem of a file: `line` counts from 1, None where no line is to blame; `suggestion` is a near name."""

    def __init__(self, file: str, line: int | None, reason: str, suggestion: str | None = None) -> None:
        super().__init__(file, line, reason, suggestion)
        self.file = file
        self.line = line
        self.reason = reason
        self.suggestion = suggestion

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file} line {self.line}"
        return f"{where}: {self.reason}{_hint(self.suggestion)}"


class MisreadAll(RemitPolicyError):
    """A file was refused whole: all of its problems in the order of their lines, one to a line when printed."""

    def __init__(self, problems: Iterable[Misread]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class BadCondition(RemitPolicyError):
    """A condition was not understood; the loader of policies.conf says in which line."""

    def __init__(self, reason: str, suggestion: str | None = None) -> None:
        super().__init__(reason, suggestion)
        self.reason = reason
        self.suggestion = suggestion

    def __str__(self) -> str:
        return f"{self.reason}{_hint(self.suggestion)}"


class BadRows(RemitPolicyError):
    """A filter was not understood: `position` counts characters from 0, None where no place is to blame."""

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason, position)
        self.reason = reason
        self.position = position

    def __str__(self) -> str:
        return self.reason if self.position is None else f"{self.reason} (at character {self.position + 1})"


class UnknownColumn(RemitPolicyError):
    """A filter names `column`, which the dataset does not have; `suggestion` is a near name."""

    def __init__(self, column: str, suggestion: str | None = None) -> None:
        super().__init__(column, suggestion)
        self.column = column
        self.suggestion = suggestion

    def __str__(self) -> str:
        return f"unknown column `{self.column}`{_hint(self.suggestion)}"


class EngineFault(RemitPolicyError):
    """Casbin and the index came to different answers; the decision is neither, and nothing may be read."""


def _hint(suggestion: str | None) -> str:
    return "" if suggestion is None else f"; did you mean `{suggestion}`?"
