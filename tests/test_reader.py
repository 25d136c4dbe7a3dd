"""The reader: what leaves is what the plan says, from the files that were pinned, or nothing more leaves."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import Shelf, catalog_of, drained

from authz.errors import ReadStopped, StoreFailed
from authz.files import pin
from authz.looks import look
from authz.permit import Permit
from authz.reader import BATCH_ROWS
from authz.statements import COUNTED_BY_STORE
from authz.stores import Door
from policy.values import ColumnType, Treatment

MANY = 400_000


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    yield made
    made.reader.close()


@pytest.fixture
def long(shelf: Shelf) -> Shelf:
    """Two files of many rows, each in several row groups."""
    for part in range(2):
        numbers = pa.array(range(part * MANY, (part + 1) * MANY))
        shelf.put(
            {"n": numbers, "who": [f"e{n % 7}" for n in range(MANY)]}, f"data/{part}.parquet", row_group_size=50_000
        )
    return shelf


def test_a_clear_column_is_what_the_store_holds_in_the_type_that_it_has(shelf: Shelf) -> None:
    table = pa.table(
        {
            "flag": [True, None, False],
            "tiny": pa.array([-128, 127, None], pa.int8()),
            "large": pa.array([2**64 - 1, 0, None], pa.uint64()),
            "half": pa.array([1.5, float("nan"), float("-inf")], pa.float32()),
            "money": pa.array([None, "1.25", "-0.01"], pa.string()).cast(pa.decimal128(12, 2)),
            "text": ["naïve 𝔘\\'\"%_", "", None],
            "at": pa.array([0, -1, None], pa.timestamp("us")),
            "zoned": pa.array([0, -1, None], pa.timestamp("us", tz="UTC")),
            "day": pa.array([0, -1, None], pa.date32()),
            "nested": pa.array([[1, None], [], None], pa.list_(pa.int32())),
        }
    )
    shelf.put(table)
    read = shelf.read(table.column_names)
    # As text, because NaN is not equal to itself.
    assert str(read.to_pylist()) == str(table.to_pylist())
    assert read.schema.types == [*table.schema.types[:-1], pa.list_(pa.field("l", pa.int32()))]


def test_columns_come_in_the_order_that_was_asked_for(shelf: Shelf) -> None:
    shelf.put({"a": [1], "b": [2], "c": [3]})
    assert shelf.read(["c", "a"]).to_pylist() == [{"c": 3, "a": 1}]


def test_rows_are_those_that_the_scope_and_the_ask_both_keep_up_to_the_limit(shelf: Shelf) -> None:
    shelf.put({"n": list(range(100))})
    asked = {"scope": "n >= 10", "rows": "n < 20 and n != 12"}
    assert shelf.read(["n"], **asked)["n"].to_pylist() == [10, 11, *range(13, 20)]
    assert shelf.read(["n"], limit=3, **asked)["n"].to_pylist() == [10, 11, 13]
    assert shelf.read(["n"], limit=0, **asked).num_rows == 0


@pytest.mark.parametrize("limit", [1, COUNTED_BY_STORE, COUNTED_BY_STORE + 1, MANY + 1, 2 * MANY - 1, 2 * MANY])
def test_a_limit_gives_the_first_rows_however_large_it_is(long: Shelf, limit: int) -> None:
    read = long.open(["n"], limit=limit)
    batches = list(iter(read.read_next, None))
    assert [batch.num_rows for batch in batches[:-1]] == [BATCH_ROWS] * (len(batches) - 1)
    assert pa.Table.from_batches(batches)["n"].to_pylist() == list(range(limit))
    assert read.read_next() is None


def test_an_or_in_the_ask_does_not_widen_the_scope(shelf: Shelf) -> None:
    shelf.put({"n": list(range(10))})
    assert shelf.read(["n"], scope="n = 1 or n = 2", rows="n = 2 or n = 3")["n"].to_pylist() == [2]


def test_a_filter_looks_at_the_value_in_the_store_and_not_at_what_is_shown_of_it(shelf: Shelf) -> None:
    shelf.put({"x": [10.0, 40.0, 130.0], "who": ["a", "b", "c"]})
    dataset = shelf.dataset({"x": 100})
    treated = {"x": Treatment.COARSE, "who": Treatment.PSEUDONYM}
    assert shelf.read(treated, dataset=dataset, scope="x < 30")["x"].to_pylist() == [0.0]
    assert shelf.read(treated, dataset=dataset, scope="x > 0 and x < 100 and who = 'b'")["x"].to_pylist() == [0.0]


def test_zero_rows_still_have_the_columns_and_types_of_the_answer(shelf: Shelf) -> None:
    shelf.put({"n": pa.array([1], pa.int16()), "who": ["a"]})
    treated = {"n": Treatment.HIDDEN, "who": Treatment.PSEUDONYM}
    nothing = shelf.read(treated, rows="n = 2")
    assert nothing.num_rows == 0
    assert nothing.schema == pa.schema({"n": pa.int16(), "who": pa.string()})


def test_a_file_of_no_rows_is_read_like_any_other(shelf: Shelf) -> None:
    shelf.put(pa.table({"n": pa.array([], pa.int32())}))
    assert shelf.read(["n"]).num_rows == 0


def test_hidden_columns_alone_keep_their_rows_and_types(shelf: Shelf) -> None:
    shelf.put({"n": pa.array([1, 2, None], pa.int16()), "nested": [[1], None, [2]]})
    hidden = shelf.read(dict.fromkeys(["nested", "n"], Treatment.HIDDEN), rows="n is not null")
    assert hidden.to_pylist() == [{"nested": None, "n": None}] * 2
    assert hidden.schema.field("n").type == pa.int16()


def test_a_hidden_column_is_not_read_from_the_store(shelf: Shelf) -> None:
    path = shelf.put({"n": list(range(1000)), "secret": [f"{n:064}" for n in range(1000)]}, compression="none")
    found = pq.ParquetFile(path).metadata.row_group(0).column(1)
    with path.open("r+b") as file:
        file.seek(found.dictionary_page_offset or found.data_page_offset)
        file.write(b"\xff" * 64)
    assert shelf.read({"n": Treatment.CLEAR, "secret": Treatment.HIDDEN}).num_rows == 1000
    with pytest.raises(StoreFailed):
        shelf.read(["secret"])


def test_null_and_nan_subjects_are_rows_like_any_other(shelf: Shelf) -> None:
    shelf.put({"who": [float("nan"), None, 1.0], "n": [1, 2, 3]})
    rows = shelf.read({"who": Treatment.PSEUDONYM, "n": Treatment.CLEAR}).to_pylist()
    assert [row["who"] is None for row in rows] == [False, True, False]
    assert shelf.read(["n"], rows="who is null")["n"].to_pylist() == [2]


def test_a_string_of_many_megabytes_passes_whole(shelf: Shelf) -> None:
    huge = "€" * 8_000_000
    shelf.put({"text": [huge, "b"]})
    assert shelf.read(["text"])["text"].to_pylist() == [huge, "b"]
    assert shelf.read({"text": Treatment.PSEUDONYM})["text"].to_pylist()[0] != huge
    assert shelf.read(["text"], rows=f"text = '{huge[:60_000]}'").num_rows == 0


def test_odd_column_and_file_names_are_only_names(shelf: Shelf) -> None:
    odd = "x\" FROM read_text('/etc/passwd') --"
    shelf.put({odd: [1], "filename": [2], "select": [3]}, "data/o'clock\") --.parquet")
    assert shelf.read([odd, "filename", "select"]).to_pylist() == [{odd: 1, "filename": 2, "select": 3}]


def test_what_duckdb_knows_of_a_file_is_no_column(shelf: Shelf) -> None:
    shelf.put({"n": [1]}, "data/year=2026/part.parquet")
    shelf.location = "data/**/*.parquet"
    assert set(shelf.dataset().columns) == {"n"}


def test_folders_named_like_columns_do_not_take_their_place(shelf: Shelf) -> None:
    shelf.put({"team": ["sales"]}, "data/team=research/part.parquet")
    shelf.location = "data/**/*.parquet"
    assert shelf.read(["team"])["team"].to_pylist() == ["sales"]


def test_rows_come_in_batches_of_exactly_the_size_asked_for(long: Shelf) -> None:
    sizes = [batch.num_rows for batch in iter(long.open(["n", "who"]).read_next, None)]
    assert sum(sizes) == 2 * MANY
    assert set(sizes[:-1]) == {65_536}


def test_rows_keep_the_order_of_the_files(long: Shelf) -> None:
    assert long.read(["n"])["n"].to_pylist() == list(range(2 * MANY))


def test_several_reads_at_once_do_not_mix(long: Shelf) -> None:
    streams = [long.open(["n"], scope=f"n >= {part * 1000}") for part in range(8)]
    firsts = [stream.read_next()["n"][0].as_py() for stream in streams]
    for stream in streams:
        stream.close()
    assert firsts == [part * 1000 for part in range(8)]


def test_only_a_permit_opens_the_reader() -> None:
    with pytest.raises(TypeError):
        Permit("r-1", None, None, None, "sha256:0", None, object())  # type: ignore[arg-type]


# Files that are not, or not any more, what the catalog says.


def test_a_file_that_is_replaced_in_the_middle_ends_the_read_and_no_row_of_it_leaves(long: Shelf) -> None:
    stream = long.open(["n"])
    assert stream.read_next() is not None
    long.put({"n": [-1] * MANY, "who": ["x"] * MANY}, "data/new")
    os.replace(long.folder / "data/new", long.folder / "data/1.parquet")
    seen = []
    with pytest.raises(StoreFailed, match="changed"):
        seen.extend(value for batch in iter(stream.read_next, None) for value in batch["n"].to_pylist())
    assert -1 not in seen
    with pytest.raises(ReadStopped):
        stream.read_next()


def test_a_file_that_is_written_over_in_place_ends_the_read(long: Shelf) -> None:
    stream = long.open(["n"])
    stream.read_next()
    path = long.folder / "data/1.parquet"
    with path.open("r+b") as file:
        file.write(b"PAR1")
    os.utime(path, ns=(0, 0))
    with pytest.raises(StoreFailed):
        drained(stream)


def test_a_file_that_vanishes_in_the_middle_ends_the_read(long: Shelf) -> None:
    stream = long.open(["n"])
    stream.read_next()
    (long.folder / "data/1.parquet").unlink()
    with pytest.raises(StoreFailed):
        drained(stream)


def test_a_file_that_becomes_a_link_in_the_middle_ends_the_read(long: Shelf) -> None:
    stream = long.open(["n"])
    stream.read_next()
    path = long.folder / "data/1.parquet"
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")
    with pytest.raises(StoreFailed):
        drained(stream)


def test_a_file_that_is_replaced_between_two_reads_is_read_as_it_is_now(shelf: Shelf) -> None:
    shelf.put({"n": [1, 2]})
    assert shelf.read(["n"])["n"].to_pylist() == [1, 2]
    shelf.put({"n": [3, 4]}, "new")
    os.replace(shelf.folder / "new", shelf.folder / "data/part.parquet")
    assert shelf.read(["n"])["n"].to_pylist() == [3, 4]
    shelf.put({"n": [5]}, "data/zweite.parquet")
    assert shelf.read(["n"])["n"].to_pylist() == [3, 4, 5]


@pytest.mark.parametrize(
    "other",
    [{"m": [1]}, {"n": ["1"]}, {"n": [1.0]}, {"N": [1]}],
    ids=["gone", "text", "float", "renamed"],
)
def test_a_column_that_changed_since_the_catalog_was_loaded_fails_the_read(
    shelf: Shelf, other: dict[str, object]
) -> None:
    shelf.put({"n": [1]})
    dataset = shelf.dataset()
    shelf.put(other)
    with pytest.raises(StoreFailed):
        shelf.open(["n"], dataset=dataset)


@pytest.mark.parametrize(
    "other",
    [{"m": [1]}, {"n": ["1"]}, {"n": pa.array([1], pa.int32())}],
    ids=["lacks it", "text", "narrower"],
)
def test_a_file_whose_columns_are_unlike_the_others_fails_the_read(shelf: Shelf, other: dict[str, object]) -> None:
    shelf.put({"n": [1]})
    dataset = shelf.dataset()
    shelf.put(other, "data/z.parquet")
    with pytest.raises(StoreFailed):
        shelf.open(["n"], dataset=dataset)


def test_a_dataset_whose_files_are_gone_fails_the_read(shelf: Shelf) -> None:
    path = shelf.put({"n": [1]})
    dataset = shelf.dataset()
    path.unlink()
    with pytest.raises(StoreFailed):
        shelf.open(["n"], dataset=dataset)


def test_a_file_that_is_no_parquet_fails_the_read_and_what_is_said_holds_nothing_of_it(shelf: Shelf) -> None:
    path = shelf.put({"n": [1]})
    dataset = shelf.dataset()
    path.write_text("SECRET" * 100)
    with pytest.raises(StoreFailed) as caught:
        shelf.open(["n"], dataset=dataset)
    assert caught.value.__suppress_context__
    assert not any(word in caught.value.reason for word in ("SECRET", str(shelf.folder), "SELECT"))


def test_damage_in_the_middle_of_a_file_fails_the_read_and_never_looks_like_its_end(long: Shelf) -> None:
    path = long.folder / "data/1.parquet"
    dataset = long.dataset()
    offset = pq.ParquetFile(path).metadata.row_group(6).column(1).data_page_offset
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 200)
    stream = long.open(["who"], dataset=dataset)
    with pytest.raises(StoreFailed, match="could not be read"):
        list(iter(stream.read_next, None))
    with pytest.raises(StoreFailed):
        stream.read_next()
    stream.close()


def test_after_a_failed_read_the_next_one_works(long: Shelf) -> None:
    test_damage_in_the_middle_of_a_file_fails_the_read_and_never_looks_like_its_end(long)
    assert long.read(["n"]).num_rows == 2 * MANY


# Ways out of the dataset's own files.


def test_a_link_that_leads_out_of_the_folder_is_not_read(shelf: Shelf) -> None:
    shelf.put({"n": [1]})
    outside = shelf.put({"n": [666]}, "other/secret.parquet")
    (shelf.folder / "data/link.parquet").symlink_to(outside)
    with pytest.raises(StoreFailed, match="leads out"):
        shelf.open(["n"])


def test_a_folder_that_is_a_link_out_of_the_folder_is_not_read(shelf: Shelf) -> None:
    shelf.put({"n": [1]}, "data/a/part.parquet")
    shelf.put({"n": [666]}, "other/secret.parquet")
    (shelf.folder / "data/b").symlink_to(shelf.folder / "other")
    shelf.location = "data/*/*.parquet"
    with pytest.raises(StoreFailed, match="leads out"):
        shelf.open(["n"])


def test_the_folder_of_a_location_may_itself_be_a_link(shelf: Shelf) -> None:
    shelf.put({"n": [1]}, "disk/part.parquet")
    (shelf.folder / "data").symlink_to(shelf.folder / "disk")
    assert shelf.read(["n"]).num_rows == 1


def test_a_link_within_the_folder_is_read_once(shelf: Shelf) -> None:
    path = shelf.put({"n": [1]})
    path.with_name("latest.parquet").symlink_to(path)
    assert shelf.read(["n"])["n"].to_pylist() == [1]


def test_a_file_named_like_a_pattern_does_not_read_others_in_its_place(shelf: Shelf) -> None:
    shelf.put({"n": [1]}, "data/a1.parquet")
    shelf.put({"n": [2]}, "data/a[1].parquet")
    with pytest.raises(StoreFailed, match="rename"):
        shelf.open(["n"])


def test_a_pipe_is_no_file_of_a_dataset(shelf: Shelf) -> None:
    shelf.put({"n": [1]})
    os.mkfifo(shelf.folder / "data/pipe.parquet")
    assert shelf.read(["n"]).num_rows == 1


LEAKS = [
    "SELECT * FROM mine",
    "SELECT * FROM shelf",
    "SET python_enable_replacements = true",
    "SELECT * FROM read_parquet('{other}')",
    "SELECT * FROM '{other}'",
    "SELECT * FROM read_parquet('{folder}/*/*.parquet')",
    "SELECT * FROM read_parquet('{mine}/../../other/secret.parquet')",
    "SELECT * FROM read_text('{other}')",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM parquet_metadata('{other}')",
    "SELECT * FROM parquet_schema('{other}')",
    "COPY (SELECT 1) TO '{folder}/out.parquet'",
    "COPY (SELECT 1) TO '{mine}'",
    "EXPORT DATABASE '{folder}/out'",
    "ATTACH '{folder}/out.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET allowed_paths = ['{other}']",
    "SET allowed_configs = ['allowed_paths']",
    "SET temp_directory = '{folder}'",
    "SET threads = 64",
    "RESET allowed_paths",
    "PRAGMA enable_profiling",
    "CREATE SECRET s (TYPE s3)",
]


@pytest.mark.parametrize("leak", LEAKS)
def test_even_a_statement_that_is_not_ours_finds_no_other_file_and_no_way_to_unlock(shelf: Shelf, leak: str) -> None:
    mine, other = shelf.put({"n": [1]}), shelf.put({"n": [666]}, "other/secret.parquet")
    door = Door(pin("data/*.parquet", shelf.folder))
    before = sorted(shelf.folder.rglob("*"))
    with pytest.raises(StoreFailed):
        door.run(leak.format(mine=mine, other=other, folder=shelf.folder)).read(1)
    door.close()
    assert sorted(shelf.folder.rglob("*")) == before


# Ends.


def test_close_from_another_thread_ends_a_read_that_is_under_way(long: Shelf) -> None:
    door = Door(pin(long.location, long.folder))
    rows = door.run("SELECT sum(a.n + b.n) FROM dataset AS a, dataset AS b WHERE a.n + b.n < 10")
    ended: list[Exception] = []

    def read() -> None:
        try:
            rows.read(1)
        except ReadStopped as stopped:
            ended.append(stopped)

    reading = threading.Thread(target=read)
    reading.start()
    time.sleep(0.3)
    rows.stop()
    reading.join(10)
    door.close()
    assert not reading.is_alive()
    assert len(ended) == 1


def test_a_read_that_was_closed_never_looks_complete(long: Shelf) -> None:
    stream = long.open(["n"])
    stream.read_next()
    stream.close()
    stream.close()
    with pytest.raises(ReadStopped):
        stream.read_next()


def test_closing_at_any_moment_gives_all_the_rows_or_says_that_it_stopped(long: Shelf) -> None:
    for turn in range(15):
        stream = long.open(["n"], batch_rows=2_048)
        got, stopped = [], threading.Event()

        def read(stream=stream, got=got, stopped=stopped) -> None:
            try:
                got.extend(batch.num_rows for batch in iter(stream.read_next, None))
            except ReadStopped:
                stopped.set()

        reading = threading.Thread(target=read)
        reading.start()
        time.sleep(turn * 0.001)
        stream.close()
        reading.join(10)
        assert stopped.is_set() or sum(got) == 2 * MANY


def test_streams_that_run_outlive_the_reader(long: Shelf) -> None:
    stream = long.open(["n"])
    long.reader.close()
    assert drained(stream).num_rows == 2 * MANY


def test_a_finished_read_leaves_no_open_file_behind(long: Shelf) -> None:
    long.read(["n"])
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(5):
        long.read(["n"], limit=5)
        stream = long.open(["n"])
        stream.read_next()
        stream.close()
    after = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    assert after <= before


# A look.


def test_a_look_says_every_column_with_its_type_also_those_that_nobody_declared(shelf: Shelf) -> None:
    shelf.put(
        {
            "flag": [True],
            "n": pa.array([1], pa.uint64()),
            "x": pa.array([1], pa.float32()),
            "money": pa.array(["1.0"]).cast(pa.decimal128(9, 2)),
            "text": ["a"],
            "ns": pa.array([1], pa.timestamp("ns")),
            "zoned": pa.array([1], pa.timestamp("us", tz="Europe/Berlin")),
            "day": pa.array([1], pa.date32()),
            "blob": [b"x"],
            "nested": [{"a": 1}],
            "clock": pa.array([1], pa.time64("us")),
        }
    )
    types = look(catalog_of(shelf.dataset(only=["flag"])), shelf.folder)["things"]
    assert types == {
        "flag": ColumnType.BOOLEAN,
        "n": ColumnType.INTEGER,
        "x": ColumnType.FLOAT,
        "money": ColumnType.DECIMAL,
        "text": ColumnType.TEXT,
        "ns": ColumnType.TIMESTAMP,
        "zoned": ColumnType.TIMESTAMP,
        "day": ColumnType.DATE,
        "blob": ColumnType.OTHER,
        "nested": ColumnType.OTHER,
        "clock": ColumnType.OTHER,
    }


def test_a_look_refuses_files_that_disagree_on_a_declared_column_and_names_it(shelf: Shelf) -> None:
    shelf.put({"n": [1], "m": [1]})
    dataset = shelf.dataset()
    shelf.put({"n": ["1"], "m": [1]}, "data/z.parquet")
    assert look(catalog_of(dataset), shelf.folder) == {
        "things": "dataset `things`: its files disagree on the type of column `n`"
    }


def test_a_look_at_a_file_that_cannot_be_read_names_the_dataset(shelf: Shelf) -> None:
    path = shelf.put({"n": [1]})
    dataset = shelf.dataset()
    path.write_bytes(b"")
    assert look(catalog_of(dataset), shelf.folder) == {"things": "dataset `things`: the store could not be read"}
