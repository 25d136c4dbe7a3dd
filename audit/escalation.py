"""Who is called, and who when nobody takes an alert on: the file of `REMIT_ESCALATION`, taken whole or refused whole.

[[levels]]
channels = ["pager", "chat"]
[[levels]]
after = 15                              # minutes without an acknowledgement
channels = ["lead"]
[digest]
at = "08:00"                            # UTC
channels = ["chat"]                     # for owners that are not named
[owners]
"collection.mci" = ["mail-collection"]
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import time

from policy.names import is_name
from policy.tables import Problems, Table, shown
from policy.toml_lines import read_toml

from .channels import Channel

FILE = "escalation.toml"
DIGEST_AT = time(8)
LONGEST = 7 * 24 * 60
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Escalation:
    """`after`: the channels that are called, and so many seconds after an alert. Digests go out daily at `digest_at`
    (UTC), to the channels of the owner, or to `digests` where it has none."""

    after: Mapping[str, int]
    digest_at: time
    digests: tuple[str, ...]
    owners: Mapping[str, tuple[str, ...]]

    @classmethod
    def to_all(cls, channels: Sequence[Channel]) -> "Escalation":
        """What holds without a file: everybody is called at once, and whoever takes digests gets them all."""
        digests = tuple(channel.name for channel in channels if channel.takes_digests)
        return cls({channel.name: 0 for channel in channels}, DIGEST_AT, digests, {})


def load_escalation(data: bytes, channels: Sequence[Channel], *, file: str = FILE) -> Escalation:
    """Reads the bytes of such a file; `file` is its name in messages. Raises `MisreadAll` with every problem."""
    document = read_toml(data, file=file)
    problems = Problems(file, document.lines)
    loader = _Loader(Table(document.values, (), problems), {channel.name: channel for channel in channels})
    escalation = loader.escalation()
    problems.raise_any()
    return escalation


class _Loader:
    def __init__(self, table: Table, channels: Mapping[str, Channel]) -> None:
        self._table, self._channels = table, channels

    def escalation(self) -> Escalation:
        self._table.only({"levels", "digest", "owners"})
        after = self._levels()
        digest_at, digests = self._digest()
        owners = self._owners()
        told = {*after, *digests, *(name for names in owners.values() for name in names)}
        for name in self._channels:
            if name not in told:
                self._table.refuse("levels", f"nobody is told over `{name}`: put it on a level, or give it digests")
        return Escalation(after, digest_at, digests, owners)

    def _levels(self) -> dict[str, int]:
        levels = list(self._table.items("levels", "a list of tables: [[levels]]"))
        if not levels:
            self._table.refuse("levels", "`levels` is missing: say in [[levels]] who is called first")
        after, last = dict[str, int](), 0
        for number, value in levels:
            level = self._table.within("levels", number, value=value, what="a table: [[levels]]")
            if level is None:
                continue
            level.only({"after", "channels"})
            last = self._after(level, number, last)
            for name in self._names(level, "channels", self._channels):
                if name in after:
                    level.refuse("channels", f"`{name}` is on two levels: it would be told the same twice")
                after.setdefault(name, 60 * last)
        return after

    def _after(self, level: Table, number: int, last: int) -> int:
        """The level's minutes; the first has none, each other more than the one before."""
        value = level.values.get("after", 0 if number == 0 else None)
        if type(value) is not int or not 0 <= value <= LONGEST:
            level.refuse("after", f"`{level.at('after')}` must be minutes, from 1 to {LONGEST}")
            return last
        if number == 0 and value:
            level.refuse("after", "the first level is called at once: leave `after` out")
        if number and value <= last:
            level.refuse("after", f"`{level.at('after')}` must be more than the {last} minutes of the level before")
        return value

    def _digest(self) -> tuple[time, tuple[str, ...]]:
        value = self._table.values.get("digest", {})
        digest = self._table.within("digest", value=value, what="a table: [digest]")
        if digest is None:
            return DIGEST_AT, ()
        digest.only({"at", "channels"})
        said = digest.text("at", "a time of day, such as 08:00 (UTC)", required=False)
        found = _TIME.fullmatch(said)
        if said and not found:
            digest.refuse("at", f"`{digest.at('at')}` must be a time of day in UTC, such as 08:00, not `{shown(said)}`")
        at = time(int(found[1]), int(found[2])) if found else DIGEST_AT
        return at, self._digested(digest, "channels") if "channels" in digest.values else ()

    def _owners(self) -> dict[str, tuple[str, ...]]:
        if "owners" not in self._table.values:
            return {}
        value = self._table.values["owners"]
        owners = self._table.within("owners", value=value, what='a table: "team" = ["channel"]')
        if owners is None:
            return {}
        for name in owners.values:
            if not is_name(name):
                owners.refuse(name, f"`{shown(name)}` is no team: names are lower-case letters, digits and _")
        return {name: self._digested(owners, name) for name in owners.values}

    def _digested(self, table: Table, key: str) -> tuple[str, ...]:
        names = self._names(table, key, self._channels)
        for name in names:
            if not self._channels[name].takes_digests:
                table.refuse(key, f"`{name}` calls people and takes no digests: name another channel")
        return names

    def _names(self, table: Table, key: str, known: Collection[str]) -> tuple[str, ...]:
        """The channels that a list names, those that there are."""
        names = list[str]()
        for number, value in table.items(key, 'a list of channels: ["pager"]'):
            if not isinstance(value, str) or value not in known:
                near = table.problems.near(value, known) if isinstance(value, str) else None
                named = f"`{shown(value)}`" if isinstance(value, str) else "what is not a text"
                there = ", ".join(known) or "none"
                reason = f"unknown channel {named}; `REMIT_ALERT_URLS` has {there}"
                table.problems.add((*table.path, key, number), reason, near)
            elif value in names:
                table.problems.add((*table.path, key, number), f"`{value}` is named twice")
            else:
                names.append(value)
        if not table.values.get(key):
            table.refuse(key, f"`{table.at(key)}` is missing or empty: name at least one channel")
        return tuple(names)
