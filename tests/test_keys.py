"""Keys: one master that nobody else can read, and keys derived from it that tell nothing of each other."""

import hashlib
import hmac
import os
import threading
from pathlib import Path

import pytest

from authz.errors import KeysUnfit
from authz.keys import NAME, Keys


def test_the_master_is_made_once_and_for_its_user_only(tmp_path: Path) -> None:
    first = Keys.open(tmp_path / "home")
    path = tmp_path / "home" / NAME
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == 32
    assert Keys.open(tmp_path / "home").of_grant("g-1") == first.of_grant("g-1")


def test_the_master_is_for_its_user_only_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Keys.open(tmp_path / "home")
    finally:
        os.umask(before)
    assert (tmp_path / "home" / NAME).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_gateways_that_start_at_once_agree_on_one_master(tmp_path: Path) -> None:
    start, keys = threading.Barrier(8), []

    def open_() -> None:
        start.wait()
        keys.append(Keys.open(tmp_path).of_grant("g-1"))

    threads = [threading.Thread(target=open_) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert os.listdir(tmp_path) == [NAME]


def test_keys_of_grants_differ_and_so_does_the_key_of_literals() -> None:
    keys = Keys(bytes(32))
    derived = [keys.of_grant("g-1"), keys.of_grant("g-2"), keys.of_grant(""), keys.of_literals()]
    assert len(set(derived)) == 4
    assert all(len(key) == 32 for key in derived)


def test_keys_of_another_master_differ() -> None:
    assert Keys(bytes(32)).of_grant("g-1") != Keys(b"\1" * 32).of_grant("g-1")


def test_a_derived_key_is_what_rfc_5869_says() -> None:
    extracted = hmac.digest(bytes(32), b"m" * 32, hashlib.sha256)
    expected = hmac.digest(extracted, b"remit/grant/1\0g-1\1", hashlib.sha256)
    assert Keys(b"m" * 32).of_grant("g-1") == expected


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o601])
def test_a_master_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    Keys.open(tmp_path)
    (tmp_path / NAME).chmod(mode)
    with pytest.raises(KeysUnfit, match="chmod 600"):
        Keys.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_master_of_another_size_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / NAME
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeysUnfit, match="32 bytes"):
        Keys.open(tmp_path)
    assert path.read_bytes() == content


def test_a_master_that_is_a_link_is_refused(tmp_path: Path) -> None:
    Keys.open(tmp_path / "elsewhere")
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere" / NAME)
    with pytest.raises(KeysUnfit):
        Keys.open(tmp_path)


def test_a_link_that_leads_nowhere_is_refused_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeysUnfit):
        Keys.open(tmp_path)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_master_that_is_no_file_is_refused(tmp_path: Path, make: object) -> None:
    make(tmp_path / NAME, 0o600)  # type: ignore[operator]
    with pytest.raises(KeysUnfit):
        Keys.open(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_master_of_another_user_is_refused(tmp_path: Path) -> None:
    Keys.open(tmp_path)
    os.chown(tmp_path / NAME, 65534, 65534)
    with pytest.raises(KeysUnfit, match="belongs"):
        Keys.open(tmp_path)


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(KeysUnfit):
        Keys.open(tmp_path / "home")
