"""A login that is kept is for its owner only, whole or not there, and the same for every process."""

import json
import os
import stat
import time
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import null
from keyring.errors import KeyringLocked, PasswordDeleteError

from remit.errors import LoginFailed
from remit.login.keeping import Keeping
from remit.login.values import Login, Target, Tokens

GATEWAY = "https://remit.example.com"
NOW = int(time.time())
LOGIN = Login(
    Target(GATEWAY, "https://login.example.com", "remit-cli", GATEWAY, "remit"),
    "ana",
    Tokens("the-access-token", "the-refresh-token", None, NOW, NOW + 86_400),
)


class Ring(KeyringBackend):
    """A keyring in memory, which can be locked."""

    priority = 5  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.is_locked = False
        self.breaks: Exception | None = None

    def _open(self) -> dict[tuple[str, str], str]:
        if self.is_locked:
            raise KeyringLocked("locked, with the-access-token in it")
        if self.breaks is not None:
            raise self.breaks
        return self.kept

    def get_password(self, service: str, username: str) -> str | None:
        return self._open().get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._open()[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self._open().pop((service, username), None) is None:
            raise PasswordDeleteError("not there")


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring.core, "_keyring_backend", null.Keyring())


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    made = Ring()
    monkeypatch.setattr(keyring.core, "_keyring_backend", made)
    return made


@pytest.fixture
def keeping(tmp_path: Path) -> Keeping:
    return Keeping(tmp_path / "state" / "logins")


def file_of(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "state" / "logins").glob("*.json")
    return path


def test_a_file_is_private_whatever_the_umask_and_holds_what_was_put(keeping: Keeping, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        assert keeping.put(LOGIN) == "file"
    finally:
        os.umask(old)
    path = file_of(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert keeping.get(GATEWAY) == LOGIN
    assert keeping.get("https://another.example.com") is None


def test_a_login_that_others_could_read_is_refused_with_what_to_do(keeping: Keeping, tmp_path: Path) -> None:
    keeping.put(LOGIN)
    path = file_of(tmp_path)
    for place, mode, right in ((path, 0o640, 0o600), (path, 0o602, 0o600), (path.parent, 0o755, 0o700)):
        place.chmod(mode)
        with pytest.raises(LoginFailed, match=f"chmod {right:o}"):
            keeping.get(GATEWAY)
        place.chmod(right)
    assert keeping.get(GATEWAY) == LOGIN


def test_a_folder_that_others_could_read_gets_no_login(keeping: Keeping, tmp_path: Path) -> None:
    (tmp_path / "state" / "logins").mkdir(mode=0o755, parents=True)
    with pytest.raises(LoginFailed, match="chmod 700"):
        keeping.put(LOGIN)
    assert list(tmp_path.rglob("*.json")) == []


def test_a_link_in_the_place_of_a_login_is_not_followed(keeping: Keeping, tmp_path: Path) -> None:
    keeping.put(LOGIN)
    path = file_of(tmp_path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LoginFailed, match="cannot be read"):
        keeping.get(GATEWAY)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_login_that_belongs_to_somebody_else_is_refused(keeping: Keeping, tmp_path: Path) -> None:
    keeping.put(LOGIN)
    os.chown(file_of(tmp_path), 65534, -1)
    with pytest.raises(LoginFailed, match="belongs to somebody else"):
        keeping.get(GATEWAY)


def test_a_login_that_is_not_understood_is_refused_without_being_quoted(keeping: Keeping, tmp_path: Path) -> None:
    keeping.put(LOGIN)
    whole = file_of(tmp_path).read_text()
    for text in (whole[:-9], whole.replace('"subject"', '"sub"'), "", "[]"):
        file_of(tmp_path).write_text(text)
        with pytest.raises(LoginFailed, match="run `remit login`") as raised:
            keeping.get(GATEWAY)
        assert "the-access-token" not in str(raised.value)
        assert raised.value.__cause__ is None


def test_a_write_that_fails_leaves_the_login_that_was_there(
    keeping: Keeping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.put(LOGIN)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(LoginFailed, match="No space left"):
            keeping.put(replace(LOGIN, subject="eve"))
    assert keeping.get(GATEWAY) == LOGIN
    assert [path.suffix for path in file_of(tmp_path).parent.iterdir()] == [".json"]


def test_a_real_keyring_holds_the_tokens_and_the_file_none(keeping: Keeping, tmp_path: Path, ring: Ring) -> None:
    assert keeping.put(LOGIN) == "keyring"
    assert "the-access-token" not in file_of(tmp_path).read_text()
    assert keeping.get(GATEWAY) == LOGIN
    keeping.forget(GATEWAY)
    assert (ring.kept, keeping.get(GATEWAY)) == ({}, None)
    keeping.forget(GATEWAY)


def test_a_keyring_that_is_emptied_means_nobody_is_logged_in(keeping: Keeping, ring: Ring) -> None:
    keeping.put(LOGIN)
    ring.kept.clear()
    assert keeping.get(GATEWAY) is None
    keeping.forget(GATEWAY)


def test_a_keyring_that_is_locked_is_said_with_what_to_do(keeping: Keeping, ring: Ring) -> None:
    keeping.put(LOGIN)
    ring.is_locked = True
    for ask in (lambda: keeping.get(GATEWAY), lambda: keeping.forget(GATEWAY)):
        with pytest.raises(LoginFailed, match="unlock it") as raised:
            ask()
        assert "the-access-token" not in str(raised.value)


@pytest.mark.parametrize("breaks", [None, EOFError("the-access-token"), ConnectionResetError(), TypeError()])
def test_a_login_that_the_keyring_does_not_take_is_kept_in_a_private_file(
    keeping: Keeping, tmp_path: Path, ring: Ring, breaks: Exception | None
) -> None:
    keeping.put(LOGIN)
    ring.breaks, ring.is_locked = breaks, breaks is None
    with pytest.raises(LoginFailed, match="cannot be used") as raised:
        keeping.get(GATEWAY)
    assert "the-access-token" not in str(raised.value)
    assert keeping.put(LOGIN) == "file"
    assert file_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert keeping.get(GATEWAY) == LOGIN
    keeping.forget(GATEWAY)
    assert keeping.get(GATEWAY) is None


def test_a_keyring_that_keeps_things_in_the_clear_is_not_used(keeping: Keeping, ring: Ring) -> None:
    ring.priority = 0.5  # type: ignore[assignment]
    assert keeping.put(LOGIN) == "file"
    assert ring.kept == {}


def test_whoever_has_no_login_needs_no_keyring(keeping: Keeping, ring: Ring) -> None:
    ring.is_locked = True
    assert keeping.get(GATEWAY) is None


def test_only_one_at_a_time_changes_a_login(keeping: Keeping) -> None:
    held, done, seen = Event(), Event(), list[str]()

    def second() -> None:
        held.wait()
        with keeping.locked(GATEWAY):
            seen.append("second")
        done.set()

    thread = Thread(target=second)
    thread.start()
    with keeping.locked(GATEWAY), keeping.locked("https://another.example.com"):
        held.set()
        seen.append("first")
    assert done.wait(30)
    thread.join()
    assert seen == ["first", "second"]


def test_the_place_is_the_users_state_folder(tmp_path: Path) -> None:
    Keeping.of({"XDG_STATE_HOME": str(tmp_path)}).put(LOGIN)
    assert json.loads(next((tmp_path / "remit" / "logins").glob("*.json")).read_text())["gateway"] == GATEWAY


def test_a_login_is_renewed_before_its_token_ends() -> None:
    def fresh(since: int, life: int) -> bool:
        now = int(time.time())
        tokens = replace(LOGIN.tokens, issued_at=now - since, expires_at=now - since + life)
        return replace(LOGIN, tokens=tokens).is_fresh()

    assert fresh(since=0, life=900)
    assert not fresh(since=870, life=900)
    assert fresh(since=0, life=20)
    assert not fresh(since=17, life=20)
