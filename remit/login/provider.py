"""What an OpenID provider says of itself (OpenID Connect Discovery §3, RFC 8414), and which addresses may be asked."""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, ValidationError

from remit.connection import is_loopback
from remit.errors import LoginFailed

PATH = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Provider:
    """The endpoints of one issuer; those that are None it does not offer. Unknown members are passed over."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    authorization_endpoint: str | None = None
    device_endpoint: Annotated[str | None, Field(alias="device_authorization_endpoint")] = None
    revocation_endpoint: str | None = None
    scopes: Annotated[tuple[str, ...], Field(alias="scopes_supported")] = ()
    says_issuer: Annotated[bool, Field(alias="authorization_response_iss_parameter_supported")] = False

    @property
    def scope(self) -> str:
        """What is asked for: who it is, and to stay logged in where the provider knows the word for it."""
        return "openid offline_access" if self.stays else "openid"

    @property
    def stays(self) -> bool:
        """Whether `offline_access` has to be asked for to be able to renew (OpenID Connect Core §11)."""
        return "offline_access" in self.scopes


_PROVIDER = TypeAdapter(Provider)


def read_provider(document: Any, issuer: str) -> Provider:
    """The provider that `issuer`'s discovery document describes; raises `LoginFailed` where it cannot be used."""
    try:
        found = _PROVIDER.validate_python(document)
    except ValidationError as error:
        wrong = ", ".join(sorted({str(each["loc"][0]) if each["loc"] else "all of it" for each in error.errors()}))
        raise LoginFailed(f"the discovery document of `{issuer}` is not understood ({wrong}); {ASK}") from error
    if found.issuer != issuer:
        raise LoginFailed(f"`{issuer}` calls itself `{found.issuer}`: it is not the issuer that was named; {ASK}")
    may_be_local = is_safe(issuer, or_loopback=True) and issuer.startswith("http://")
    asked = (found.token_endpoint, found.jwks_uri, found.authorization_endpoint)
    for url in (*asked, found.device_endpoint, found.revocation_endpoint):
        if url is not None and not is_safe(url, or_loopback=may_be_local):
            raise LoginFailed(f"`{issuer}` names the endpoint `{url}`, which is not https; {ASK}")
    return found


def is_safe(url: str, *, or_loopback: bool) -> bool:
    """Whether a token may be sent to `url`: https, or this machine where that is said."""
    try:
        parts = urlsplit(url)
        host, scheme = parts.hostname, parts.scheme
        _ = parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc:
        return False
    return scheme == "https" or (or_loopback and scheme == "http" and is_loopback(host))


ASK = "ask whoever runs this gateway which issuer is right"
