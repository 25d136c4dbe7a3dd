"""Speak OAuth 2.0 with one provider. The login's only door to Authlib.

What always holds:

1. Redirects are not followed, and credentials of a `.netrc` are never sent.
2. Nothing that is raised from here holds a token or a code.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from remit.connection import is_loopback
from remit.errors import LoginFailed, Unreachable

from .provider import PATH, read_provider
from .values import Target, Tokens

SECONDS = 10
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
BY_HAND = "set REMIT_TOKEN to an access token that it gave otherwise, or ask whoever runs it"
UNKNOWN = "name a client that it knows with REMIT_CLIENT_ID, and with REMIT_CLIENT_SECRET where it has no public ones"
NEXT = {"invalid_client": UNKNOWN, "unauthorized_client": UNKNOWN}
"""What to do about an error code of a provider, where doing the same again cannot help."""
UNSAID_LIFE = 300
"""Seconds that a token is taken to live where its provider does not say (RFC 6749 §5.1 lets it)."""


class ProviderRefused(LoginFailed):
    """The provider answered with an OAuth error (RFC 6749 §5.2); `error` is its code."""

    def __init__(self, issuer: str, error: str, said: str) -> None:
        super().__init__(
            f"`{issuer}` refused: {error}{f' ({said})' if said else ''}; {NEXT.get(error, 'run `remit login` again')}"
        )
        self.error = error


@dataclass(frozen=True, slots=True)
class Started:
    """An authorization request, and the secrets that its answer has to fit."""

    url: str
    state: str
    nonce: str
    verifier: str


class OAuth:
    """A conversation with the provider of `target`, for a `with` block: it begins with the discovery document."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._session = OAuth2Session(
            target.client_id,
            target.client_secret,
            token_endpoint_auth_method="client_secret_basic" if target.client_secret else "none",
            code_challenge_method="S256",
            default_timeout=SECONDS,
        )
        self._session.max_redirects = 0
        # else a `.netrc` would add a password to what is asked without authentication
        self._session.auth = _unchanged
        self._session.trust_env = not is_loopback(urlsplit(target.issuer).hostname or "")

    def __enter__(self) -> Self:
        issuer = self.target.issuer
        try:
            self.provider = read_provider(self._get(issuer.rstrip("/") + PATH), issuer)
        except BaseException:
            self._session.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._session.close()

    def start(self, redirect: str) -> Started:
        """The address to send a browser to: authorization code with PKCE (RFC 7636), state and nonce."""
        if self.provider.authorization_endpoint is None:
            other = "try `remit login --device`" if self.provider.device_endpoint else BY_HAND
            raise LoginFailed(f"`{self.target.issuer}` offers no login with a browser; {other}")
        verifier, nonce = generate_token(64), generate_token(32)
        url, state = self._session.create_authorization_url(
            self.provider.authorization_endpoint,
            state=generate_token(32),
            code_verifier=verifier,
            nonce=nonce,
            redirect_uri=redirect,
            scope=self.provider.scope,
            # without being asked anew nobody agrees to stay logged in (OpenID Connect Core §11)
            prompt="consent" if self.provider.stays else None,
            **self._for_whom(),
        )
        return Started(str(url), str(state), nonce, verifier)

    def exchange(self, code: str, started: Started, redirect: str) -> Tokens:
        """The tokens for an authorization code."""
        return self._tokens(
            "authorization_code", code=code, code_verifier=started.verifier, redirect_uri=redirect, **self._for_whom()
        )

    def start_device(self) -> Mapping[str, Any]:
        """A device authorization response (RFC 8628 §3.2), not looked at yet."""
        if self.provider.device_endpoint is None:
            other = "run `remit login` beside a browser" if self.provider.authorization_endpoint else BY_HAND
            raise LoginFailed(f"`{self.target.issuer}` offers no device flow; {other}")
        asked = {"scope": self.provider.scope, **self._for_whom()}
        auth = self._session.client_auth(self._session.token_endpoint_auth_method)
        answer = self._answer(lambda: self._session.post(self.provider.device_endpoint, data=asked, auth=auth))
        return self._object(answer)

    def poll_device(self, device_code: str) -> Tokens:
        """The tokens, once somebody has agreed; `ProviderRefused` says why there are none (yet)."""
        return self._tokens(DEVICE_GRANT, device_code=device_code, **self._for_whom())

    def refresh(self, refresh_token: str) -> Tokens:
        """New tokens for a refresh token, which may be good for this once only."""
        return self._tokens("refresh_token", refresh_token=refresh_token, **self._for_whom())

    def revoke(self, token: str, hint: str) -> None:
        """Takes a token back (RFC 7009); does nothing where the provider cannot, for that kind of token or at all."""
        endpoint = self.provider.revocation_endpoint
        if endpoint is None:
            return
        answer = self._answer(lambda: self._session.revoke_token(endpoint, token=token, token_type_hint=hint))
        if answer.status_code == requests.codes.ok:
            return
        try:
            self._object(answer)
        except ProviderRefused as refused:
            if refused.error == "unsupported_token_type":
                return
            raise
        raise LoginFailed(f"`{self.target.issuer}` answers {answer.status_code}; ask whoever runs it to end the login")

    def keys(self) -> Mapping[str, Any]:
        """The provider's JWK set, not looked at yet."""
        return self._get(self.provider.jwks_uri)

    def _for_whom(self) -> dict[str, str]:
        # Providers know one, the other or neither; what they do not know they pass over (RFC 6749 §3.1).
        return {"resource": self.target.resource, "audience": self.target.audience}

    def _get(self, url: str) -> Mapping[str, Any]:
        answer = self._answer(lambda: self._session.get(url, withhold_token=True))
        if answer.status_code != requests.codes.ok:
            raise LoginFailed(f"`{url}` answers {answer.status_code}; ask whoever runs the issuer")
        return self._object(answer)

    def _tokens(self, grant: str, **asked: str) -> Tokens:
        at = int(time.time())
        try:
            given = self._answer(
                lambda: self._session.fetch_token(self.provider.token_endpoint, grant_type=grant, **asked)
            )
        except OAuthError as error:
            # the error of a provider may quote what it was sent: only its code and description are taken over
            raise ProviderRefused(self.target.issuer, str(error.error), str(error.description or "")) from None
        return self._read(given, at)

    def _read(self, given: Mapping[str, Any], at: int) -> Tokens:
        access, kind = _text(given, "access_token"), _text(given, "token_type") or ""
        if access is None or kind.lower() != "bearer":
            raise LoginFailed(f"`{self.target.issuer}` gave no bearer token; ask whoever runs it")
        life = given.get("expires_in", UNSAID_LIFE)
        life = int(life) if isinstance(life, int | float) and life > 0 else UNSAID_LIFE
        return Tokens(access, _text(given, "refresh_token"), _text(given, "id_token"), at, at + life)

    def _answer(self, ask: Callable[[], Any]) -> Any:
        issuer = self.target.issuer
        try:
            return ask()
        except OAuthError:
            raise
        except requests.HTTPError as error:
            status = "an error" if error.response is None else error.response.status_code
            raise LoginFailed(f"`{issuer}` answers {status}; try again, or ask whoever runs it") from None
        except requests.TooManyRedirects:
            raise LoginFailed(f"`{issuer}` answers with a redirect where none may be; ask whoever runs it") from None
        except requests.RequestException as error:
            raise Unreachable(f"no answer from the issuer `{issuer}` ({type(error).__name__}); try again") from None
        except ValueError:
            raise LoginFailed(f"`{issuer}` answers something that is no JSON; ask whoever runs it") from None

    def _object(self, answer: requests.Response) -> Mapping[str, Any]:
        found = self._answer(answer.json)
        if not isinstance(found, dict):
            raise LoginFailed(f"`{self.target.issuer}` answers something that is no JSON object; ask whoever runs it")
        if "error" in found and not answer.ok:
            raise ProviderRefused(
                self.target.issuer, _text(found, "error") or "?", _text(found, "error_description") or ""
            )
        return found


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    return value if isinstance(value, str) and value else None


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
