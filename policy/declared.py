"""What a declared scope must be before anybody is asked to approve it. Pure."""

from datetime import datetime, timedelta

from .errors import MisreadAll
from .tables import Problems
from .values import Principal, Scope

LEAST_CHARACTERS = 40
LEAST_WORDS = 2
BREAK_GLASS = timedelta(hours=1)
"""The longest that somebody reads without approval."""
SKEW = timedelta(seconds=60)
"""How far the clock of whoever asks may be off."""


def check_declared(scope: Scope, *, at: datetime, break_glass: bool, by: Principal) -> MisreadAll | None:
    """Why `scope` cannot be asked for at `at` by `by`; None where it can."""
    problems = Problems("request")
    if unfit := unfit_sentence(scope.justification):
        problems.add(("justification",), f"`justification` says why the data is needed: {unfit}")
    if scope.ends <= at:
        problems.add(("ends",), "`ends` has passed: name a later time")
    if break_glass:
        _check_break_glass(scope, at, by, problems)
    return problems.all()


def unfit_sentence(text: str) -> str | None:
    """Why `text` is no sentence that says why; None where it is one. What holds no letter or digit does not count."""
    words = [word for word in text.split() if any(character.isalnum() for character in word)]
    named = [word for word in words if any(character.isalpha() for character in word)]
    if len(" ".join(words)) >= LEAST_CHARACTERS and len(named) >= LEAST_WORDS:
        return None
    return f"write a sentence of at least {LEAST_CHARACTERS} characters and more than one word"


def _check_break_glass(scope: Scope, at: datetime, by: Principal, problems: Problems) -> None:
    if by.kind != "person":
        problems.add(("principal",), "a service breaks no glass: a person has to, for themselves")
    elif scope.principal != by.name:
        problems.add(
            ("principal",), "whoever breaks the glass reads themselves: leave `team` out, and name nobody else"
        )
    if scope.starts > at + SKEW:
        problems.add(("starts",), "a grant without approval starts at once: leave `starts` out")
    if scope.ends > at + BREAK_GLASS:
        problems.add(("ends",), "a grant without approval ends within an hour: leave `ends` out")
