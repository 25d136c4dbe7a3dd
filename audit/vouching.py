"""Who vouches for what: which checkpoints hold, and up to where a key that the verifier trusts has signed.

A key counts from the entry that activates it to the one that retires it. Whoever trusts one key trusts those that were
activated under a checkpoint of its, so that a key that was given out long ago is enough; whoever trusts a witness,
those that were activated under what it co-signed.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from policy.amounts import amount

from .entries import Kind
from .notes import Verifier
from .replay import Control
from .signed import SignedRow

Found = tuple[int, str]


@dataclass(slots=True)
class Vouching:
    """What is known of keys and checkpoints so far, in the order of the ledger; `trusted` are vkeys.

    Where nobody gave a key, `trusted` is empty at first, and the first key that the ledger names is believed.
    `witnessed` has the vkeys of trusted witnesses, and the size of the newest checkpoint that each has co-signed.
    """

    origin: str
    trusted: set[str]
    witnessed: dict[str, int]
    active: set[str] = field(default_factory=set)
    upto: int = 0
    by: Verifier | None = None
    last: int = 0
    found: list[Found] = field(default_factory=list)

    def join(self, controls: Sequence[Control], signed: Iterable[tuple[SignedRow, bytes | None]]) -> None:
        """The next entries about keys, and checkpoints, each with the tree's root at its size (None: not known)."""
        waiting = [control for control in controls if control.kind in (Kind.KEY_ACTIVATED, Kind.KEY_RETIRED)]
        for row, root in signed:
            while waiting and waiting[0].seq <= row.size:
                self._change(waiting.pop(0))
            self._judge(row, root)
        for control in waiting:
            self._change(control)

    def go_on(self, size: int, signers: Sequence[Verifier]) -> None:
        """From a checkpoint that holds: `signers`, whom the verifier trusts or the ledger names, signed it."""
        self.upto, self.by = size, signers[0]
        self._witness(size, signers)
        self.trusted |= self.active | set(map(str, signers))

    def _change(self, control: Control) -> None:
        if control.kind == Kind.KEY_RETIRED:
            self.active.discard(control.of)
            self.trusted.discard(control.of)
            return
        self.active.add(control.of)
        if not self.trusted and self.by is None:
            self.trusted.add(control.of)

    def _judge(self, row: SignedRow, root: bytes | None) -> None:
        self.last = row.size
        signers = [key for key in row.signers if str(key) in self.active]
        if row.checkpoint is None:
            self.found.append((row.size, row.wrong))
        elif row.checkpoint.origin != self.origin:
            self.found.append((row.size, f"the checkpoint of {amount(row.size, 'entry')} is of another ledger"))
        elif not signers:
            what = f"the checkpoint of {amount(row.size, 'entry')} is signed by no key that the ledger had activated"
            self.found.append((row.size, what))
        elif root is not None and root != row.checkpoint.root:
            self.found.append(
                (
                    row.size,
                    f"the tree of the first {amount(row.size, 'entry')} is not the one that was signed",
                )
            )
        elif root is not None:
            is_witnessed = self._witness(row.size, row.signers)
            self._believe(row.size, signers, signers[0] if is_witnessed else None)

    def _witness(self, size: int, signers: Collection[Verifier]) -> bool:
        """Whether a trusted witness is among them; it is noted how far each came."""
        own = self.witnessed.keys() & map(str, signers)
        self.witnessed |= dict.fromkeys(own, size)
        return bool(own)

    def _believe(self, size: int, signers: Sequence[Verifier], witnessed: Verifier | None) -> None:
        known = next((key for key in signers if str(key) in self.trusted), witnessed)
        if known is not None:
            self.upto, self.by = size, known
            self.trusted |= self.active
