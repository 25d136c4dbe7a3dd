"""Signed notes and checkpoints: c2sp.org/signed-note, c2sp.org/tlog-checkpoint and c2sp.org/tlog-cosignature.

Read strictly: what another reader could read differently is refused. Only Ed25519, alone (0x01) or with the time of a
witness's cosignature (0x04); signatures of unknown keys are passed over, as the specification asks.
"""

import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import BadNote, NotProven
from .merkle import EMPTY_ROOT, HASH_BYTES

SIGNED, COSIGNED = 0x01, 0x04
"""What a key signs: the text alone (a log), or the text with the time of signing (a witness)."""
KEY_BYTES, SIGNATURE_BYTES, TIME_BYTES = 32, 64, 8
LARGEST_NOTE = 128 * 1024
"""Bytes: more than 16 signatures of 5 kB, which every reader has to take."""
MOST_SIGNATURES = 100
LONGEST_NAME = 255
LARGEST_SIZE = 2**63 - 1
NUMBER = re.compile("0|[1-9][0-9]{0,18}")
PRIVATE = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A key that is trusted: its name, what it signs (`SIGNED`, `COSIGNED`) and its 32 bytes."""

    name: str
    algorithm: int
    public: bytes

    def __post_init__(self) -> None:
        _check_key(self.name, self.algorithm, self.public)

    @property
    def id(self) -> bytes:
        """4 bytes that tell it from other keys of its name."""
        return sha256(self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public).digest()[:4]

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """The key that a vkey `name+hash+base64` writes. Raises `BadNote`."""
        # The name has no plus; base64 may.
        name, _, rest = text.partition("+")
        id, _, encoded = rest.partition("+")
        key = unbase64(encoded)
        found = cls(name, key[0] if key else 0, key[1:])
        if id != found.id.hex():
            raise BadNote(f"the key `{name}` is damaged: its hash is `{found.id.hex()}`, not `{id}`")
        return found

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64(bytes([self.algorithm]) + self.public)}"

    def check(self, text: str, signature: bytes) -> None:
        """Raises `NotProven` where these bytes are not this key's signature of `text`."""
        try:
            stamp, bare = signature[:-SIGNATURE_BYTES], signature[-SIGNATURE_BYTES:]
            if len(stamp) != (TIME_BYTES if self.algorithm == COSIGNED else 0):
                raise InvalidSignature
            message = _stamped(text, int.from_bytes(stamp)) if stamp else text.encode()
            Ed25519PublicKey.from_public_bytes(self.public).verify(bare, message)
        except InvalidSignature as fault:
            raise NotProven(f"the signature of `{self.name}` does not hold") from fault


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs: its name, what it signs and its 32 secret bytes (RFC 8032)."""

    name: str
    algorithm: int
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_key(self.name, self.algorithm, self.secret)

    @classmethod
    def make(cls, name: str, algorithm: int) -> "Signer":
        """A new key."""
        return cls(name, algorithm, secrets.token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> "Signer":
        """The key that `PRIVATE+KEY+name+hash+base64` writes. Raises `BadNote`, which never says the key."""
        name, _, rest = text.removeprefix(PRIVATE).partition("+")
        id, _, encoded = rest.partition("+")
        key = unbase64(encoded)
        found = cls(name, key[0] if key else 0, key[1:])
        if not text.startswith(PRIVATE) or id != found.verifier.id.hex():
            raise BadNote("this is no signing key, or it is damaged")
        return found

    def text(self) -> str:
        """What `parse` reads: the secret itself."""
        return f"{PRIVATE}{self.name}+{self.verifier.id.hex()}+{base64(bytes([self.algorithm]) + self.secret)}"

    @property
    def verifier(self) -> Verifier:
        """What others need to check its signatures."""
        public = Ed25519PrivateKey.from_private_bytes(self.secret).public_key().public_bytes_raw()
        return Verifier(self.name, self.algorithm, public)

    def sign(self, text: str, *, at: int = 0) -> "Signature":
        """Its signature of a note's text; `at` is the time that a cosignature states, in seconds since 1970."""
        stamp = at.to_bytes(TIME_BYTES) if self.algorithm == COSIGNED else b""
        message = _stamped(text, at) if stamp else text.encode()
        signature = Ed25519PrivateKey.from_private_bytes(self.secret).sign(message)
        return Signature(self.name, self.verifier.id, stamp + signature)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line of a note: the key's name and 4-byte id, and what it signed with."""

    name: str
    id: bytes
    value: bytes

    @classmethod
    def parse(cls, line: str) -> "Signature":
        """The signature that a line (without its newline) writes. Raises `BadNote`."""
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        value = unbase64(encoded)
        if dash != "—" or not _is_name(name) or len(value) <= 4:
            raise BadNote("a signature is not written as `— name base64`")
        return cls(name, value[:4], value[4:])

    def __str__(self) -> str:
        return f"— {self.name} {base64(self.id + self.value)}\n"

    def is_by(self, key: Verifier) -> bool:
        """Whether it says that it is this key's; only `Verifier.check` knows."""
        return self.name == key.name and self.id == key.id

    @property
    def at(self) -> int:
        """The time that a cosignature states, in seconds since 1970; of other signatures it means nothing."""
        return int.from_bytes(self.value[:TIME_BYTES])


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and its signatures; nothing of it may be believed before `verified`."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, note: bytes) -> "Note":
        """The note that these bytes write. Raises `BadNote`."""
        text, lines = _halves(_decoded(note))
        if not 0 < len(lines) <= MOST_SIGNATURES:
            raise BadNote(f"a note has 1 to {MOST_SIGNATURES} signatures, not {len(lines)}")
        return cls(text, tuple(map(Signature.parse, lines)))

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    def verified(self, keys: Iterable[Verifier]) -> tuple[Verifier, ...]:
        """Those of `keys` that signed it. Raises `NotProven` where a signature is said to be one's and is not."""
        return tuple(key for key in dict.fromkeys(keys) if self._is_signed_by(key))

    def _is_signed_by(self, key: Verifier) -> bool:
        own = [signature for signature in self.signatures if signature.is_by(key)]
        for signature in own:
            key.check(self.text, signature.value)
        return bool(own)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: its unique name, how many leaves it has, and its 32-byte root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in (self.origin, self.size, base64(self.root), *self.extensions))

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """The checkpoint in a note's text. Raises `BadNote`."""
        *lines, end = text.split("\n")
        if len(lines) < 3 or end or not all(lines) or len(lines[0].encode()) > LONGEST_NAME:
            raise BadNote("a checkpoint has a name, a size and a root, each on a line of its own")
        origin, size, root, *extensions = lines
        found = cls(origin, decimal(size), unbase64(root), tuple(extensions))
        if len(found.root) != HASH_BYTES or (not found.size and found.root != EMPTY_ROOT):
            raise BadNote(f"the root of `{origin}` at {size} is none")
        return found


def base64(data: bytes) -> str:
    """Standard base64 (RFC 4648 §4)."""
    return b64encode(data).decode()


def unbase64(text: str) -> bytes:
    """Exactly what `base64` writes, read back. Raises `BadNote` where there is a second way to write the same."""
    try:
        data = b64decode(text, validate=True)
    except ValueError as fault:
        raise BadNote("this is not base64") from fault
    if base64(data) != text:
        raise BadNote("this is not base64 as one would write it")
    return data


def decimal(text: str) -> int:
    """A number from 0 to 2⁶³ − 1 without sign and leading zeros. Raises `BadNote`."""
    if not NUMBER.fullmatch(text) or (number := int(text)) > LARGEST_SIZE:
        raise BadNote("a size or index is a decimal number without leading zeros")
    return number


def _decoded(note: bytes) -> str:
    if len(note) > LARGEST_NOTE:
        raise BadNote(f"a note has at most {LARGEST_NOTE} bytes")
    try:
        text = note.decode()
    except UnicodeDecodeError as fault:
        raise BadNote("a note is UTF-8") from fault
    if any(sign < " " and sign != "\n" for sign in text):
        raise BadNote("a note has no control characters")
    return text


def _halves(note: str) -> tuple[str, list[str]]:
    text, gap, signatures = note.rpartition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise BadNote("a note is a text, an empty line, and signatures with a newline each")
    return f"{text}\n", signatures[:-1].split("\n")


def _stamped(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _check_key(name: str, algorithm: int, key: bytes) -> None:
    if not _is_name(name):
        raise BadNote(f"a key's name has 1 to {LONGEST_NAME} bytes and neither spaces nor `+`")
    if algorithm not in (SIGNED, COSIGNED) or len(key) != KEY_BYTES:
        raise BadNote(f"the key `{name}` is not an Ed25519 key for notes (1) or for cosignatures (4)")


def _is_name(name: str) -> bool:
    printable = all(sign > " " and sign != "+" and not sign.isspace() for sign in name)
    return printable and 0 < len(name.encode(errors="replace")) <= LONGEST_NAME
