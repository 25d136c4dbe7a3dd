"""How many of something, in words: `1 entry`, `2,000 entries`."""


def amount(number: int, one: str, more: str = "") -> str:
    """`number` with what it counts: `one` where it is 1, else `more`; left out, that is `one` as English has it."""
    return f"{number:,} {one if number == 1 else more or _plural(one)}"


def _plural(one: str) -> str:
    return f"{one[:-1]}ies" if one.endswith("ry") else f"{one}s"
