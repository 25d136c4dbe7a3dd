"""Dotted names and how one lies within another: `research.ml` is within `research`."""

import re

NAME = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)*", re.ASCII)
ANY = "*"
"""Stands alone, in a rule or an audience, and means every name."""


def is_name(text: str) -> bool:
    """Whether `text` is a dotted name: `[a-z0-9_]+` joined by dots."""
    return NAME.fullmatch(text) is not None


def is_within(name: str, outer: str) -> bool:
    """Whether `name` is `outer` or lies below it; everything lies within `*`."""
    return outer in (ANY, name) or name.startswith(outer + ".")


def ancestry(name: str) -> tuple[str, ...]:
    """`a.b.c` → `("a.b.c", "a.b", "a")`: the name and everything it is within, nearest first."""
    parts = name.split(".")
    return tuple(".".join(parts[:n]) for n in range(len(parts), 0, -1))
