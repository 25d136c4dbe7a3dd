"""The same pairs through the whole application: two gateways in this process, on stores that differ out of sight.

Everything is real but the socket: tokens, rules, grants, a ledger for each of the two, DuckDB, every format. What
leaves for one question is compared whole: status, headers, and each byte of the body.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from noninterference import COARSENED, Outcome, World, random_filter, random_world, written
from row_samples import TYPES
from service import POLICIES, scope_of
from sqlalchemy import Connection
from starlette.types import ASGIApp, Message

from audit.entries import Entry, Kind
from authz.grants import put
from gateway.app import make_app
from gateway.encodings import ENCODERS
from gateway.parts import Parts
from gateway.response import ABORT
from gateway.settings import Settings
from gateway.wiring import started, utc_now
from policy.scopes import scope_from_json
from policy.values import Grant, Treatment
from remit.demo.provider import Person, Provider

ANA = Person(("research.ml",))
WORLDS = 25
"""Datasets that two gateways have at once: fewer than doors stay open."""
TOGETHER = 8
"""Questions that are under way at once."""
SHAPES = 4
"""Of them, those that differ in format and limit alone."""
TRIES = 5
"""How often a question is asked again where a gateway failed."""
ITS_OWN = ("remit-read", "remit-entry")
"""Headers that differ by nature: a random id, and a number that counts what everybody wrote."""
OWN_FIELDS = ("read", "entry")
MODEL = POLICIES.partition("[data_classes]")[0]
RULES = """\
[data_classes]
user.behavior.clear      = low
user.behavior.coarse     = low
user.behavior.hidden     = high
user.unique_id.pseudonym = moderate, identifier
[purposes]
train_ai_system.trial = what these pairs are for
[conditions]
[rules]
clear     = research.ml, train_ai_system, user.behavior.clear, read, -, clear, allow
coarse    = research.ml, train_ai_system, user.behavior.coarse, read, -, coarse, allow
hidden    = research.ml, train_ai_system, user.behavior.hidden, read, -, hidden, allow
pseudonym = research.ml, train_ai_system, user.unique_id.pseudonym, read, -, pseudonym, allow
"""
CLASSES = {
    Treatment.CLEAR: "user.behavior.clear",
    Treatment.COARSE: "user.behavior.coarse",
    Treatment.HIDDEN: "user.behavior.hidden",
    Treatment.PSEUDONYM: "user.unique_id.pseudonym",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of both gateways."""

    path: str
    body: Mapping[str, object]
    accept: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What came back, less what differs by nature; `is_whole` where the answer came to its end."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: object
    is_whole: bool

    @property
    def is_fault(self) -> bool:
        return self.status >= 500 or not self.is_whole


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two gateways."""

    parts: Parts
    app: ASGIApp

    async def asked(self, token: str, question: Question) -> Observed:
        """What this one answers."""
        sent: list[Message] = []
        rest = iter([{"type": "http.request", "body": json.dumps(question.body).encode(), "more_body": False}])

        async def receive() -> Message:
            for message in rest:
                return message
            return await asyncio.Future[Message]()  # the client stays

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(_scope(token, question), receive, send)
        start, *pieces = sent
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        data = b"".join(bytes(piece["body"]) for piece in pieces)
        body: object = data
        if headers["content-type"] in ("application/json", "application/problem+json"):
            body = {name: value for name, value in json.loads(data).items() if name not in OWN_FIELDS}
            del headers["content-length"]  # as long as the number of the entry
        kept = tuple((name, value) for name, value in headers.items() if name not in ITS_OWN)
        return Observed(start["status"], kept, body, bool(pieces) and not pieces[-1].get("more_body", False))


def compare(pairs: int, seed: int, folder: Path, urls: tuple[str, str]) -> Outcome:
    """So many pairs of random reads, on two migrated databases without entries, in a `folder` of its own."""
    random, outcome = Random(seed), Outcome()
    with Provider(people={"ana": ANA}) as provider, pair(random, folder, urls, provider.url) as (worlds, sides):
        shares = [pairs // WORLDS + (place < pairs % WORLDS) for place in range(WORLDS)]
        for (name, world), share in zip(worlds.items(), shares, strict=True):
            token = provider.issue("ana", ANA.groups)
            asked = [each for each, _ in zip(questions(random, name, world), range(share), strict=False)]
            asyncio.run(_compare_world(sides, token, world, asked, outcome, seed))
    return outcome


@contextmanager
def pair(
    random: Random, folder: Path, urls: tuple[str, str], issuer: str
) -> Iterator[tuple[Mapping[str, World], tuple[Side, Side]]]:
    """Two gateways over the same worlds, seen from either side, with the same keys and grants."""
    one, other = folder / "one", folder / "other"
    worlds = {f"w{n}": random_world(random, (one / f"w{n}", other / f"w{n}")) for n in range(WORLDS)}
    for world in worlds.values():
        world.close()
    grants = [_grant(name, world) for name, world in worlds.items()]
    with _side(one, worlds, grants, urls[0], issuer) as first, _side(other, worlds, grants, urls[1], issuer) as second:
        yield worlds, (first, second)


@contextmanager
def _side(
    place: Path, worlds: Mapping[str, World], grants: Sequence[Grant], database: str, issuer: str
) -> Iterator[Side]:
    (place / "home").mkdir(mode=0o700)
    key = place / "home/master.key"
    key.write_bytes(b"k" * 32)
    for file in (key, *place.glob("*/data/*.parquet")):
        file.chmod(0o600)
    (place / "policies.conf").write_text(MODEL + RULES)
    (place / "catalog.toml").write_text(_catalog(worlds))
    settings = {
        "REMIT_HOME": str(place / "home"),
        "REMIT_DATABASE_URL": database,
        "REMIT_POLICIES": str(place / "policies.conf"),
        "REMIT_CATALOG": str(place / "catalog.toml"),
        "REMIT_OIDC_ISSUER": issuer,
    }
    with ExitStack() as stack:
        parts = stack.enter_context(started(Settings.from_environment(settings)))

        def work(connection: Connection) -> Sequence[Entry]:
            for grant in grants:
                put(connection, grant, by="eve", at=utc_now())
            return [Entry(Kind.GRANT_ADDED, "eve", grant=grant.id) for grant in grants]

        parts.ledger.change(work)
        parts.control.refresh()
        yield Side(parts, make_app(parts))


def _grant(name: str, world: World) -> Grant:
    """Both gateways have it under the same id, as its pseudonyms come from that.

    It has no budget: what is left of one depends on which of the reads under way was first. See the pairs over HTTP.
    """
    scope = scope_of(dataset=name, columns=list(world.treatments), rows=world.scope)
    return Grant(f"g-{name}", scope_from_json({**scope, "purpose": "train_ai_system.trial"}))


def _catalog(worlds: Mapping[str, World]) -> str:
    lines = ["[stores.files]", 'driver = "duckdb"']
    for name, world in worlds.items():
        dataset = world.datasets[0]
        lines += [
            f"[datasets.{name}]",
            'owner = "collection.mci"',
            'store = "files"',
            f'location = "{name}/data/*.parquet"',
            f"subject = {json.dumps(dataset.subject)}",
            'audience = [{ team = "research.ml", purpose = "train_ai_system" }]',
            f"[datasets.{name}.columns]",
        ]
        for column in dataset.columns:
            treatment = world.treatments.get(column, Treatment.HIDDEN)
            coarse = f", coarse = {json.dumps(COARSENED[column])}" if column in COARSENED else ""
            lines.append(f'{json.dumps(column)} = {{ class = "{CLASSES[treatment]}"{coarse} }}')
    return "\n".join(lines) + "\n"


async def _compare_world(
    sides: tuple[Side, Side], token: str, world: World, asked: Sequence[Question], outcome: Outcome, seed: int
) -> None:
    for first in range(0, len(asked), TOGETHER):
        some = asked[first : first + TOGETHER]
        ones, others = [await asyncio.gather(*(side.asked(token, each) for each in some)) for side in sides]
        for each, *both in zip(some, ones, others, strict=True):
            one, other = await _again_after_a_fault(sides, token, each, *both)
            outcome.pairs += 1
            is_shown = one.status == 200 and each.path == "/v1/reads"
            outcome.kinds["refused" if not is_shown else "rows" if world.visible else "empty"] += 1
            if one != other:
                told = f"seed {seed}, pair {outcome.pairs}: scope {world.scope!r}, {each}"
                outcome.differences.append(f"{told}: {one.status} beside {other.status}")


async def _again_after_a_fault(
    sides: tuple[Side, Side], token: str, each: Question, one: Observed, other: Observed
) -> tuple[Observed, Observed]:
    """On a busy machine a gateway ends what it cannot confirm in time; a fault that lies in a store comes each time."""
    for _ in range(TRIES):
        if one == other or not (one.is_fault or other.is_fault):
            break
        one, other = [await side.asked(token, each) for side in sides]
    return one, other


def questions(random: Random, name: str, world: World) -> Iterator[Question]:
    """Without end: shapes of a question, each in several formats and with several limits."""
    while True:
        path, body = _shape(random, name, world)
        for _ in range(SHAPES):
            limit = random.choice([None, None, 1, 10, 100, 3000])
            yield Question(path, {"limit": limit, **body}, random.choice(list(ENCODERS)))


def _shape(random: Random, name: str, world: World) -> tuple[str, dict[str, object]]:
    """Mostly a read that is permitted; now and then one that is not, or only asked about."""
    names = list(world.treatments)
    clear = {each: TYPES[each] for each, one in world.treatments.items() if one is Treatment.CLEAR and each in TYPES}
    body: dict[str, object] = {"dataset": name}
    if random.random() < 0.9:
        body["columns"] = random.sample(names, random.randint(1, len(names)))
    if clear and random.random() < 0.6:
        body["rows"] = written(random_filter(random, clear))
    if random.random() < 0.08:
        body |= random.choice(_beyond(random, names))
    return "/v1/reads:check" if random.random() < 0.05 else "/v1/reads", body


def _beyond(random: Random, names: list[str]) -> list[dict[str, object]]:
    """Nothing that nobody declared: that such a column exists may be told, and here it does on one side only."""
    known = {name: TYPES[name] for name in names if name in TYPES}
    return [
        {"columns": ["nothing"]},
        {"columns": []},
        {"rows": written(random_filter(random, known))},
        {"rows": "and and"},
        {"limit": 0},
        {"purpose": "train_ai_system"},
        {"grant": "g-other"},
    ]


def _scope(token: str, question: Question) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "accept": question.accept}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": question.path,
        "raw_path": question.path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8470),
        "state": {ABORT: lambda: None},
    }
