"""The issuer's keys over real HTTP: rotation, outages, issuers that misbehave, and the demo's own provider."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import httpx2
import pytest

from authz.identity import MOST_SEEN, SKEW, Admitted, Identity
from authz.issuer import FRESH_FOR, RETRY_AFTER, USABLE_FOR
from authz.tokens import TokenRefused
from policy.values import Principal
from remit.demo.provider import LIFE, Provider

Token = Callable[[], str]
DISCOVERY = "/.well-known/openid-configuration"


@dataclass
class Clock:
    """Seconds since 1970, as a test says."""

    now: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Answer:
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    before: Callable[[], object] = lambda: None
    at_once: int = 1 << 20
    between: Callable[[], object] = lambda: None


class Front:
    """A real HTTP server in front of a provider: passes its documents on, counts who asks, answers as told."""

    def __init__(self, provider: Provider) -> None:
        self.asked: list[str] = []
        self.told: dict[str, Answer] = {}
        front = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                front.asked.append(self.path)
                answer = front.told.get(self.path) or front.pass_on(provider, self.path)
                answer.before()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for start in range(0, len(answer.body), answer.at_once):
                    self.wfile.write(answer.body[start : start + answer.at_once])
                    answer.between()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def pass_on(self, provider: Provider, path: str) -> Answer:
        return Answer(json.dumps(provider.documents()[path]).replace(provider.url, self.url).encode())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider(clock: Clock) -> Iterator[Provider]:
    with Provider(clock=clock) as provider:
        yield provider


@pytest.fixture
def front(provider: Provider) -> Iterator[Front]:
    front = Front(provider)
    thread = Thread(target=front.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield front
    front.server.shutdown()
    thread.join()
    front.server.server_close()


@pytest.fixture
def identity(front: Front, clock: Clock) -> Identity:
    return Identity(issuer=front.url, audience="remit", teams_claim="groups", attribute_claims=(), clock=clock)


@pytest.fixture
def token(provider: Provider, front: Front) -> Token:
    return lambda: provider.issue("ana", ["research.ml"], iss=front.url)


def forged(token: str, key: str) -> str:
    header = json.dumps({"typ": "at+jwt", "alg": "ES256", "kid": key}).encode()
    return base64.urlsafe_b64encode(header).rstrip(b"=").decode() + token[token.index(".") :]


def test_a_new_key_is_known_without_a_restart_and_the_old_one_stays_good(
    provider: Provider, identity: Identity, clock: Clock, token: Token
) -> None:
    old = token()
    assert isinstance(identity.verify(old), Principal)
    provider.rotate()
    clock.now += RETRY_AFTER
    assert isinstance(identity.verify(token()), Principal)
    assert isinstance(identity.verify(old), Principal)


def test_a_key_that_the_issuer_withdraws_is_soon_refused(
    provider: Provider, identity: Identity, clock: Clock, token: Token
) -> None:
    old = token()
    assert isinstance(identity.verify(old), Principal)
    provider.rotate(withdraw=True)
    clock.now += FRESH_FOR + 1
    assert isinstance(identity.verify(old), TokenRefused)
    assert isinstance(identity.verify(token()), Principal)


def test_a_token_that_was_let_in_is_known_again_and_nothing_like_it_is(identity: Identity, token: Token) -> None:
    good = token()
    assert identity.recall(good) is None
    assert identity.recall(good) is None, "only `verify` lets in"
    admitted = identity.admit(good)
    assert isinstance(admitted, Admitted)
    assert identity.recall(good) == admitted
    head, claims, signature = good.split(".")
    for other in (token(), f"{head}.{claims}.{signature[:-2]}AA", f"{good} ", f"{head}.{claims}.", good[:-1], "\ud800"):
        assert identity.recall(other) is None
    assert isinstance(identity.verify(forged(good, "forged")), TokenRefused)
    assert identity.recall(forged(good, "forged")) is None


def test_a_token_that_is_known_ends_when_it_ends(
    front: Front, provider: Provider, identity: Identity, clock: Clock
) -> None:
    short = provider.issue("ana", ["research.ml"], iss=front.url, iat=int(clock.now), exp=int(clock.now) + 20)
    assert isinstance(identity.verify(short), Principal)
    clock.now += 20 + SKEW - 1
    assert isinstance(identity.recall(short), Admitted)
    clock.now += 1
    assert identity.recall(short) is None
    assert isinstance(identity.verify(short), TokenRefused)


def test_a_token_that_is_known_is_checked_anew_once_its_key_may_have_been_withdrawn(
    provider: Provider, identity: Identity, clock: Clock, token: Token
) -> None:
    old = token()
    assert isinstance(identity.verify(old), Principal)
    provider.rotate(withdraw=True)
    clock.now += FRESH_FOR + 1
    assert identity.recall(old) is None
    assert isinstance(identity.verify(token()), Principal)
    assert identity.recall(old) is None
    assert isinstance(identity.verify(old), TokenRefused)


def test_a_token_is_checked_anew_after_each_fetch_of_the_keys(identity: Identity, clock: Clock, token: Token) -> None:
    one = token()
    assert isinstance(identity.verify(one), Principal)
    clock.now += FRESH_FOR + 1
    assert isinstance(identity.verify(token()), Principal)
    assert identity.recall(one) is None
    assert isinstance(identity.verify(one), Principal)
    assert isinstance(identity.recall(one), Admitted)


def test_however_many_tokens_are_let_in_the_memory_of_them_stays_small(identity: Identity, token: Token) -> None:
    for _ in range(MOST_SEEN + 10):
        assert isinstance(identity.verify(token()), Principal)
    assert len(identity._seen._checked) <= MOST_SEEN


def test_forged_key_names_cannot_make_the_issuer_busy(
    front: Front, identity: Identity, clock: Clock, token: Token
) -> None:
    for number in range(200):
        assert isinstance(identity.verify(forged(token(), f"forged-{number}")), TokenRefused)
        assert isinstance(identity.verify(token()), Principal)
    assert front.asked == [DISCOVERY, "/keys"]
    clock.now += RETRY_AFTER
    identity.verify(forged(token(), "forged"))
    assert len(front.asked) == 4


def test_forged_key_names_in_many_threads_ask_the_issuer_once(front: Front, identity: Identity, token: Token) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(identity.verify, [forged(token(), str(n)) if n % 2 else token() for n in range(200)]))
    assert [isinstance(answer, Principal) for answer in answers] == [n % 2 == 0 for n in range(200)]
    assert front.asked == [DISCOVERY, "/keys"]


def test_while_the_issuer_hangs_tokens_of_known_keys_are_checked_all_the_same(
    front: Front, identity: Identity, clock: Clock, token: Token
) -> None:
    assert isinstance(identity.verify(token()), Principal)
    hanging, go_on = Event(), Event()
    front.told["/keys"] = Answer(b"{}", before=lambda: (hanging.set(), go_on.wait(30)))
    clock.now += RETRY_AFTER
    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(identity.verify, forged(token(), "forged"))
        assert hanging.wait(30)
        assert all(isinstance(identity.verify(token()), Principal) for _ in range(50))
        assert not stuck.done()
        go_on.set()
        assert isinstance(stuck.result(), TokenRefused)


def test_an_outage_of_the_issuer_is_bridged_with_the_keys_held_but_not_for_ever(
    front: Front, identity: Identity, clock: Clock, token: Token
) -> None:
    assert isinstance(identity.verify(token()), Principal)
    front.told[DISCOVERY] = Answer(b"", status=503)
    clock.now += USABLE_FOR - 1
    assert isinstance(identity.verify(token()), Principal)
    assert identity.is_reachable()
    clock.now += 2
    answer = identity.verify(token())
    assert isinstance(answer, TokenRefused)
    assert "try again" in answer.reason
    assert not identity.is_reachable()
    front.told.clear()
    clock.now += RETRY_AFTER
    assert identity.is_reachable()
    assert isinstance(identity.verify(token()), Principal)


def test_a_clock_that_is_set_back_makes_the_issuer_be_asked_again(
    front: Front, identity: Identity, clock: Clock, token: Token
) -> None:
    assert identity.is_reachable()
    clock.now -= 10 * USABLE_FOR
    assert isinstance(identity.verify(token()), Principal)
    assert len(front.asked) == 4


def discovery(front: Front, **changed: object) -> bytes:
    return json.dumps({"issuer": front.url, "jwks_uri": front.url + "/keys"} | changed).encode()


@pytest.mark.parametrize(
    "tell",
    [
        lambda front: {DISCOVERY: Answer(discovery(front), status=201)},
        lambda front: {
            DISCOVERY: Answer(b"", 302, {"Location": front.url + "/moved"}),
            "/moved": Answer(discovery(front)),
        },
        lambda front: {DISCOVERY: Answer(discovery(front, issuer=front.url + "/"))},
        lambda front: {DISCOVERY: Answer(discovery(front, issuer=None))},
        lambda front: {DISCOVERY: Answer(discovery(front)[:-1] + b',"issuer":"' + front.url.encode() + b'"}')},
        lambda front: {DISCOVERY: Answer(discovery(front, jwks_uri=None))},
        lambda front: {DISCOVERY: Answer(discovery(front, jwks_uri="http://issuer.example/keys"))},
        lambda front: {DISCOVERY: Answer(discovery(front, jwks_uri="file:///etc/passwd"))},
        lambda front: {DISCOVERY: Answer(discovery(front, jwks_uri="https://127.0.0.1:1/keys"))},
        lambda front: {DISCOVERY: Answer(discovery(front, padding="x" * 300_000))},
        lambda _: {DISCOVERY: Answer(b"[" * 100_000)},
        lambda _: {DISCOVERY: Answer(b"<html>")},
        lambda _: {DISCOVERY: Answer(b"")},
        lambda _: {DISCOVERY: Answer(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})},
        lambda _: {DISCOVERY: Answer(b"{", headers={"Content-Length": "100"})},
        lambda _: {"/keys": Answer(b'{"keys":{}}')},
        lambda _: {"/keys": Answer(b'{"keys":[]}')},
        lambda _: {"/keys": Answer(b"", status=404)},
        lambda front: {"/keys": Answer(b"", 307, {"Location": front.url + "/moved"})},
    ],
)
def test_an_issuer_that_answers_anything_else_lets_nobody_in(
    front: Front, identity: Identity, token: Token, tell: Callable[[Front], dict[str, Answer]]
) -> None:
    front.told = tell(front)
    assert isinstance(identity.verify(token()), TokenRefused)
    assert not identity.is_reachable()
    assert "/moved" not in front.asked


@pytest.mark.slow
def test_an_issuer_that_answers_drop_by_drop_is_given_up(front: Front, identity: Identity, token: Token) -> None:
    over = Event()
    front.told["/keys"] = Answer(b"x" * 200_000, at_once=1, between=lambda: over.wait(0.05))
    assert isinstance(identity.verify(token()), TokenRefused)
    over.set()


def test_an_issuer_that_is_not_there_lets_nobody_in(clock: Clock) -> None:
    with Provider(clock=clock) as gone:
        token = gone.issue("ana", ["research.ml"])
        identity = Identity(issuer=gone.url, audience="remit", teams_claim="groups", attribute_claims=(), clock=clock)
    assert isinstance(identity.verify(token), TokenRefused)
    assert not identity.is_reachable()


def test_a_proxy_of_the_environment_is_not_asked_for_keys_of_this_machine(
    front: Front, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert identity.is_reachable()


def ask(provider: Provider, **changed: str) -> httpx2.Response:
    form = {"grant_type": "client_credentials", "client_id": "ana", "client_secret": provider.secret} | changed
    return httpx2.post(provider.url + "/token", data=form, trust_env=False)


def test_the_demos_provider_gives_a_token_to_whoever_holds_its_secret(provider: Provider, clock: Clock) -> None:
    identity = Identity(
        issuer=provider.url,
        audience="remit",
        teams_claim="groups",
        attribute_claims=("privacy_training",),
        clock=clock,
    )
    answer = ask(provider)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["expires_in"] == LIFE
    who = identity.verify(answer.json()["access_token"])
    assert who == Principal("ana", "person", ("research.ml",), (("privacy_training", "current"),))


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"client_secret": ""}, 401),
        ({"client_secret": "é"}, 401),
        ({"client_id": "nobody"}, 401),
        ({"grant_type": "password"}, 400),
        ({"padding": "x" * 10_000}, 400),
    ],
)
def test_the_demos_provider_gives_nobody_else_a_token(provider: Provider, changed: dict[str, str], status: int) -> None:
    answer = ask(provider, **changed)
    assert answer.status_code == status
    assert "access_token" not in answer.text


def test_the_demos_provider_publishes_no_private_key(provider: Provider) -> None:
    provider.rotate()
    keys = httpx2.get(provider.url + "/keys", trust_env=False).json()["keys"]
    assert len(keys) == 2
    assert all(set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"} for key in keys)
    assert provider.secret not in httpx2.get(provider.url + DISCOVERY, trust_env=False).text


def test_the_demos_provider_runs_by_itself_and_its_tokens_are_good() -> None:
    command = [sys.executable, "-m", "remit.demo.provider", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url, secret = (process.stdout.readline().split()[1] for _ in range(2))
        form = {"grant_type": "client_credentials", "client_id": "sam", "client_secret": secret}
        token = httpx2.post(url + "/token", data=form, trust_env=False).json()["access_token"]
        identity = Identity(issuer=url, audience="remit", teams_claim="groups", attribute_claims=(), clock=time.time)
        assert identity.verify(token) == Principal("sam", "person", ("security",))
        process.terminate()
