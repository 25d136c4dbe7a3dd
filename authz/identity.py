"""Say who asks: turn an access token into a `Principal`, or refuse it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeGuard

from policy.names import is_name
from policy.values import Attribute, Principal

from .issuer import Issuer
from .strict_json import Json
from .tokens import MAX_SIZE, PinnedKey, SignedToken, TokenRefused, check_signature, take_apart

SKEW = 30
"""Seconds that the issuer's clock may be ahead of ours or behind it."""

MAX_LIFE = 60 * 60
MAX_NAME = 255
"""Characters of a `sub` (OpenID Connect Core §2)."""

MOST_SEEN = 1_000
"""Tokens whose signature is remembered."""

TAKEN = ("name", "kind")
"""Attributes that every principal has; a claim of that name would hide them from conditions."""

Claims = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who a token speaks for, and when it ends: seconds since 1970."""

    principal: Principal
    ends: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say of itself: the exact issuer and audience, a claim with teams, and when it is now."""

    issuer: str
    audience: str
    teams_claim: str
    now: float


RULES: tuple[tuple[Callable[[Claims, Expected], bool], str], ...] = (
    (lambda c, e: c.get("iss") == e.issuer, "the token is from another issuer"),
    (lambda c, e: _is_for(e.audience, c.get("aud")), "the token is for another audience"),
    (lambda c, _: _is_time(c.get("exp")) and _is_time(c.get("iat")), "the token's `exp` or `iat` is no integer"),
    (
        lambda c, _: 0 < _time(c, "exp") - _time(c, "iat") <= MAX_LIFE,
        "the token lives longer than an hour, or not at all",
    ),
    (lambda c, e: e.now < _time(c, "exp") + SKEW, "the token has expired; get a new one"),
    (lambda c, e: _time(c, "iat") <= e.now + SKEW, "the token is from the future; compare the clocks"),
    (lambda c, _: "nbf" not in c or _is_time(c["nbf"]), "the token's `nbf` is no integer"),
    (lambda c, e: "nbf" not in c or _time(c, "nbf") <= e.now + SKEW, "the token is not valid yet"),
    (lambda c, _: _is_subject(c.get("sub")), "the token's `sub` is no printable text of 1 to 255 characters"),
    (lambda c, _: isinstance(c.get("client_id", ""), str), "the token's `client_id` is no text"),
    (lambda c, _: "act" not in c, "the token acts for somebody else (`act`), which is not supported"),
    (lambda c, _: "_claim_names" not in c, "the token keeps claims elsewhere (`_claim_names`); list teams in it"),
    (lambda c, e: e.teams_claim in c, "the token has no claim with teams; see `REMIT_TEAMS_CLAIM`"),
    (lambda c, e: _are_texts(c[e.teams_claim]), "the token's claim with teams is no list of texts"),
)
"""Read top to bottom; the first that does not hold is why a signed token is refused."""


@dataclass(frozen=True, slots=True)
class _Checked:
    key: PinnedKey
    signed: SignedToken


class _Seen:
    """Tokens that were let in, by their digest: the tokens themselves are not kept."""

    def __init__(self) -> None:
        self._checked: dict[bytes, _Checked] = {}

    def get(self, token: str) -> _Checked | None:
        return self._checked.get(_digest(token)) if len(token) <= MAX_SIZE else None

    def keep(self, token: str, checked: _Checked) -> None:
        if len(self._checked) >= MOST_SEEN:
            self._checked = {}  # replaced, not emptied: another thread may be looking
        self._checked[_digest(token)] = checked


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


class Identity:
    """Tells who a token speaks for; safe to share between threads.

    `issuer` and `audience` must be in the token exactly so; `clock` gives seconds since 1970. Raises `BadIssuer`
    where keys cannot safely be fetched from `issuer`, `ValueError` where an attribute is one that principals have.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        teams_claim: str,
        attribute_claims: tuple[str, ...],
        clock: Callable[[], float],
    ) -> None:
        for claim in attribute_claims:
            if claim in TAKEN:
                raise ValueError(f"the claim `{claim}` would hide `principal.{claim}`; leave it out")
        self._issuer = Issuer(issuer, clock=clock)
        self._audience = audience
        self._teams_claim = teams_claim
        self._attribute_claims = tuple(sorted(set(attribute_claims)))
        self._clock = clock
        self._seen = _Seen()

    def verify(self, token: str) -> Principal | TokenRefused:
        """Who `token`, an RFC 9068 access token, speaks for. Never raises for what is in a token."""
        verdict = self.admit(token)
        return verdict if isinstance(verdict, TokenRefused) else verdict.principal

    def admit(self, token: str) -> Admitted | TokenRefused:
        """As `verify`, and when the token ends."""
        unverified = take_apart(token)
        if isinstance(unverified, TokenRefused):
            return unverified
        key = self._issuer.key(unverified.key_name)
        if isinstance(key, TokenRefused):
            return key
        signed = check_signature(unverified, key)
        if isinstance(signed, TokenRefused):
            return signed
        admitted = self._admitted(signed)
        if not isinstance(admitted, TokenRefused):
            self._seen.keep(token, _Checked(key, signed))
        return admitted

    def recall(self, token: str) -> Admitted | None:
        """As `admit`, at once, for a token that was let in before; None where it takes `admit` to tell.

        Only the reading and the signature are remembered, for as long as the very key is held that it was checked
        with; what the token says of itself is judged again, by the clock of now.
        """
        checked = self._seen.get(token)
        if checked is None or self._issuer.held(checked.key.name) is not checked.key:
            return None
        admitted = self._admitted(checked.signed)
        return None if isinstance(admitted, TokenRefused) else admitted

    def is_reachable(self) -> bool:
        """Whether tokens can be checked now; asks the issuer where that is not known."""
        return self._issuer.is_reachable()

    def _admitted(self, signed: SignedToken) -> Admitted | TokenRefused:
        expected = Expected(self._issuer.url, self._audience, self._teams_claim, self._clock())
        reason = next((reason for holds, reason in RULES if not holds(signed.claims, expected)), None)
        if reason is not None:
            return TokenRefused(reason)
        return Admitted(self._principal(signed.claims), _time(signed.claims, "exp"))

    def _principal(self, claims: Claims) -> Principal:
        name, listed = str(claims["sub"]), claims[self._teams_claim]
        teams = {team for team in listed if is_name(team)} if _are_texts(listed) else set()
        return Principal(
            name=name,
            kind="service" if claims.get("client_id") == name else "person",
            teams=tuple(sorted(teams)),
            attributes=tuple(_attributes(claims, self._attribute_claims)),
        )


def _attributes(claims: Claims, names: tuple[str, ...]) -> list[tuple[str, Attribute]]:
    # Any other type stays out: a condition on it cannot be told, and that never helps the reader.
    return [(name, value) for name in names if isinstance(value := claims.get(name), str | int)]


def _is_time(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _time(claims: Claims, name: str) -> int:
    value = claims[name]
    return value if isinstance(value, int) else 0


def _is_subject(value: Json) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def _is_for(audience: str, value: Json) -> bool:
    return value == audience or (_are_texts(value) and audience in value)


def _are_texts(value: Json) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
