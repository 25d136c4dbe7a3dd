"""What a login believes: the browser's answer, the ID token, the provider's word; and how long it waits for one."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from wire import Wire, says

from remit.errors import LoginFailed, Unreachable
from remit.login import browser, device
from remit.login.id_token import subject_of
from remit.login.loopback import listening
from remit.login.oauth import OAuth, Started
from remit.login.provider import read_provider
from remit.login.values import Target, Tokens

ISSUER = "https://login.example.com"
KEY = ECKey.generate_key("P-256", {"kid": "k", "use": "sig"})
KEYS = {"keys": [KEY.as_dict(private=False)]}
CLAIMS = {"iss": ISSUER, "aud": "remit-cli", "sub": "ana", "nonce": "n"}
STARTED = Started("https://login.example.com/auth", "the-state", "n", "the-verifier")


def id_token(key: Any = KEY, algorithm: str = "ES256", **claims: object) -> str:
    now = int(time.time())
    given = {**CLAIMS, "iat": now, "exp": now + 600} | claims
    kept = {name: value for name, value in given.items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": "k"}, kept, key, algorithms=[algorithm])


def believed(token: str, nonce: str | None = "n") -> str:
    return subject_of(token, KEYS, issuer=ISSUER, client_id="remit-cli", nonce=nonce)


def test_an_id_token_that_was_asked_for_says_who_logged_in() -> None:
    assert believed(id_token()) == "ana"
    assert believed(id_token(aud=["remit-cli"], azp="remit-cli")) == "ana"
    assert believed(id_token(nonce=None), nonce=None) == "ana"


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://elsewhere.example.com"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["remit-cli", "another"]},
        {"azp": "another"},
        {"nonce": "of another login"},
        {"nonce": None},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"sub": 7},
    ],
    ids=str,
)
def test_an_id_token_that_does_not_fit_is_not_believed(wrong: dict[str, object]) -> None:
    with pytest.raises(LoginFailed, match="cannot be believed"):
        believed(id_token(**wrong))


def test_an_id_token_that_no_key_of_the_issuer_signed_is_not_believed() -> None:
    other = ECKey.generate_key("P-256", {"kid": "k"})
    secret = OctKey.import_key(json.dumps(KEYS["keys"][0]))
    head, body, _ = id_token().split(".")
    unsigned = "eyJhbGciOiJub25lIn0"
    for forged in (id_token(other), id_token(secret, "HS256"), f"{unsigned}.{body}.", f"{head}.{body}.", "x", ""):
        with pytest.raises(LoginFailed, match="no key of the issuer"):
            believed(forged)


def test_an_answer_of_another_login_or_issuer_gives_no_code() -> None:
    def code(*, promised: bool = False, **answer: str) -> str:
        return browser.check(answer, STARTED, says_issuer=promised, issuer=ISSUER)

    assert code(state="the-state", code="c") == "c"
    assert code(state="the-state", code="c", iss=ISSUER, promised=True) == "c"
    for wrong in ({"code": "c"}, {"state": "other", "code": "c"}, {"state": "ü", "code": "c"}):
        with pytest.raises(LoginFailed, match="another login"):
            code(**wrong)
    with pytest.raises(LoginFailed, match="another issuer"):
        code(state="the-state", code="c", iss="https://evil.example.com")
    with pytest.raises(LoginFailed, match="another issuer"):
        code(state="the-state", code="c", promised=True)
    with pytest.raises(LoginFailed, match=r"access_denied \(not today\)"):
        code(state="the-state", error="access_denied", error_description="not today")
    with pytest.raises(LoginFailed, match="without a code"):
        code(state="the-state")


def get(url: str) -> httpx2.Response:
    return httpx2.get(url, trust_env=False, timeout=10)


def test_the_listener_takes_the_first_answer_and_is_gone_afterwards() -> None:
    with listening() as listener:
        address = urlsplit(listener.redirect)
        assert address.hostname == "127.0.0.1"
        assert get(listener.redirect.replace("/callback", "/favicon.ico")).status_code == 404
        page = get(f"{listener.redirect}?code=1&state=s")
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        get(f"{listener.redirect}?code=2&state=s")
        assert listener.wait(10) == {"code": "1", "state": "s"}
    with pytest.raises(httpx2.ConnectError):
        get(listener.redirect)


def test_an_answer_that_names_something_twice_is_not_taken() -> None:
    with listening() as listener:
        get(f"{listener.redirect}?code=1&code=2&state=s")
        with pytest.raises(LoginFailed, match="not understood"):
            listener.wait(10)


def test_nobody_who_comes_back_is_not_waited_for_for_ever() -> None:
    with (
        listening() as listener,
        pytest.raises(LoginFailed, match="with --no-browser where no page opened"),
    ):
        listener.wait(0)


DOCUMENT = {
    "issuer": ISSUER,
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
    "authorization_endpoint": f"{ISSUER}/auth",
}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"issuer": "https://elsewhere.example.com"}, "calls itself"),
        ({"token_endpoint": None}, "not understood"),
        ({"token_endpoint": "http://login.example.com/token"}, "not https"),
        ({"jwks_uri": "http://127.0.0.1/keys"}, "not https"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "not https"),
        ({"device_authorization_endpoint": "https://a@b/"}, "not https"),
    ],
)
def test_a_provider_that_would_send_secrets_elsewhere_is_refused(changed: dict[str, object], why: str) -> None:
    assert read_provider(DOCUMENT, ISSUER).scope == "openid"
    with pytest.raises(LoginFailed, match=why):
        read_provider(DOCUMENT | changed, ISSUER)


@pytest.fixture
def wire() -> Iterator[Wire]:
    server = Wire()
    yield server
    server.close()


@pytest.fixture
def oauth(wire: Wire) -> Iterator[OAuth]:
    """A conversation with a provider that says what a test tells it to."""
    document = {"issuer": wire.url, "token_endpoint": f"{wire.url}/token", "jwks_uri": f"{wire.url}/keys"}
    document |= {"device_authorization_endpoint": f"{wire.url}/device", "revocation_endpoint": f"{wire.url}/revoke"}
    wire.answers("GET", "/.well-known/openid-configuration", says(document))
    with OAuth(Target("http://127.0.0.1:1", wire.url, "remit-cli", "http://127.0.0.1:1", "remit")) as opened:
        yield opened


class Clock:
    """Time that only passes while somebody sleeps, and what happens then."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.then: Callable[[int], None] = lambda _: None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.then(len(self.slept))

    def __call__(self) -> float:
        return self.now


def invitation(url: str, **more: object) -> dict[str, object]:
    said = {"device_code": "d", "user_code": "ABCD", "verification_uri": f"{url}/go", "expires_in": 60, "interval": 1}
    return said | more


def test_slow_down_makes_the_wait_longer_and_a_code_that_is_not_used_ends(wire: Wire, oauth: OAuth) -> None:
    clock, told = Clock(), list[str]()
    wire.answers("POST", "/device", says(invitation(wire.url)))
    wire.answers("POST", "/token", says({"error": "slow_down"}, 400))
    with pytest.raises(LoginFailed, match="not used in time"):
        device.log_in(oauth, told.append, sleep=clock.sleep, clock=clock)
    assert clock.slept == [1, 6, 11, 16, 21]
    assert "ABCD" in told[0]


def test_waiting_ends_where_the_issuer_says_that_the_code_expired_or_was_refused(wire: Wire, oauth: OAuth) -> None:
    wire.answers("POST", "/device", says(invitation(wire.url)))
    for error, why in (("expired_token", "not used in time"), ("access_denied", "access_denied")):
        clock = Clock()
        wire.answers("POST", "/token", says({"error": error}, 400))
        with pytest.raises(LoginFailed, match=why):
            device.log_in(oauth, lambda _: None, sleep=clock.sleep, clock=clock)
        assert clock.slept == [1]


def test_whoever_agrees_in_time_is_logged_in(wire: Wire, oauth: OAuth) -> None:
    clock = Clock()
    wire.answers("POST", "/device", says(invitation(wire.url)))
    wire.answers("GET", "/keys", says(KEYS))
    wire.answers("POST", "/token", says({"error": "authorization_pending"}, 400))
    given = {"access_token": "a", "token_type": "bearer", "id_token": id_token(iss=wire.url, nonce=None)}
    clock.then = lambda times: wire.answers("POST", "/token", says(given)) if times == 3 else None
    made = device.log_in(oauth, lambda _: None, sleep=clock.sleep, clock=clock)
    assert (made.subject, made.tokens.access, clock.slept) == ("ana", "a", [1, 1, 1])


def test_a_device_flow_that_would_send_somebody_elsewhere_is_refused(wire: Wire, oauth: OAuth) -> None:
    for wrong in ({"verification_uri": "http://evil.example.com/"}, {"expires_in": -1}, {"device_code": None}):
        wire.answers("POST", "/device", says(invitation(wire.url, **wrong)))
        with pytest.raises(LoginFailed):
            device.log_in(oauth, lambda _: None, sleep=lambda _: None, clock=time.monotonic)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says({"access_token": "secret", "token_type": "mac"}), "no bearer token"),
        (says({"token_type": "Bearer"}), "no bearer token"),
        (says(["secret"]), "no JSON"),
        (says({}, 500), "answers 500"),
        (says({}, 302), "no bearer token"),
        (says({"error": "invalid_grant", "error_description": "gone"}, 400), r"invalid_grant \(gone\)"),
    ],
    ids=str,
)
def test_what_an_issuer_answers_wrongly_is_said_without_what_it_was(
    wire: Wire, oauth: OAuth, answer: Any, why: str
) -> None:
    wire.answers("POST", "/token", answer)
    with pytest.raises(LoginFailed, match=why) as raised:
        oauth.refresh("the-refresh-token")
    assert "secret" not in str(raised.value)
    assert "the-refresh-token" not in str(raised.value)


def test_an_issuer_that_offers_no_login_does_not_send_anybody_from_one_to_the_other(wire: Wire) -> None:
    document = {"issuer": wire.url, "token_endpoint": f"{wire.url}/token", "jwks_uri": f"{wire.url}/keys"}
    wire.answers("GET", "/.well-known/openid-configuration", says(document))
    with OAuth(Target("http://127.0.0.1:1", wire.url, "remit-cli", "http://127.0.0.1:1", "remit")) as opened:
        with pytest.raises(LoginFailed, match="no login with a browser; set REMIT_TOKEN"):
            opened.start("http://127.0.0.1:9/callback")
        with pytest.raises(LoginFailed, match="no device flow; set REMIT_TOKEN"):
            opened.start_device()


def test_an_issuer_that_is_away_is_unreachable() -> None:
    away = "http://127.0.0.1:9"
    with pytest.raises(Unreachable, match="no answer from the issuer"), OAuth(Target(away, away, "c", away, "remit")):
        pass


def test_a_kind_of_token_that_cannot_be_revoked_is_no_failure(wire: Wire, oauth: OAuth) -> None:
    wire.answers("POST", "/revoke", says({"error": "unsupported_token_type"}, 400))
    oauth.revoke("a", "access_token")
    wire.answers("POST", "/revoke", says({"error": "invalid_client"}, 401))
    with pytest.raises(LoginFailed, match="invalid_client"):
        oauth.revoke("a", "access_token")


def test_no_repr_shows_a_token() -> None:
    assert "secret" not in repr(Tokens("secret-a", "secret-r", "secret-i", 1, 2))
