"""A bundle is both files, whole, under one digest; anything not understood refuses it whole."""

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from example_bundle import CATALOG, LOOK, POLICIES

from policy.bundle import digest_of, load_bundle
from policy.catalog import Catalog
from policy.errors import MisreadAll
from policy.values import Action, ColumnType, Principal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies.conf").write_bytes(POLICIES)
    (tmp_path / "catalog.toml").write_text(CATALOG)
    (tmp_path / "data/pointer_events").mkdir(parents=True)
    (tmp_path / "data/pointer_events/a.parquet").touch()
    return tmp_path


def look(catalog: Catalog) -> Mapping[str, Mapping[str, ColumnType]]:
    return dict.fromkeys(catalog.datasets, LOOK)


def test_a_bundle_holds_the_files_as_they_are_and_what_they_mean(folder: Path) -> None:
    bundle = load_bundle(folder / "policies.conf", folder / "catalog.toml", look)
    assert (bundle.policies_text, bundle.catalog_text) == (POLICIES.decode(), CATALOG)
    assert bundle.digest == digest_of(bundle.policies_text.encode(), bundle.catalog_text.encode())
    dataset = bundle.catalog.datasets["pointer_events"]
    assert dataset.columns["x"].type is ColumnType.INTEGER
    ana = Principal("ana", teams=("research.ml",), attributes=(("region", "eu"),))
    answer = bundle.engine.ask(ana, "train_ai_system", dataset, "user.behavior.pointer", Action.READ)
    assert answer.effect == "allow"


def test_texts_give_the_digest_again_whatever_their_line_ends(folder: Path) -> None:
    (folder / "catalog.toml").write_bytes(CATALOG.replace("\n", "\r\n").encode())
    bundle = load_bundle(folder / "policies.conf", folder / "catalog.toml", look)
    assert bundle.digest == digest_of(bundle.policies_text.encode(), bundle.catalog_text.encode())


def test_a_bundle_is_replaced_and_never_changed(folder: Path) -> None:
    bundle = load_bundle(folder / "policies.conf", folder / "catalog.toml", look)
    with pytest.raises(dataclasses.FrozenInstanceError):
        bundle.digest = "sha256:"  # type: ignore[misc]


def test_the_digest_is_sha256_over_length_prefixed_bytes() -> None:
    expected = hashlib.sha256(b"\0\0\0\0\0\0\0\x02ab\0\0\0\0\0\0\0\x01c").hexdigest()
    assert digest_of(b"ab", b"c") == f"sha256:{expected}"


def test_bytes_that_move_from_one_file_to_the_other_change_the_digest() -> None:
    assert len({digest_of(b"abc"[:cut], b"abc"[cut:]) for cut in range(4)}) == 4


@pytest.mark.parametrize("missing", ["policies.conf", "catalog.toml"])
def test_a_file_that_cannot_be_read_refuses_the_bundle_by_its_name(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(MisreadAll, match=f"{missing}: cannot be read: no such file"):
        load_bundle(folder / "policies.conf", folder / "catalog.toml", look)
    os.mkdir(folder / missing)
    with pytest.raises(MisreadAll, match=f"{missing}: cannot be read: is a directory"):
        load_bundle(folder / "policies.conf", folder / "catalog.toml", look)


@pytest.mark.parametrize(("file", "line"), [("policies.conf", "nonsense"), ("catalog.toml", "nonsense")])
def test_one_line_that_is_not_understood_refuses_the_bundle_whole(folder: Path, file: str, line: str) -> None:
    with (folder / file).open("a") as end:
        end.write(f"{line}\n")
    with pytest.raises(MisreadAll, match=rf"{file} line \d+: "):
        load_bundle(folder / "policies.conf", folder / "catalog.toml", look)


def test_a_store_without_a_declared_column_refuses_the_bundle_with_the_catalogs_line(folder: Path) -> None:
    with pytest.raises(MisreadAll, match=r"catalog\.toml line 14: store `files` has no column `employee_id`"):
        load_bundle(folder / "policies.conf", folder / "catalog.toml", lambda _: {"pointer_events": {}})


def test_a_fault_while_looking_passes_through(folder: Path) -> None:
    def blind(_: Catalog) -> Mapping[str, Mapping[str, ColumnType]]:
        raise OSError("the store is away")

    with pytest.raises(OSError, match="the store is away"):
        load_bundle(folder / "policies.conf", folder / "catalog.toml", blind)
