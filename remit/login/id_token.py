"""Check an ID token (OpenID Connect Core §3.1.3.7). The client's only door to joserfc.

The gateway's own door (`authz/tokens.py`) stays the gateway's: the client imports nothing of the service, and this is
another kind of token with other rules. It comes straight from the provider's token endpoint and lets nobody in.
"""

import time
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from remit.errors import LoginFailed

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
KINDS = ("RSA", "EC", "OKP")
SKEW = 30


def subject_of(token: str, keys: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str | None) -> str:
    """The `sub` of an ID token that this login asked for; raises `LoginFailed` where anything of it does not fit.

    `nonce` is None only for the device flow, which has none.
    """
    claims = _signed_claims(token, keys, issuer)
    wanted: dict[str, jwt.ClaimsOption] = {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "value": client_id},
        **{name: {"essential": True} for name in ("sub", "exp", "iat")},
    }
    if nonce is not None:
        wanted["nonce"] = {"essential": True, "value": nonce}
    registry = jwt.JWTClaimsRegistry(now=int(time.time()), leeway=SKEW, **wanted)
    try:
        registry.validate(claims)
    except (JoseError, ValueError, TypeError) as error:
        claim = getattr(error, "claim", None)
        raise _unfit(issuer, f"its `{claim}` is not right" if claim else "it is not valid now") from None
    audience, party, subject = claims["aud"], claims.get("azp"), claims["sub"]
    if party not in (None, client_id) or (isinstance(audience, list) and len(audience) > 1 and party is None):
        raise _unfit(issuer, "it was given to somebody else (`azp`)")
    if not isinstance(subject, str) or not subject:
        raise _unfit(issuer, "its `sub` is no text")
    return subject


def _signed_claims(token: str, keys: Mapping[str, Any], issuer: str) -> dict[str, Any]:
    listed = keys.get("keys")
    usable = [key for key in listed if _is_for_checking(key)] if isinstance(listed, list) else []
    try:
        return jwt.decode(token, KeySet.import_key_set({"keys": usable}), algorithms=ALGORITHMS).claims
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise _unfit(issuer, "no key of the issuer has signed it") from None


def _is_for_checking(key: object) -> bool:
    return isinstance(key, dict) and key.get("kty") in KINDS and key.get("use", "sig") == "sig" and "d" not in key


def _unfit(issuer: str, why: str) -> LoginFailed:
    return LoginFailed(f"the ID token of `{issuer}` cannot be believed: {why}; run `remit login` again")
