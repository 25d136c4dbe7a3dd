"""Completeness: what entries say together, gathered in pieces and joined in order.

Each authorised read has its end, or a gateway that lives. No read was authorised under a bundle that was not in force,
or under a grant that was revoked or suspended. Keys of the ledger are said before they sign.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .entries import Kind
from .head import ENDS

ABOUT_KEYS = (Kind.KEY_ACTIVATED, Kind.KEY_RETIRED)
CONTROLS = frozenset(
    {
        Kind.POLICY_ACTIVATED,
        Kind.GRANT_REVOKED,
        Kind.GRANT_SUSPENDED,
        Kind.GRANT_RESUMED,
        *ABOUT_KEYS,
    }
)
"""The kinds that change what is in force."""
Found = tuple[int, str]
"""An entry, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Role:
    """What an entry has to do with others, but for its number and its read: the same for all that are worded alike.

    `use` is the digest and the grant that a read was authorised under, `named` the digest of a bundle that has to be
    known, `changes` the digest, grant or key of which it changes whether it is in force, `voucher` who vouches for it.
    """

    kind: str
    begins: bool
    ends: bool
    gateway: str
    use: tuple[str, str]
    named: str
    changes: str | None
    voucher: str = ""

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Role":
        """Whoever changed the entry may have made anything of it, also what no set takes."""
        kind, digest, grant, changes = str(entry.get("kind")), entry.get("digest"), entry.get("grant"), None
        voucher = ""
        if kind in CONTROLS:
            details = entry.get("details")
            said = details if isinstance(details, Mapping) else {}
            changes = str(digest if kind == Kind.POLICY_ACTIVATED else said.get("vkey") if "key" in kind else grant)
            voucher = str(said.get("voucher", ""))
        use, begins = (str(digest or ""), str(grant or "")), kind == Kind.READ_AUTHORIZED
        named = "" if kind == Kind.POLICY_REFUSED else use[0]
        return cls(kind, begins, kind in ENDS, str(entry.get("gateway")), use, named, changes, voucher)


@dataclass(frozen=True, slots=True)
class Control:
    """An entry that changed what is in force: `of` is the digest, the grant or the key that it is about.

    `voucher` is, for a key, the signature line of the key before it, where it has one.
    """

    seq: int
    kind: str
    of: str
    voucher: str = ""


@dataclass(slots=True)
class Events:
    """What a piece of the ledger says, much shorter than itself.

    `used` has, between two controls, the first read that was authorised under each digest and grant; `named` the first
    entry that names each digest at all.
    """

    controls: list[Control] = field(default_factory=list)
    used: list[dict[tuple[str, str], int]] = field(default_factory=lambda: [{}])
    named: list[dict[str, int]] = field(default_factory=lambda: [{}])
    begun: dict[str, tuple[int, str]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    twice: list[Found] = field(default_factory=list)

    def take(self, seq: int, role: Role, read: str) -> None:
        """The next entry, which is of `read` if it is of any."""
        if role.begins:
            if read in self.begun:
                self.twice.append((seq, f"read `{read}` is authorised again while it has no end"))
            self.begun[read] = seq, role.gateway
            self.used[-1].setdefault(role.use, seq)
        elif role.ends:
            if self.begun.pop(read, None) is None:
                self.ended.add(read)
        elif role.changes is not None:
            self.controls.append(Control(seq, role.kind, role.changes, role.voucher))
            self.used.append({})
            self.named.append({})
        if role.named:
            self.named[-1].setdefault(role.named, seq)


@dataclass(slots=True)
class Replay:
    """The pieces so far. What was in force before the first control that is seen is not known, and not judged."""

    begun: dict[str, tuple[int, str]] = field(default_factory=dict)
    activated: set[str] = field(default_factory=set)
    in_force: str = ""
    closed: dict[str, str] = field(default_factory=dict)
    found: list[Found] = field(default_factory=list)

    def join(self, events: Events) -> None:
        """The next piece, in order."""
        self.found += events.twice
        for read in events.ended:
            self.begun.pop(read, None)
        for read, (seq, gateway) in events.begun.items():
            if read in self.begun:
                self.found.append((seq, f"read `{read}` is authorised again while it has no end"))
            self.begun[read] = seq, gateway
        for number, (used, named) in enumerate(zip(events.used, events.named, strict=True)):
            if number:
                self._change(events.controls[number - 1])
            self._judge(used, named)

    def _change(self, control: Control) -> None:
        if control.kind == Kind.POLICY_ACTIVATED:
            self.activated.add(control.of)
            self.in_force = control.of
        elif control.kind == Kind.GRANT_RESUMED:
            self.closed.pop(control.of, None)
        elif control.kind in (Kind.GRANT_REVOKED, Kind.GRANT_SUSPENDED):
            self.closed[control.of] = control.kind.removeprefix("grant.")

    def _judge(self, used: Mapping[tuple[str, str], int], named: Mapping[str, int]) -> None:
        if self.activated:
            for digest, seq in named.items():
                if digest not in self.activated:
                    self.found.append((seq, f"it names the bundle `{digest}`, which was never activated"))
        for (digest, grant), seq in used.items():
            if self.in_force and digest != self.in_force and digest in self.activated:
                self.found.append((seq, "a read was authorised under a bundle that was not in force any more"))
            if grant in self.closed:
                self.found.append(
                    (seq, f"a read was authorised under the grant `{grant}`, which was {self.closed[grant]}")
                )

    def left_open(self, held: frozenset[int], key_of: Any) -> list[Found]:
        """The reads that have no end though their gateway is gone: `held` are the locks of those that live."""
        return [
            (seq, f"read `{read}` was authorised and has no end, and its gateway `{gateway}` is gone")
            for read, (seq, gateway) in self.begun.items()
            if key_of(gateway) not in held
        ]
