"""What a login is for, and what it is. Tokens never show in a repr, and so in no log and no traceback."""

import time
from dataclasses import dataclass, field

LEEWAY = 60
"""Seconds before its end that an access token is renewed; a quarter of its life where it lives for less than that."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a login is for: one gateway, whose issuer knows the command line as `client_id`.

    `resource` (RFC 8707) and `audience` are what the access token is asked for. `client_secret` is None for a public
    client, as most are; on somebody's machine it is none (RFC 8252 §8.5), but some providers want one.
    """

    gateway: str
    issuer: str
    client_id: str
    resource: str
    audience: str
    client_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a token endpoint gave; times are seconds since 1970."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    id_token: str | None = field(repr=False)
    issued_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who is logged in: `subject` is the `sub` that the issuer gave them."""

    target: Target
    subject: str
    tokens: Tokens

    def is_fresh(self) -> bool:
        """Whether the access token can still be sent."""
        life = self.tokens.expires_at - self.tokens.issued_at
        return time.time() < self.tokens.expires_at - min(LEEWAY, life // 4)
