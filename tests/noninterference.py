"""Pairs of stores that differ only in what a reader may not see, and reads that must come out alike, byte for byte.

Two stores share the rows that a scope lets through, and of these the columns that are shown. All else is drawn anew
for each: other rows, values of hidden columns, values within a coarse bin, columns that nobody declared (some of them
damaged), how the rows are spread over files, row groups and pages, and whether these carry statistics. Here the reader
is asked alone, for batches of any size; `noninterference_app` asks the whole application.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from reading import Shelf
from row_samples import COLUMNS, TYPES

from authz.errors import StoreFailed
from authz.treatments import can_name
from gateway.encodings import ENCODERS, Unencodable
from policy.rows import (
    Between,
    ColumnRef,
    Comparison,
    Filter,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Operator,
    all_of,
    any_of,
    columns_of,
    evaluate,
    parse,
    render,
    typed,
)
from policy.values import ColumnType, Dataset, Treatment

CLEAR, COARSE, PSEUDONYM, HIDDEN = Treatment.CLEAR, Treatment.COARSE, Treatment.PSEUDONYM, Treatment.HIDDEN
STRUCT = pa.struct({"a": pa.float64(), "b": pa.list_(pa.int32())})
NESTED: Mapping[str, tuple[pa.DataType, list[object]]] = {
    "list": (pa.list_(pa.int64()), [[], [1, None], [700_001]]),
    "struct": (
        pa.struct({"a": pa.float64(), "b": pa.list_(pa.int32())}),
        [{"a": None, "b": [1]}, {"a": 7.0, "b": None}],
    ),
    "map": (pa.map_(pa.string(), pa.int64()), [[], [("k", None)], [("k", 3), ("l", 4)]]),
}
COARSENED = {"int32": 100, "int64": 1000, "text": 2, "micros": "day", "d10_2": 5, "double": 10}
"""Columns that some readers get coarse, and what the catalog says of them."""
SAME_BIN = ("int32", "int64")
"""Of those, the ones whose values differ within their bins."""
FORGOTTEN = "forgotten"
SIZES = (0, 3, 30, 100, 300, 300, 300, 4000)
TWO_TO_THE_30 = 2**30

Row = dict[str, object]


@dataclass(frozen=True)
class World:
    """Two stores that look alike to whoever reads under `scope`, and how much of each column they get to see."""

    shelves: tuple[Shelf, Shelf]
    datasets: tuple[Dataset, Dataset]
    scope: str
    treatments: Mapping[str, Treatment]
    visible: int

    def close(self) -> None:
        for shelf in self.shelves:
            shelf.reader.close()


@dataclass
class Outcome:
    """How many pairs were compared, what they were, and which of them differed."""

    pairs: int = 0
    kinds: dict[str, int] = field(default_factory=lambda: {"rows": 0, "empty": 0, "refused": 0})
    differences: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        self.pairs += other.pairs
        self.kinds = {name: count + other.kinds[name] for name, count in self.kinds.items()}
        self.differences += other.differences


def compare(pairs: int, seed: int) -> Outcome:
    """So many pairs of random reads, a few dozen in each of as many worlds as that takes."""
    random, outcome = Random(seed), Outcome()
    while outcome.pairs < pairs:
        with tempfile.TemporaryDirectory(prefix="remit-pairs-") as folder:
            world = random_world(random, (Path(folder) / "one", Path(folder) / "other"))
            try:
                for _ in range(min(25, pairs - outcome.pairs)):
                    _compare_one(random, world, outcome, seed)
            finally:
                world.close()
    return outcome


def _compare_one(random: Random, world: World, outcome: Outcome, seed: int) -> None:
    asked = random_read(random, world)
    sides = zip(world.shelves, world.datasets, strict=True)
    one, other = (observed(shelf, dataset, world, **asked) for shelf, dataset in sides)
    outcome.pairs += 1
    outcome.kinds["refused" if isinstance(one, str) else "rows" if world.visible else "empty"] += 1
    if one != other:
        outcome.differences.append(f"seed {seed}, pair {outcome.pairs}: scope {world.scope!r}, {asked}")


def observed(shelf: Shelf, dataset: Dataset, world: World, **asked: Any) -> list[bytes] | str:
    """All that leaves for one read: every piece as it is sent, or what is said instead."""
    encoder_of, batch_rows, columns = asked.pop("encoder"), asked.pop("batch_rows"), asked.pop("columns")
    shown = {name: world.treatments[name] for name in columns}
    try:
        stream = shelf.open(shown, batch_rows, scope=world.scope, dataset=dataset, **asked)
        try:
            encoder = encoder_of(stream.schema)
            pieces = [str(stream.schema).encode(), bytes(encoder.begin())]
            while (batch := stream.read_next()) is not None:
                pieces += map(bytes, encoder.rows(batch))
            return [*pieces, bytes(encoder.end())]
        finally:
            stream.close()
    except (StoreFailed, Unencodable) as refused:
        return str(refused)


def random_read(random: Random, world: World) -> dict[str, Any]:
    names = list(world.treatments)
    clear = {name: TYPES[name] for name, one in world.treatments.items() if one is CLEAR and name in TYPES}
    return {
        "columns": random.sample(names, random.randint(1, len(names))),
        "rows": written(random_filter(random, clear)) if clear and random.random() < 0.6 else "",
        "limit": random.choice([None, None, 1, 10, 100, 3000]),
        "encoder": random.choice(list(ENCODERS.values())),
        "batch_rows": random.choice([100, 2048, 65_536]),
    }


def random_world(random: Random, places: tuple[Path, Path]) -> World:
    names = random.sample(sorted(COLUMNS), random.randint(2, 7))
    while not any(can_name(arrow_type(name)) for name in names):
        names = random.sample(sorted(COLUMNS), random.randint(2, 7))
    treatments = {name: random_treatment(random, name) for name in names}
    treatments |= {name: random.choice([CLEAR, CLEAR, HIDDEN]) for name in NESTED if random.random() < 0.3}
    while True:
        scope = random_filter(random, {name: TYPES[name] for name in names})
        text = written(scope)
        if text and all(" " <= each != "\x7f" for each in text):  # no grant has a control character
            break
    rule = typed(parse(text), {name: TYPES[name] for name in names})
    pool = [random_row(random, treatments) for _ in range(random.choice(SIZES))]
    visible = [row for row in pool if evaluate(rule, row)]
    hidden = [row for row in pool if not evaluate(rule, row)]
    shelves = []
    for place in places:
        rows = [unseen_redrawn(random, row, treatments, rule) for row in visible]
        rows = mixed(
            random, rows, [random.choice(hidden) for _ in range(random.randrange(3 * len(pool) + 9))] if hidden else []
        )
        shelf = Shelf(place)
        write(random, shelf, rows, treatments, damaged=unread(treatments, rule))
        shelves.append(shelf)
    one, other = (shelf.dataset(COARSENED, only=list(treatments)) for shelf in shelves)
    return World((shelves[0], shelves[1]), (one, other), text, treatments, len(visible))


def random_treatment(random: Random, name: str) -> Treatment:
    able = [CLEAR, CLEAR, CLEAR, HIDDEN]
    if name in COARSENED:
        able += [COARSE, COARSE]
    if name in ("text", "int64", "day"):
        able += [PSEUDONYM]
    return random.choice(able)


def random_row(random: Random, names: Sequence[str] | Mapping[str, Treatment]) -> Row:
    return {name: random_value(random, name) for name in names}


def random_value(random: Random, name: str) -> object:
    """A value as the store will have it: a narrow float is rounded, which may carry a row across the scope's edge."""
    edges = COLUMNS[name][2] if name in COLUMNS else NESTED[name][1]
    value = None if random.random() < 0.3 else random.choice(edges)
    return pa.scalar(value, arrow_type(name)).as_py() if name == "half" else value


def unseen_redrawn(random: Random, row: Row, treatments: Mapping[str, Treatment], rule: Filter) -> Row:
    """The same to the reader, and still within the scope, but with other values where the reader sees none."""
    other = dict(row)
    for name, treatment in treatments.items():
        value = row[name]
        if treatment is HIDDEN:
            other[name] = random_value(random, name)
        elif treatment is COARSE and name in SAME_BIN and isinstance(value, int) and abs(value) < TWO_TO_THE_30:
            width = int(COARSENED[name])
            other[name] = value // width * width + random.randrange(width)
    return other if evaluate(rule, other) else row


def mixed(random: Random, rows: list[Row], hidden: list[Row]) -> list[Row]:
    """The rows in their order, with hidden ones anywhere between them."""
    places = sorted(random.randint(0, len(rows)) for _ in hidden)
    made: list[Row] = []
    at = 0
    for place, each in zip(places, hidden, strict=True):
        made += [*rows[at:place], each]
        at = place
    return made + rows[at:]


def unread(treatments: Mapping[str, Treatment], rule: Filter) -> list[str]:
    """Columns that no read of this world touches, so that damage in them must not show: the subject is none of them."""
    subject = next((name for name in treatments if can_name(arrow_type(name))), None)
    read = {subject, *columns_of(rule)}
    hidden = [name for name, one in treatments.items() if one is HIDDEN and name not in read]
    return [FORGOTTEN, *hidden]


def write(random: Random, shelf: Shelf, rows: list[Row], names: Mapping[str, Treatment], damaged: list[str]) -> None:
    """Spread the rows over files of every shape."""
    cuts = sorted(random.randint(0, len(rows)) for _ in range(random.randrange(4)))
    undeclared = random.random() < 0.7
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(rows)], strict=True)):
        part = rows[start:end]
        columns = {name: pa.array([row[name] for row in part], arrow_type(name)) for name in names}
        if undeclared:
            columns[FORGOTTEN] = pa.array([random.choice(["secret", None, "x" * 40]) for _ in part], pa.string())
        path = shelf.put(
            pa.table(columns),
            f"data/{number}.parquet",
            row_group_size=random.choice([max(7, len(part) // 20), 500, 3000, 100_000]),
            compression=random.choice(["none", "snappy", "zstd"]),
            use_dictionary=random.random() < 0.5,
            write_statistics=random.random() < 0.5,
            data_page_version=random.choice(["1.0", "2.0"]),
        )
        if random.random() < 0.3:
            damage(random, path, [name for name in damaged if name in columns])


def damage(random: Random, path: Path, names: list[str]) -> None:
    """Overwrite every page of these columns; what describes the file stays as it was."""
    data = bytearray(path.read_bytes())
    metadata = pq.ParquetFile(path).metadata
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            if chunk.path_in_schema.partition(".")[0] in names and chunk.path_in_schema not in COLUMNS:
                continue
            if chunk.path_in_schema in names:
                start = chunk.dictionary_page_offset or chunk.data_page_offset
                size = chunk.total_compressed_size
                data[start : start + size] = random.randbytes(size)
    path.write_bytes(data)


def arrow_type(name: str) -> pa.DataType:
    return COLUMNS[name][1] if name in COLUMNS else NESTED[name][0]


def written(filter: Filter) -> str:
    return render(filter)


def random_filter(random: Random, types: Mapping[str, ColumnType], depth: int = 2) -> Filter:
    if depth == 0 or random.random() < 0.4:
        return random_leaf(random, types)
    parts = [random_filter(random, types, depth - 1) for _ in range(random.randint(1, 3))]
    if len(parts) == 1:
        return Not(parts[0])
    return random.choice([all_of, any_of])(*parts)


def random_leaf(random: Random, types: Mapping[str, ColumnType]) -> Filter:
    name = random.choice(sorted(types))
    column = ColumnRef(name)

    def literal() -> Literal:
        return Literal(random_literal(random, name, types[name]))

    alike = [other for other in sorted(types) if types[other] is types[name]]
    leaves: list[Callable[[], Filter]] = [
        lambda: Comparison(column, random.choice(list(Operator)), literal()),
        lambda: Comparison(column, random.choice(list(Operator)), literal()),
        lambda: Comparison(column, random.choice(list(Operator)), ColumnRef(random.choice(alike))),
        lambda: Between(column, literal(), literal()),
        lambda: In(column, tuple(literal() for _ in range(random.randint(1, 5)))),
        lambda: IsNull(column),
    ]
    if types[name] is ColumnType.TEXT:
        leaves.append(lambda: Like(column, Literal("".join(random.choices("ab%_\\'é😀", k=random.randrange(5))))))
    return random.choice(leaves)()


def random_literal(random: Random, name: str, type_: ColumnType) -> Any:
    value = random.choice(COLUMNS[name][2])
    match type_:
        case ColumnType.BOOLEAN | ColumnType.TEXT:
            return value
        case ColumnType.TIMESTAMP | ColumnType.DATE:
            return value.isoformat()  # type: ignore[attr-defined]
        case ColumnType.FLOAT if not (isinstance(value, float) and abs(value) < 1e300):
            return 10**399
        case ColumnType.FLOAT:
            return Decimal(repr(value))
    return random.choice([value, 0, 10**30, Decimal("1e-30"), Decimal("-0.5")])
