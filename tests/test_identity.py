"""Who a token speaks for, and what a signed token must say to speak for anybody."""

from collections.abc import Iterator

import pytest

from authz.identity import Identity
from authz.issuer import BadIssuer
from authz.tokens import TokenRefused
from policy.values import Principal
from remit.demo.provider import Provider

NOW = 1_790_000_000


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(clock=lambda: NOW) as provider:
        yield provider


@pytest.fixture(scope="module")
def identity(provider: Provider) -> Identity:
    return identity_at(provider.url)


def identity_at(
    issuer: str, now: float = NOW, attributes: tuple[str, ...] = ("level", "region", "trained")
) -> Identity:
    return Identity(
        issuer=issuer, audience="remit", teams_claim="groups", attribute_claims=attributes, clock=lambda: now
    )


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"iss": "http://127.0.0.1:1"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "remit2"}, "another audience"),
        ({"aud": "Remit"}, "another audience"),
        ({"aud": []}, "another audience"),
        ({"aud": ["other"]}, "another audience"),
        ({"aud": ["remit", 5]}, "another audience"),
        ({"aud": {"remit": True}}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"exp": str(NOW + 60)}, "no integer"),
        ({"exp": NOW + 60.5}, "no integer"),
        ({"exp": True}, "no integer"),
        ({"exp": None}, "no integer"),
        ({"iat": None}, "no integer"),
        ({"iat": NOW - 1, "exp": NOW + 3600}, "longer than an hour"),
        ({"iat": NOW, "exp": NOW}, "longer than an hour"),
        ({"iat": NOW, "exp": NOW - 5}, "longer than an hour"),
        ({"iat": NOW - 100, "exp": NOW - 30}, "expired"),
        ({"iat": NOW + 31, "exp": NOW + 60}, "future"),
        ({"nbf": NOW + 31}, "not valid yet"),
        ({"nbf": str(NOW)}, "`nbf`"),
        ({"nbf": None}, "`nbf`"),
        ({"sub": ""}, "`sub`"),
        ({"sub": 7}, "`sub`"),
        ({"sub": None}, "`sub`"),
        ({"sub": "a" * 256}, "`sub`"),
        ({"sub": "ana\n"}, "`sub`"),
        ({"sub": "ana\x1b[2J"}, "`sub`"),
        ({"sub": "ana\u202e"}, "`sub`"),
        ({"sub": "ana\0"}, "strict JSON"),
        ({"sub": "ana\ud800"}, "strict JSON"),
        ({"client_id": 5}, "`client_id`"),
        ({"client_id": None}, "`client_id`"),
        ({"act": {"sub": "eve"}}, "`act`"),
        ({"act": None}, "`act`"),
        ({"_claim_names": {"groups": "src1"}}, "`_claim_names`"),
        ({"_claim_names": {}}, "`_claim_names`"),
        ({"groups": None}, "no list of texts"),
        ({"groups": "research.ml"}, "no list of texts"),
        ({"groups": ["research.ml", 5]}, "no list of texts"),
        ({"groups": {"research.ml": True}}, "no list of texts"),
    ],
)
def test_a_signed_token_that_does_not_say_what_it_must_is_refused(
    provider: Provider, identity: Identity, claims: dict[str, object], said: str
) -> None:
    answer = identity.verify(provider.issue("ana", ["research.ml"], **claims))
    assert isinstance(answer, TokenRefused)
    assert said in answer.reason


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["other", "remit"]},
        {"iat": NOW - 100, "exp": NOW - 29},
        {"iat": NOW + 30, "exp": NOW + 60},
        {"iat": NOW, "exp": NOW + 3600},
        {"nbf": NOW + 30},
        {"sub": "José"},
        {"sub": "a" * 255},
        {"sub": "ana@example.com"},
        {"groups": []},
    ],
)
def test_what_is_just_within_bounds_is_let_in(
    provider: Provider, identity: Identity, claims: dict[str, object]
) -> None:
    assert isinstance(identity.verify(provider.issue("ana", ["research.ml"], **claims)), Principal)


def test_a_token_without_the_claim_for_teams_is_refused(provider: Provider) -> None:
    other = Identity(
        issuer=provider.url, audience="remit", teams_claim="roles", attribute_claims=(), clock=lambda: float(NOW)
    )
    answer = other.verify(provider.issue("ana", ["research.ml"]))
    assert isinstance(answer, TokenRefused)
    assert "REMIT_TEAMS_CLAIM" in answer.reason


def test_teams_that_are_no_names_never_match(provider: Provider, identity: Identity) -> None:
    groups = ["research.ml", "*", "/research/ml", "Research", "research.", "", "a b", "rеsearch", "research.ml", "hr"]
    answer = identity.verify(provider.issue("ana", groups))
    assert isinstance(answer, Principal)
    assert answer.teams == ("hr", "research.ml")


def test_a_subject_that_is_its_own_client_is_a_service(provider: Provider, identity: Identity) -> None:
    answer = identity.verify(provider.issue("trainer", ["research.ml"], client_id="trainer"))
    assert isinstance(answer, Principal)
    assert answer.kind == "service"


def test_attributes_are_texts_integers_and_booleans_and_anything_else_is_absent(
    provider: Provider, identity: Identity
) -> None:
    given = identity.verify(provider.issue("ana", [], region="eu", level=3, trained=True, other="x"))
    odd = identity.verify(provider.issue("ana", [], region=["eu"], level=3.0, trained=None))
    assert isinstance(given, Principal)
    assert isinstance(odd, Principal)
    assert given.attributes == (("level", 3), ("region", "eu"), ("trained", True))
    assert odd.attributes == ()


@pytest.mark.parametrize("claim", ["name", "kind"])
def test_a_claim_cannot_take_the_place_of_what_every_principal_has(claim: str) -> None:
    with pytest.raises(ValueError, match="would hide"):
        identity_at("https://issuer.example", attributes=(claim,))


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "issuer.example",
        "http://issuer.example",
        "http://127.0.0.1.example",
        "http://0.0.0.0",
        "http://user:secret@127.0.0.1",
        "https://issuer.example?x=1",
        "https://issuer.example#x",
        "https://",
        "file:///etc/passwd",
        "ftp://127.0.0.1",
        "https://[",
        "https://issuer.example:99999",
        "https://" + "a" * 64 + ".example",
        "https://issuer..example",
        "http://127.0.0.1\\\\@issuer.example",
        "https://a b\n",
    ],
)
def test_an_issuer_that_keys_cannot_safely_come_from_is_refused_at_the_start(issuer: str) -> None:
    with pytest.raises(BadIssuer):
        identity_at(issuer)


@pytest.mark.parametrize(
    "issuer", ["https://issuer.example/a/", "http://localhost:1", "http://[::1]:1", "http://127.9.9.9:1"]
)
def test_https_and_this_machine_are_where_keys_can_come_from(issuer: str) -> None:
    identity_at(issuer)
