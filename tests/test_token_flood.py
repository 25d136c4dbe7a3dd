"""Ten thousand mutated tokens over real HTTP: none is let in, nothing breaks, and the ledger stays small."""

import base64
import hashlib
import hmac
import json
import random
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from service import STAFF, Service
from test_tokens import decode, encode, mutations, split

from authz.refused_tokens import EACH_MINUTE
from remit.demo.provider import Provider

TOKENS = 10_000
WORKERS = 4
SHOWN = 127
NO_TEXTS = (None, True, -1, 1.5, 2**53, {}, [1], ["\0"])
WRONG: dict[str, tuple[object, ...]] = {
    "iss": (*NO_TEXTS, "", "x", []),
    "aud": (*NO_TEXTS, "", "x", []),
    "sub": (*NO_TEXTS, "", "\0", "a\nb", "x" * 256, []),
    "exp": (*NO_TEXTS, 0, "x", []),
    "iat": (*NO_TEXTS, 0, "x", []),
    "nbf": (None, True, 1.5, 2**52, "x", []),
    "groups": (*NO_TEXTS, "", "security", ["security", None]),
    "client_id": (None, True, 5, []),
    "act": (None, {}, {"sub": "eve"}),
    "_claim_names": (None, {}),
}
"""For each claim what no token may say there."""


def header_values(token: str, provider: Provider, stranger: Provider, source: random.Random) -> Iterator[list[bytes]]:
    """The `Authorization` headers of one request each: tokens that nobody may be let in with."""
    header, claims, signature = split(token)
    parts = token.split(".")
    for mutant in mutations(token, stranger, source):
        if _one_line(mutant.encode("utf-8", "replace")) != token.encode():
            yield [b"Bearer " + mutant.encode("utf-8", "replace")]
    yield [b"Bearer " + token.encode()] * 2
    yield [b"Bearer " + token.encode(), b"Bearer x"]
    yield [b"Basic " + base64.b64encode(token.encode())]
    yield [token.encode()]
    yield [b"Bearer " + token.encode() + b", Bearer " + token.encode()]
    yield [b"Bearer " + f"{parts[0]}.{parts[1]}.{parts[1]}.{signature}".encode()]
    yield [b"Bearer " + b"a" * source.choice([8193, 20_000])]
    yield [b"Bearer " + "tökén".encode() + token.encode()]
    # Of the true issuer, truly signed, and still not a token that may let anybody in.
    for name, wrong in WRONG.items():
        bad = claims | {name: source.choice(wrong), "jti": source.random()}
        yield [b"Bearer " + provider.seal(json.dumps(header).encode(), json.dumps(bad).encode()).encode()]
    for kind in ("JWT", "id+jwt", "none", ""):
        yield [
            b"Bearer "
            + provider.seal(json.dumps(header | {"typ": kind}).encode(), json.dumps(claims).encode()).encode()
        ]
    steered = header | {
        source.choice(["crit", "jku", "jwk", "x5u", "b64", "zip"]): source.choice([[], "", {}, ["exp"]])
    }
    yield [b"Bearer " + provider.seal(json.dumps(steered).encode(), json.dumps(claims).encode()).encode()]
    yield [b"Bearer " + with_public_key(header, claims, provider)]
    for algorithm in ("none", "None", "nOnE"):
        unsigned = encode(json.dumps(header | {"alg": algorithm}).encode())
        yield [b"Bearer " + f"{unsigned}.{parts[1]}.{source.choice(['', signature, 'AA'])}".encode()]
    padded = source.choice(
        [f"{parts[0]}=.{parts[1]}.{signature}", token + "=", token + "==", parts[0] + "==." + parts[1]]
    )
    yield [b"Bearer " + padded.encode()]
    nested = encode(decode(parts[1])[:-1] + b',"a":' + b"[" * 40 + b"]" * 40 + b"}")
    yield [b"Bearer " + f"{parts[0]}.{nested}.{signature}".encode()]


def with_public_key(header: dict[str, object], claims: dict[str, object], provider: Provider) -> bytes:
    signed = encode(json.dumps(header | {"alg": "HS256"}).encode()) + "." + encode(json.dumps(claims).encode())
    key = json.dumps(provider.documents()["/keys"]["keys"][0]).encode()
    return f"{signed}.{encode(hmac.new(key, signed.encode(), hashlib.sha256).digest())}".encode()


def flood(service: Service, stranger: Provider, number: int, seed: int) -> Counter[int]:
    """Send so many over one connection after the other that is kept alive; how often each status was answered."""
    source, statuses = random.Random(seed), Counter[int]()
    host, port = service.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    with connection, connection.makefile("rb") as answers:
        for values in islice(_endless(service, stranger, source), number):
            authorization = b"".join(b"Authorization: " + _one_line(value) + b"\r\n" for value in values)
            connection.sendall(b"GET /v1/datasets HTTP/1.1\r\nHost: x\r\n" + authorization + b"\r\n")
            statuses[_status(answers)] += 1
    return statuses


def _endless(service: Service, stranger: Provider, source: random.Random) -> Iterator[list[bytes]]:
    while True:
        token = service.token(source.choice(sorted(STAFF)))
        yield from header_values(token, service.provider, stranger, source)


def _one_line(value: bytes) -> bytes:
    """A header cannot hold controls: a server answers 400 to the request and closes, whoever asks."""
    return bytes(byte for byte in value if byte >= 32 and byte != SHOWN).rstrip(b" ")


def _status(answers) -> int:  # type: ignore[no-untyped-def]
    status = int(answers.readline().split()[1])
    length = 0
    while (line := answers.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    answers.read(length)
    return status


def test_of_ten_thousand_mutated_tokens_over_http_none_is_let_in_and_the_ledger_stays_small(
    own_service: Service,
) -> None:
    with Provider(people=STAFF) as stranger, ThreadPoolExecutor(WORKERS) as workers:
        each = TOKENS // WORKERS
        counted = sum(
            workers.map(lambda seed: flood(own_service, stranger, each, seed), range(WORKERS)), Counter[int]()
        )
    assert counted == {401: TOKENS}
    own_service.stop()
    own_service.start()
    entries = own_service.entries(kind="identity.refused", limit=1000)
    refused = sum(entry["details"].get("refused", 1) for entry in entries)
    assert refused == TOKENS
    counts = [entry for entry in entries if "refused" in entry["details"]]
    assert len(entries) - len(counts) <= EACH_MINUTE * max(1, len(counts))
