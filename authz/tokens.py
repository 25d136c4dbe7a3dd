"""Take a token apart and check its signature. The only door to joserfc.

What always holds:

1. A token is read once, here, strictly; joserfc only does the arithmetic, so no two parsers can disagree.
2. The algorithm is the key's, never the token's: a header that names another one is refused.
3. Nothing in a token says how to check it: a header that carries or points to a key is refused.
4. Only `check_signature` makes a `SignedToken`; until then claims are called unverified.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import base64_to_int

from .strict_json import Json, read_object

MAX_SIZE = 8 * 1024
MAX_KEY_NAME = 256
TYPES = frozenset({"at+jwt", "application/at+jwt"})
STEERING = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"})
"""Header members by which a token would say how to check or to read itself (RFC 7515 §4.1, RFC 7797)."""

RSA_BITS = range(2048, 8193)
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""The first is an RSA key's whose issuer does not say its algorithm (OpenID Connect Core §2)."""
CURVE_ALGORITHMS = {
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA", "Ed25519"),
}

_PARTS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """Who asks is not known; `reason` can be shown and recorded: nothing of the token is in it."""

    reason: str
    code: Literal["bad_token"] = "bad_token"


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token that is well formed and says what it should of itself; nobody knows yet who wrote it."""

    key_name: str
    algorithm: str
    signed: bytes
    signature: bytes
    unverified_claims: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token that the issuer's key signed; whether its claims let anybody in is not decided yet."""

    claims: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A public key of the issuer and the one algorithm that it may be used with."""

    name: str
    algorithm: str
    key: Key


def take_apart(text: str) -> UnverifiedToken | TokenRefused:
    """Read a compact JWS (RFC 7515 §7.1) of at most 8 KB whose header is an access token's (RFC 9068 §2.1)."""
    if len(text) > MAX_SIZE:
        return TokenRefused("the token is longer than 8 KB")
    parts = _split(text)
    if parts is None:
        return TokenRefused("the token is not three parts of base64url joined by dots")
    header, claims = read_object(parts[0]), read_object(parts[1])
    if header is None or claims is None:
        return TokenRefused("the token's header or claims are not strict JSON objects")
    if not STEERING.isdisjoint(header):
        return TokenRefused("the token's header says how to check the token, which only its issuer may")
    kind, algorithm, key_name = header.get("typ"), header.get("alg"), header.get("kid")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        return TokenRefused("the token is no access token: its `typ` is not `at+jwt` (RFC 9068)")
    if not isinstance(algorithm, str) or not isinstance(key_name, str) or not 0 < len(key_name) <= MAX_KEY_NAME:
        return TokenRefused("the token's header does not name its algorithm and its key")
    signed = text.rpartition(".")[0].encode()
    return UnverifiedToken(key_name, algorithm, signed, parts[2], MappingProxyType(claims))


def check_signature(token: UnverifiedToken, key: PinnedKey) -> SignedToken | TokenRefused:
    """Make a token a signed one, where `key` signed it with its own algorithm."""
    if token.algorithm != key.algorithm:
        return TokenRefused("the token's algorithm is not the one of the key it names")
    if not _ALGORITHMS[key.algorithm].verify(token.signed, token.signature, key.key):
        return TokenRefused("the token's signature is wrong")
    return SignedToken(token.unverified_claims)


def read_keys(data: bytes) -> Mapping[str, PinnedKey] | None:
    """The keys of a JWK set (RFC 7517 §5) by their `kid`, or None where `data` is no JWK set.

    Left out, so that what they sign is refused: keys that are not for signatures, secret ones, ones without `kid`
    or of unknown type or size, and all that share one `kid`, because a token could not say which it means.
    """
    document = read_object(data)
    listed = document.get("keys") if document else None
    if not isinstance(listed, list):
        return None
    named = [(name, jwk) for jwk in listed if isinstance(jwk, dict) and isinstance(name := jwk.get("kid"), str)]
    times = Counter(name for name, _ in named)
    pinned = [_pin(name, jwk) for name, jwk in named if times[name] == 1]
    return MappingProxyType({key.name: key for key in pinned if key is not None})


def _split(text: str) -> tuple[bytes, bytes, bytes] | None:
    match = _PARTS.fullmatch(text)
    if match is None:
        return None
    header, payload, signature = (_decode(part) for part in match.groups())
    return None if header is None or payload is None or signature is None else (header, payload, signature)


def _decode(part: str) -> bytes | None:
    if len(part) % 4 == 1:
        return None
    data = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    # Left-over bits that are not zero would give one token several spellings (RFC 4648 §3.5).
    return data if urlsafe_b64encode(data).rstrip(b"=").decode() == part else None


def _pin(name: str, jwk: dict[str, Json]) -> PinnedKey | None:
    use, operations = jwk.get("use", "sig"), jwk.get("key_ops", ["verify"])
    is_secret = "d" in jwk or "k" in jwk
    is_for_checking = use == "sig" and isinstance(operations, list) and "verify" in operations
    if is_secret or not is_for_checking:
        return None
    algorithms = _algorithms_for(jwk)
    algorithm = jwk.get("alg", algorithms[0] if algorithms else None)
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        return None
    key = _import(jwk)
    return PinnedKey(name, algorithm, key) if key else None


def _algorithms_for(jwk: dict[str, Json]) -> tuple[str, ...]:
    kind, curve = jwk.get("kty"), jwk.get("crv")
    if kind == "RSA":
        return RSA_ALGORITHMS
    return CURVE_ALGORITHMS.get((kind, curve), ()) if isinstance(kind, str) and isinstance(curve, str) else ()


def _import(jwk: dict[str, Json]) -> Key | None:
    # Only the numbers go in: nothing else of what an issuer publishes should have a say in joserfc.
    numbers: dict[str, str | list[str]] = {
        name: value for name in ("kty", "crv", "n", "e", "x", "y") if isinstance(value := jwk.get(name), str)
    }
    try:
        if jwk["kty"] == "RSA":
            size = base64_to_int(str(numbers.get("n", ""))).bit_length()
            return RSAKey.import_key(numbers) if size in RSA_BITS else None
        return (ECKey if jwk["kty"] == "EC" else OKPKey).import_key(numbers)
    except (JoseError, ValueError):
        return None


_ALGORITHMS = {name: JWSRegistry.algorithms[name] for name in (*RSA_ALGORITHMS, "ES256", "ES384", "ES512", "Ed25519")}
# joserfc warns at each use of the older name; for an Ed25519 key both mean the same (RFC 9864 §2.2).
_ALGORITHMS["EdDSA"] = _ALGORITHMS["Ed25519"]
