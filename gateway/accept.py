"""Which of the formats on offer an `Accept` header asks for (RFC 9110 §12.5.1)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PARAMETER = re.compile(rf"[ \t]*;[ \t]*(?:({_WORD})=({_WORD}|{_QUOTED}))?")
_RANGE = re.compile(rf"[ \t]*({_WORD})/({_WORD})((?:[ \t]*;[ \t]*(?:{_WORD}=(?:{_WORD}|{_QUOTED}))?)*)[ \t]*")
_BETWEEN_COMMAS = re.compile(rf'(?:[^,"]|{_QUOTED}|")+')
_WEIGHT = re.compile(r"0?\.\d+|0\.?|1(?:\.0*)?")
"""Wider than the RFC, which wants a digit before the point: a client in wide use sends `q=.2`."""

_IMPLIED = {"charset": "utf-8"}
"""What holds for every format, said or not: its characters, if it has any, are UTF-8."""


@dataclass(frozen=True, slots=True)
class _Range:
    """What one part of the header asks for; a media type on offer is one too."""

    type: str
    subtype: str
    parameters: Mapping[str, str]
    weight: float

    def covers(self, other: "_Range") -> bool:
        return (
            self.type in ("*", other.type)
            and self.subtype in ("*", other.subtype)
            and self.parameters.items() <= (_IMPLIED | dict(other.parameters)).items()
        )

    @property
    def precision(self) -> tuple[int, int]:
        """The more precise range says how much a format is wanted."""
        return (self.type != "*") + (self.subtype != "*"), len(self.parameters)


def chosen(accept: str, offered: Sequence[str]) -> str | None:
    """The content type that is wanted most; None where none is wanted.

    Of equally wanted ones it is the one that was asked for most precisely, then the first on offer, which is also the
    answer to an empty header. What is not understood in a header asks for nothing.
    """
    parts = [part for part in _BETWEEN_COMMAS.findall(accept) if part.strip()]
    if not parts:
        return offered[0]
    ranges = [asked for asked in map(_understood, parts) if asked is not None]
    best, found = (0.0, (0, 0)), None
    for content_type in offered:
        on_offer = _understood(content_type)
        covering = [(each.precision, each.weight) for each in ranges if on_offer is not None and each.covers(on_offer)]
        if covering:
            precision, weight = max(covering)
            if weight > 0 and (weight, precision) > best:
                best, found = (weight, precision), content_type
    return found


def _understood(text: str) -> _Range | None:
    whole = _RANGE.fullmatch(text)
    if whole is None or (whole[1] == "*" and whole[2] != "*"):
        return None
    parameters = {name.lower(): _unquoted(value).lower() for name, value in _PARAMETER.findall(whole[3] or "") if name}
    weight = parameters.pop("q", "1")
    if _WEIGHT.fullmatch(weight) is None:
        return None
    return _Range(whole[1].lower(), whole[2].lower(), parameters, float(weight))


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
