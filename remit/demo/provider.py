"""A small OpenID provider for the demo and the tests: discovery, keys, tokens. Listens on this machine only.

It is nobody's login. Whoever holds its `secret` gets a token for anyone it knows, so it is never part of `remit serve`.
"""

import json
import secrets
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

LIFE = 15 * 60
"""Seconds that a token lives."""

MAX_FORM = 8 * 1024
MAKERS: Mapping[str, Callable[[], Key]] = {
    "ES256": lambda: ECKey.generate_key("P-256"),
    "ES384": lambda: ECKey.generate_key("P-384"),
    "RS256": lambda: RSAKey.generate_key(2048),
    "PS256": lambda: RSAKey.generate_key(2048),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519"),
    "Ed25519": lambda: OKPKey.generate_key("Ed25519"),
}
"""The algorithms that it can sign with, and how each one's key is made."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody the provider knows: groups, and claims beside them."""

    groups: tuple[str, ...]
    claims: Mapping[str, str | int | bool] = field(default_factory=dict)


PEOPLE: Mapping[str, Person] = {
    "ana": Person(("research.ml",), {"privacy_training": "current", "region": "eu"}),
    "mia": Person(("collection.mci",)),
    "pia": Person(("privacy",)),
    "sam": Person(("security",)),
    "olga": Person(("on_call",)),
    "otto": Person(("on_call",)),
    "eve": Person(("administration",)),
}
"""Who is in the demo's story."""


class Provider:
    """An OpenID provider in a thread, for as long as the `with` block lasts.

    `clock` gives seconds since 1970, `algorithm` is one of `MAKERS`. `url` is the issuer, `secret` what the token
    endpoint asks for: `grant_type=client_credentials`, `client_id` (one of `people`) and `client_secret` as a form.
    """

    def __init__(
        self,
        *,
        people: Mapping[str, Person] = PEOPLE,
        audience: str = "remit",
        algorithm: str = "ES256",
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.people = people
        self.secret = secrets.token_urlsafe(32)
        self._audience = audience
        self._algorithm = algorithm
        self._clock = clock
        self._keys: tuple[tuple[str, Key], ...] = ()
        self.rotate()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def rotate(self, *, withdraw: bool = False) -> None:
        """Sign with a new key from now on; the old ones stay published unless they are to be withdrawn."""
        made = (secrets.token_hex(8), MAKERS[self._algorithm]())
        self._keys = (made,) if withdraw else (made, *self._keys)

    def issue(self, sub: str, groups: tuple[str, ...] | list[str], /, **claims: object) -> str:
        """An access token (RFC 9068) for `sub`; `claims` come on top and win over what it would say otherwise."""
        now = int(self._clock())
        standard = {
            "iss": self.url,
            "aud": self._audience,
            "sub": sub,
            "client_id": "remit-demo",
            "groups": list(groups),
            "iat": now,
            "exp": now + LIFE,
            "jti": secrets.token_hex(16),
        }
        name, key = self._keys[0]
        header = {"typ": "at+jwt", "alg": self._algorithm, "kid": name}
        return self._seal(key, json.dumps(header).encode(), json.dumps(standard | claims).encode())

    def seal(self, header: bytes, payload: bytes) -> str:
        """Any header and any payload, signed as they are: how a verifier is shown nonsense from a true issuer."""
        return self._seal(self._keys[0][1], header, payload)

    def documents(self) -> Mapping[str, Mapping[str, Any]]:
        """What it publishes, by path: the discovery document and the public keys."""
        keys = [key.as_dict(kid=name, alg=self._algorithm, use="sig") for name, key in self._keys]
        discovery = {
            "issuer": self.url,
            "jwks_uri": self.url + "/keys",
            "token_endpoint": self.url + "/token",
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }
        return {"/.well-known/openid-configuration": discovery, "/keys": {"keys": keys}}

    def answer(self, form: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        """The token endpoint (RFC 6749 §4.4): a status and the document that goes with it."""
        if form.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type"}
        person = self.people.get(form.get("client_id", ""))
        if not secrets.compare_digest(form.get("client_secret", "").encode(), self.secret.encode()) or person is None:
            return 401, {"error": "invalid_client"}
        token = self.issue(form["client_id"], person.groups, **person.claims)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": LIFE}

    def _seal(self, key: Key, header: bytes, payload: bytes) -> str:
        signed = _encode(header) + b"." + _encode(payload)
        signature = JWSRegistry.algorithms[self._algorithm].sign(signed, key)
        return (signed + b"." + _encode(signature)).decode()


def _encode(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            document = provider.documents().get(self.path)
            self._send(404 if document is None else 200, document or {"error": "not_found"})

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path != "/token" or not length.isascii() or not length.isdigit() or int(length) > MAX_FORM:
                return self._send(400, {"error": "invalid_request"})
            form = parse_qs(self.rfile.read(int(length)).decode(errors="replace"))
            return self._send(*provider.answer({name: values[0] for name, values in form.items()}))

        def _send(self, status: int, document: Mapping[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the demo's terminal is for the story."""

    return Handler


def main(port: int = 8471) -> None:
    """Run the demo's provider until it is interrupted; says its issuer and its secret."""
    with Provider(port=port) as provider:
        print(f"issuer {provider.url}\nsecret {provider.secret}", flush=True)
        try:
            Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
