"""What can be read around Remit, and what nobody declared."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from reading import Shelf, catalog_of

from authz.exposure import Exposed, Undeclared, exposed_files, undeclared_columns, undeclared_files
from policy.catalog import Catalog
from policy.values import Dataset


@pytest.fixture
def open_() -> Iterator[Shelf]:
    """A shelf that everybody gets to; pytest's own folders are closed, so it lies in the temporary folder itself."""
    folder = Path(tempfile.mkdtemp(prefix="remit-"))
    folder.chmod(0o755)
    made = Shelf(folder)
    made.put({"n": [1]}).chmod(0o600)
    (folder / "data").chmod(0o755)
    yield made
    made.reader.close()
    shutil.rmtree(folder)


@pytest.fixture
def file(open_: Shelf) -> Path:
    return open_.folder / "data/part.parquet"


@pytest.fixture
def catalog() -> Catalog:
    return catalog_of(Dataset("things", "team", "files", "data/*.parquet", "n"))


def test_a_file_for_its_user_only_is_not_exposed(open_: Shelf, catalog: Catalog) -> None:
    assert exposed_files(catalog, open_.folder) == ()


def test_a_file_that_everybody_can_read_is_exposed(open_: Shelf, file: Path, catalog: Catalog) -> None:
    file.chmod(0o644)
    assert exposed_files(catalog, open_.folder) == (Exposed("things", file.resolve(), 0o644),)


def test_a_folder_that_nobody_gets_through_covers_what_is_in_it(open_: Shelf, file: Path, catalog: Catalog) -> None:
    file.chmod(0o644)
    for folder in (file.parent, open_.folder):
        folder.chmod(0o700)
        assert exposed_files(catalog, open_.folder) == ()
        folder.chmod(0o755)


def test_a_folder_that_can_be_passed_but_not_listed_covers_nothing(open_: Shelf, file: Path, catalog: Catalog) -> None:
    file.chmod(0o644)
    file.parent.chmod(0o711)
    assert len(exposed_files(catalog, open_.folder)) == 1


def test_a_second_name_elsewhere_counts_as_a_way_in(open_: Shelf, file: Path, catalog: Catalog) -> None:
    file.chmod(0o644)
    os.link(file, open_.folder / "second")
    file.parent.chmod(0o700)
    assert len(exposed_files(catalog, open_.folder)) == 1


def test_a_link_is_judged_by_the_file_that_it_leads_to(open_: Shelf, file: Path, catalog: Catalog) -> None:
    file.chmod(0o644)
    closed = open_.folder / "closed"
    closed.mkdir(0o700)
    file.rename(closed / "part.parquet")
    file.symlink_to(closed / "part.parquet")
    assert exposed_files(catalog, open_.folder) == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another group")
def test_a_file_that_another_group_can_read_is_exposed_where_the_group_gets_through(
    open_: Shelf, file: Path, catalog: Catalog
) -> None:
    os.chown(file, -1, 4321)
    file.chmod(0o640)
    assert [one.mode for one in exposed_files(catalog, open_.folder)] == [0o640]
    file.parent.chmod(0o750)
    assert exposed_files(catalog, open_.folder) == ()
    os.chown(file.parent, -1, 4321)
    assert len(exposed_files(catalog, open_.folder)) == 1


def test_columns_that_nobody_declared_are_named(open_: Shelf) -> None:
    dataset = Dataset("things", "team", "files", "data/*.parquet", "n", undeclared=frozenset({"z", "a"}))
    assert undeclared_columns(catalog_of(dataset)) == (Undeclared("things", ("a", "z")),)
    assert undeclared_columns(catalog_of(Dataset("things", "team", "files", "data/*.parquet", "n"))) == ()


def test_files_beside_those_of_the_datasets_are_named(open_: Shelf, catalog: Catalog) -> None:
    stray = open_.put({"n": [1]}, "data/deeper/stray.parquet")
    (open_.folder / "data/readme.txt").write_text("no data")
    open_.put({"n": [1]}, "elsewhere/other.parquet")
    assert undeclared_files(catalog, open_.folder) == (stray.resolve(),)


def test_a_folder_beside_those_of_two_datasets_is_beside_them(open_: Shelf) -> None:
    open_.put({"n": [1]}, "data/a/1.parquet")
    open_.put({"n": [1]}, "data/b/1.parquet")
    stray = open_.put({"n": [1]}, "data/c/1.parquet")
    a, b = (Dataset(name, "team", "files", f"data/{name}/*.parquet", "n") for name in "ab")
    part = (open_.folder / "data/part.parquet").resolve()
    assert undeclared_files(catalog_of(a, b), open_.folder) == (stray.resolve(), part)
