"""What the verifier makes of tokens: the right ones, and thousands that are nearly right."""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable, Iterator

import pytest

from authz.identity import Identity
from authz.strict_json import read_object
from authz.tokens import TokenRefused, read_keys, take_apart
from policy.values import Principal
from remit.demo.provider import MAKERS, Provider

NOW = 1_790_000_000.0
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(clock=lambda: NOW) as provider:
        yield provider


@pytest.fixture(scope="module")
def stranger() -> Iterator[Provider]:
    with Provider(clock=lambda: NOW) as stranger:
        yield stranger


@pytest.fixture(scope="module")
def identity(provider: Provider) -> Identity:
    return identity_of(provider)


def identity_of(provider: Provider, **changed: object) -> Identity:
    settings = {"audience": "remit", "teams_claim": "groups", "attribute_claims": ("privacy_training",)}
    return Identity(**({"issuer": provider.url, "clock": lambda: NOW} | settings | changed))


def split(token: str) -> tuple[dict[str, object], dict[str, object], str]:
    header, claims, signature = token.split(".")
    return json.loads(decode(header)), json.loads(decode(claims)), signature


def decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "==")


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def reason(answer: Principal | TokenRefused) -> str:
    assert isinstance(answer, TokenRefused), answer
    assert answer.code == "bad_token"
    return answer.reason


def with_header(provider: Provider, **changed: object) -> str:
    header, claims, _ = split(provider.issue("ana", ["research.ml"]))
    kept = {name: value for name, value in (header | changed).items() if value is not None}
    return provider.seal(json.dumps(kept).encode(), json.dumps(claims).encode())


@pytest.mark.parametrize("algorithm", sorted(MAKERS))
def test_a_true_token_of_each_algorithm_says_who_asks(algorithm: str) -> None:
    with Provider(algorithm=algorithm, clock=lambda: NOW) as provider:
        answer = identity_of(provider).verify(provider.issue("ana", ["research.ml"], privacy_training="current"))
    assert answer == Principal("ana", "person", ("research.ml",), (("privacy_training", "current"),))


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_an_access_tokens_type_may_be_in_any_case(provider: Provider, identity: Identity, kind: str) -> None:
    assert isinstance(identity.verify(with_header(provider, typ=kind)), Principal)


@pytest.mark.parametrize("kind", [None, "", "JWT", "jwt", "id+jwt", "at+jwt ", "ａt+jwt", 1, ["at+jwt"]])
def test_any_other_type_of_token_is_refused(provider: Provider, identity: Identity, kind: object) -> None:
    assert "`typ`" in reason(identity.verify(with_header(provider, typ=kind)))


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"])
@pytest.mark.parametrize("value", [[], "", {}, False, ["exp"], "https://evil.example/keys"])
def test_a_header_that_says_how_to_check_the_token_is_refused(
    provider: Provider, identity: Identity, member: str, value: object
) -> None:
    assert "which only its issuer may" in reason(identity.verify(with_header(provider, **{member: value})))


def test_a_header_member_that_means_nothing_here_changes_nothing(provider: Provider, identity: Identity) -> None:
    assert isinstance(identity.verify(with_header(provider, x5t="abc", pi="x")), Principal)


@pytest.mark.parametrize("algorithm", [None, "", "none", "None", "HS256", "RS256", "ES384", "es256", 256, ["ES256"]])
def test_an_algorithm_that_is_not_the_keys_own_is_refused(
    provider: Provider, identity: Identity, algorithm: object
) -> None:
    assert "algorithm" in reason(identity.verify(with_header(provider, alg=algorithm)))


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(provider: Provider, identity: Identity) -> None:
    header, claims, _ = split(provider.issue("ana", ["research.ml"]))
    signed = encode(json.dumps(header | {"alg": "HS256"}).encode()) + "." + encode(json.dumps(claims).encode())
    for secret in (json.dumps(provider.documents()["/keys"]["keys"][0]), provider.documents()["/keys"]["keys"][0]["x"]):
        mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
        assert isinstance(identity.verify(signed + "." + encode(mac)), TokenRefused)


@pytest.mark.parametrize("key", [None, "", 7, "nobody", "k" * 257, ["k"]])
def test_a_token_that_does_not_name_a_key_of_its_issuer_is_refused(
    provider: Provider, identity: Identity, key: object
) -> None:
    assert "key" in reason(identity.verify(with_header(provider, kid=key)))


def test_a_token_longer_than_8_kb_is_refused_before_it_is_read(provider: Provider, identity: Identity) -> None:
    assert isinstance(identity.verify(provider.issue("ana", ["research.ml"], filler="x" * 5000)), Principal)
    assert "8 KB" in reason(identity.verify(provider.issue("ana", ["research.ml"], filler="x" * 6200)))
    assert "8 KB" in reason(identity.verify("a" * 50_000_000))


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("suffix", ["=", "==", "A", "\n", " ", "\0", "é", "\ud800", "."])
def test_a_part_that_is_not_canonical_base64url_is_refused(
    provider: Provider, identity: Identity, part: int, suffix: str
) -> None:
    parts = provider.issue("ana", ["research.ml"]).split(".")
    parts[part] += suffix
    assert isinstance(identity.verify(".".join(parts)), TokenRefused)


def test_a_signature_has_one_spelling(provider: Provider, identity: Identity) -> None:
    token = provider.issue("ana", ["research.ml"])
    respelt = [token[:-1] + letter for letter in ALPHABET if letter != token[-1]]
    assert any(decode(other.split(".")[2]) == decode(token.split(".")[2]) for other in respelt)
    assert all(isinstance(identity.verify(other), TokenRefused) for other in respelt)


@pytest.mark.parametrize(
    "text",
    [
        '{"sub":"ana","sub":"eve"}',
        '{"a":{"b":1,"b":2}}',
        '{"a":[{"b":1,"b":2}]}',
        '{"a":"\\u0000"}',
        '{"\\u0000":1}',
        '{"a":"\\ud800"}',
        '{"\\udfff":1}',
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":1e999}',
        '{"a":9007199254740992}',
        '{"a":' + "9" * 5000 + "}",
        '{"a":' + "[" * 16 + "]" * 16 + "}",
        '{"a":' * 4000 + "1" + "}" * 4000,
        '{"a":' + "[" * 200_000,
        '"' * 100_001,
        '"\\' * 100_000,
        '{"a":1} {}',
        "[1]",
        "1",
        "null",
        "",
        "{'a':1}",
        '{"a":1,}',
        '{"a":"\t"}',
        '\ufeff{"a":1}',
    ],
)
def test_json_that_two_readers_could_read_differently_is_not_read(text: str) -> None:
    assert read_object(text.encode()) is None


def test_json_that_is_not_utf_8_is_not_read() -> None:
    assert read_object(b'{"a":"\xff"}') is None
    assert read_object(b'{"a":"\xed\xa0\x80"}') is None
    assert read_object('{"a":1}'.encode("utf-16")) is None


def test_ordinary_json_is_read_as_it_is() -> None:
    text = '{"a":{"b":[1,2.5,true,null,"é \\ud83d\\ude00 [[[ \\\\u0000"]},"c":' + "[" * 15 + "]" * 15 + "}"
    assert read_object(text.encode()) == json.loads(text)


def jwks(*changes: Callable[[dict[str, object]], object]) -> bytes:
    keys = []
    for number, change in enumerate(changes):
        key: dict[str, object] = MAKERS["ES256"]().as_dict(kid=f"key-{number}", alg="ES256", use="sig")
        change(key)
        keys.append(key)
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key.pop("kid"),
        lambda key: key.update(kid=5),
        lambda key: key.update(use="enc"),
        lambda key: key.update(key_ops=["sign"]),
        lambda key: key.update(key_ops="verify"),
        lambda key: key.update(alg="RS256"),
        lambda key: key.update(alg="HS256"),
        lambda key: key.update(alg=None),
        lambda key: key.update(alg=["ES256"]),
        lambda key: key.update(crv="secp256k1"),
        lambda key: key.update(kty="oct", k="AAAA"),
        lambda key: key.update(kty="AKP"),
        lambda key: key.update(kty=["EC"]),
        lambda key: key.update(d="AAAA"),
        lambda key: key.update(x=key["y"], y=key["x"]),
        lambda key: key.pop("y"),
        lambda key: key.update(x=5),
        lambda key: key.update(x="=="),
        lambda key: key.update(x="é"),
        lambda key: key.update(kty="RSA", alg="RS256", n="AQAB", e="AQAB"),
        lambda key: key.update(kty="RSA", alg="RS256", n="", e="AQAB"),
        lambda key: key.update(kty="RSA", alg="RS256", n="_" * 342, e="AA"),
        lambda key: key.update(kty="RSA", alg="RS256", n="_" * 4000, e="AQAB"),
    ],
)
def test_a_key_that_is_not_fit_for_checking_is_left_out_and_the_others_stay(
    change: Callable[[dict[str, object]], object],
) -> None:
    keys = read_keys(jwks(change, lambda key: key.update(kid="good")))
    assert keys is not None
    assert list(keys) == ["good"]


def test_keys_that_share_a_name_are_all_left_out() -> None:
    keys = read_keys(jwks(*[lambda key: key.update(kid="twice")] * 2, lambda key: key.update(kid="once")))
    assert keys is not None
    assert list(keys) == ["once"]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[],"keys":[]}', b"<html>"])
def test_what_is_no_key_set_gives_no_keys(data: bytes) -> None:
    assert read_keys(data) is None


def test_a_key_whose_issuer_does_not_say_its_algorithm_gets_the_usual_one() -> None:
    for algorithm, usual in [("PS256", "RS256"), ("ES384", "ES384"), ("Ed25519", "EdDSA")]:
        keys = read_keys(json.dumps({"keys": [MAKERS[algorithm]().as_dict(kid="key")]}).encode())
        assert keys is not None
        assert [key.algorithm for key in keys.values()] == [usual]


def mutations(token: str, stranger: Provider, source: random.Random) -> Iterator[str]:
    """Tokens that are nearly `token` and that the issuer did not sign."""
    header, claims, signature = split(token)
    parts = token.split(".")
    place = source.randrange(len(token))
    yield token[:place] + source.choice(ALPHABET.replace(token[place], "")) + token[place + 1 :]
    yield token[:place] + token[place + 1 :]
    yield token[:place] + chr(source.randrange(256)) + token[place:]
    yield token[: source.randrange(len(token))]
    yield token + source.choice(["=", ".", "A", "." + signature, "\n", "\0", "AAAA"])
    yield ".".join(source.sample(parts, 3)[: source.randrange(4)]) + source.choice(["", "."])
    flipped = bytearray(decode(signature))
    flipped[source.randrange(len(flipped))] ^= 1 << source.randrange(8)
    yield f"{parts[0]}.{parts[1]}.{encode(bytes(flipped))}"
    yield f"{parts[0]}.{parts[1]}.{encode(source.randbytes(source.choice([0, 1, 32, 63, 64, 65, 256])))}"
    name = source.choice([*claims, "act", "nbf", "jwk", source.choice(ALPHABET)])
    value = source.choice(
        [None, True, 0, -1, 2**70, 1.5, "", "eve", [], ["security"], {}, "\0", "\ud800", claims["aud"]]
    )
    edited = json.dumps(claims | {name: value, "jti": source.random()}).encode()
    yield f"{parts[0]}.{encode(edited)}.{signature}"
    yield f"{parts[0]}.{stranger.seal(b'{}', edited).partition('.')[2]}"
    odd = source.choice(["none", "HS256", "RS256", "ES384", "EdDSA", None, 5, ["ES256"]])
    altered = json.dumps(header | {source.choice(["alg", "kid", "typ", "crit", "jku"]): odd}).encode()
    yield f"{encode(altered)}.{parts[1]}.{source.choice([signature, '', encode(b'x')])}"
    own = header | {"jwk": stranger.documents()["/keys"]["keys"][0], "n": source.random()}
    yield stranger.seal(json.dumps(own).encode(), json.dumps(claims).encode())
    yield stranger.seal(json.dumps(header).encode(), json.dumps(claims | {"jti": source.random()}).encode())
    twice = decode(parts[1])[:-1] + b',"sub":"' + source.choice([b"eve", b"ana"]) + b'"}'
    yield f"{parts[0]}.{encode(twice)}.{signature}"
    deep = source.randrange(17, 2000)
    yield f"{parts[0]}.{encode(b'[' * deep + b']' * deep)}.{signature}"
    yield f"{parts[0]}.{encode(source.randbytes(source.randrange(1, 300)))}.{signature}"


def test_of_ten_thousand_nearly_true_tokens_none_is_let_in(
    provider: Provider, stranger: Provider, identity: Identity
) -> None:
    source = random.Random(20_261_121)
    seen: set[str] = set()
    while len(seen) < 10_000:
        token = provider.issue("ana", ["research.ml"])
        assert isinstance(identity.verify(token), Principal)
        for mutant in mutations(token, stranger, source):
            if mutant != token:
                answer = identity.verify(mutant)
                assert isinstance(answer, TokenRefused), mutant
                assert answer.reason.isprintable()
                seen.add(mutant)


def test_no_reason_repeats_anything_of_the_token(provider: Provider, identity: Identity) -> None:
    marked = "mark3dm4rked"
    tokens = [provider.issue("ana", [marked], iss=marked), provider.issue(marked, [], aud=marked), marked * 3]
    tokens += [with_header(provider, **{name: marked}) for name in ("alg", "kid", "typ", "jku")]
    assert all(marked not in reason(identity.verify(token)) for token in tokens)


def test_random_text_never_raises() -> None:
    source = random.Random(7)
    for _ in range(2_000):
        text = "".join(chr(source.choice([46, 65, 45, 95, 0, 0xD800, 0x1F600])) for _ in range(source.randrange(40)))
        assert isinstance(take_apart(text), TokenRefused)
