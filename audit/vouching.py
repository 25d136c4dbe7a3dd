"""Who vouches for what: which checkpoints hold, and up to where a key that the verifier trusts has signed.

A key counts from the entry that activates it to the one that retires it. Whoever trusts one key trusts those that it
vouches for while it counts, by a signature in the entry that activates them, and so on: a key that was given out long
ago is enough. That an entry names a key proves nothing: whoever can write to the database can add one. A witness is
trusted as far as it has co-signed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from policy.amounts import amount

from .entries import Kind
from .ledger_keys import is_vouched_for
from .notes import SIGNED, Verifier
from .replay import ABOUT_KEYS, Control
from .signed import Found, SignedRow


@dataclass(slots=True)
class Vouching:
    """What is known of keys and checkpoints so far, in the order of the ledger; `trusted` are vkeys.

    Where nobody gave a key (`is_key_given`), the first that the ledger names is believed, and all that it activates.
    `witnessed` has the vkeys of trusted witnesses, and the size of the newest checkpoint that each has co-signed.
    """

    origin: str
    trusted: set[str]
    witnessed: dict[str, int]
    is_key_given: bool
    active: set[str] = field(default_factory=set)
    upto: int = 0
    by: Verifier | None = None
    last: int = 0
    stranger: Verifier | None = None
    """Who signed the newest checkpoint, where nobody whom the verifier trusts did."""
    found: list[Found] = field(default_factory=list)

    def join(self, controls: Sequence[Control], signed: Iterable[tuple[SignedRow, bytes | None]]) -> None:
        """The next entries about keys, and checkpoints, each with the tree's root at its size (None: not known)."""
        waiting = [control for control in controls if control.kind in ABOUT_KEYS]
        for row, root in signed:
            while waiting and waiting[0].seq <= row.size:
                self._change(waiting.pop(0))
            self._judge(row, root)
        for control in waiting:
            self._change(control)

    def recall(self, controls: Iterable[Control], signers: Iterable[Verifier]) -> None:
        """What was said of keys under the checkpoint to go on from, which `signers` signed: so they counted there."""
        for control in controls:
            self._change(control)
        self.active.update(str(key) for key in signers if key.algorithm == SIGNED)

    def go_on(self, size: int, signers: Sequence[Verifier]) -> None:
        """From that checkpoint, which holds: `signers`, whom the verifier trusts or the ledger names, signed it."""
        self.upto, self.by = size, signers[0]
        self._witness(size, signers)
        if not self.is_key_given:
            self.trusted |= self.active

    def _change(self, control: Control) -> None:
        if control.kind == Kind.KEY_RETIRED:
            self.active.discard(control.of)
            self.trusted.discard(control.of)
            return
        self.active.add(control.of)
        is_first = not self.is_key_given and not self.trusted and self.by is None
        if is_first or is_vouched_for(control.of, control.voucher, self.trusted):
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
            self._believe(row.size, signers, self._witness(row.size, row.signers))

    def _witness(self, size: int, signers: Iterable[Verifier]) -> Verifier | None:
        """A trusted witness that is among them; it is noted how far each came."""
        own = [key for key in signers if str(key) in self.witnessed]
        self.witnessed |= dict.fromkeys(map(str, own), size)
        return own[0] if own else None

    def _believe(self, size: int, signers: Sequence[Verifier], witness: Verifier | None) -> None:
        known = next((key for key in signers if str(key) in self.trusted), witness)
        self.stranger = signers[0] if known is None else None
        if known is not None:
            self.upto, self.by = size, known
            if not self.is_key_given:
                self.trusted |= self.active
