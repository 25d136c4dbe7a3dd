"""The demo's stage: a provider of tokens and the real service, run by one process that a folder belongs to."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from socket import create_server
from threading import Event

import httpx2
from authlib.integrations.requests_client import OAuth2Session

from remit.errors import RemitError

from .pager import pager
from .provider import Provider
from .seed import seed
from .written import write

START_SECONDS = 90
MARK = "made-by-remit-demo"
LOCK = "running.lock"
"""Held by the process that runs the stage, whose number stands in it."""

AS = """#!{python}
# Do something as somebody of the story: {place}/as ana datasets
import sys
from remit.demo.stage import DemoFailed, Stage
try:
    who, *arguments = sys.argv[1:]
    stage = Stage.open({place!r})
    sys.exit(print(stage.token(who)) if arguments == ["--token"] else stage.act(who, *arguments))
except KeyboardInterrupt:
    sys.exit(130)
except (DemoFailed, ValueError) as wrong:
    sys.exit(str(wrong) if isinstance(wrong, DemoFailed) else "who? for instance: {place}/as ana datasets")
"""


class DemoFailed(RemitError):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running demo in `place`: where the service and the provider listen, and the provider's secret."""

    place: Path
    gateway: str
    issuer: str
    secret: str

    @classmethod
    def open(cls, place: str | Path) -> "Stage":
        """The stage that runs in `place`. Raises `DemoFailed` where none does."""
        path = Path(place).absolute()
        try:
            return cls(path, *(path / "stage").read_text().split())
        except OSError:
            raise DemoFailed(f"no demo runs in `{path}`; start one with `make demo KEEP=1`") from None

    def token(self, who: str) -> str:
        """An access token of somebody in the story; it lives 15 minutes."""
        with OAuth2Session(who, self.secret, token_endpoint_auth_method="client_secret_post") as session:  # noqa: S106
            return str(session.fetch_token(f"{self.issuer}/token", grant_type="client_credentials")["access_token"])

    def is_ready(self) -> bool:
        """Whether the gateway there can work, and is its own: another demo may have been quicker at its port."""
        try:
            ready = httpx2.get(f"{self.gateway}/readyz", timeout=5, trust_env=False)
            said = httpx2.get(f"{self.gateway}/.well-known/oauth-protected-resource", timeout=5, trust_env=False)
        except httpx2.HTTPError:
            return False
        return ready.status_code == 200 and said.json()["authorization_servers"] == [self.issuer]

    def act(self, who: str, *arguments: str) -> int:
        """Run `remit` as `who` in the demo's folder, on this terminal; gives its exit code."""
        environment = _clean() | {
            "REMIT_HOME": str(self.place / "home"),
            "REMIT_URL": self.gateway,
            "REMIT_TOKEN": self.token(who),
        }
        return subprocess.run(_remit(*arguments), env=environment, cwd=self.place, check=False).returncode


def set_up(place: Path, day: date) -> Mapping[str, int]:
    """Take away what an earlier demo left in `place`, and make up the data; the rows of each dataset."""
    stop(place)
    if place.exists() and not (place / MARK).exists() and any(place.iterdir()):
        raise DemoFailed(f"`{place}` is not a demo's folder; move it away")
    # As root the database may lie elsewhere, see `audit.postgres_place`; then there is a link to it.
    database = (place / "home" / "postgresql").resolve()
    shutil.rmtree(place, ignore_errors=True)
    if not database.is_relative_to(place.resolve()):
        shutil.rmtree(database.parent, ignore_errors=True)
    rows = seed(place, day=day)
    (place / MARK).touch()
    return rows


def start(place: Path) -> Stage:
    """Start the process that runs the stage in `place`, and wait until the service is ready."""
    log = place / "service.log"
    command = [sys.executable, "-m", "remit.demo.stage", str(place)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_clean(), start_new_session=True
        )
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        if (place / "stage").exists() and Stage.open(place).is_ready():
            return Stage.open(place)
        time.sleep(0.1)
    stop(place)
    raise DemoFailed(f"the service did not start; `{log}` says why")


def stop(place: Path) -> None:
    """Stop the stage in `place`, if one runs there, and wait until it is gone."""
    if not (place / LOCK).exists():
        return
    with (place / LOCK).open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Held, so the number in it is the holder's and nobody else's.
            os.kill(int(lock.read()), signal.SIGTERM)
            fcntl.flock(lock, fcntl.LOCK_EX)


def run(place: Path) -> int:
    """Be the process that runs the stage: a provider here, the service as a child, until SIGTERM or its end."""
    stopping = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    with (place / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(os.getpid()))
        lock.flush()
        with Provider() as provider, pager(place) as calls:
            gateway = f"127.0.0.1:{_free_port(8470)}"
            service = subprocess.Popen(_remit("serve"), env=_settings(place, gateway, provider.url, calls), cwd=place)
            write(place / "as", AS.format(python=sys.executable, place=str(place)), 0o700)
            write(place / "stage", f"http://{gateway}\n{provider.url}\n{provider.secret}\n", 0o600)
            while service.poll() is None and not stopping.wait(0.2):
                pass
            (place / "stage").unlink()
            service.terminate()
            return service.wait()


def _settings(place: Path, gateway: str, issuer: str, calls: str) -> dict[str, str]:
    return _clean() | {
        "REMIT_HOME": str(place / "home"),
        "REMIT_POLICIES": str(place / "policies.conf"),
        "REMIT_CATALOG": str(place / "catalog.toml"),
        "REMIT_LISTEN": gateway,
        "REMIT_OIDC_ISSUER": issuer,
        "REMIT_ATTRIBUTE_CLAIMS": "privacy_training,region",
        "REMIT_ALERT_URLS": calls,
    }


def _clean() -> dict[str, str]:
    """This environment without settings that somebody made for another Remit."""
    return {name: value for name, value in os.environ.items() if not name.startswith("REMIT_")}


def _remit(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "remit", *arguments]


def _free_port(wanted: int) -> int:
    """`wanted` where it is free, else any that is."""
    for port in (wanted, 0):
        try:
            with create_server(("127.0.0.1", port)) as listener:
                return int(listener.getsockname()[1])
        except OSError:
            continue
    raise DemoFailed("no port of 127.0.0.1 is free")


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]).absolute()))
