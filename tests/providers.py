"""Two OpenID providers that are not ours, each in a process of its own."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from ports import free_port
from service import HTTP

HERE = Path(__file__).parent / "oidc_provider"


@dataclass
class Outside:
    """A provider that runs: its issuer, and the file that it tells what it did in (the npm one does)."""

    url: str
    diary: Path

    def did(self) -> list[list[str]]:
        """What it has done so far, oldest first."""
        return [json.loads(line) for line in self.diary.read_text().splitlines() if line.startswith("[")]


def installed(cache: pytest.Cache) -> Path:
    """The folder with npm's oidc-provider, as the lock file pins it; skips, with the reason, where it cannot be."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("npm's oidc-provider: there is no npm on this machine")
    lock = (HERE / "package-lock.json").read_bytes()
    place = cache.mkdir("oidc-provider") / hashlib.sha256(lock).hexdigest()[:16]
    if not place.exists():
        with tempfile.TemporaryDirectory(dir=place.parent) as made:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, made)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=200, check=False)
            if done.returncode != 0:
                pytest.skip(f"npm's oidc-provider could not be installed: {done.stderr.strip()[-300:]}")
            Path(made).rename(place)
            Path(made).mkdir()
    return place


@contextmanager
def npm_provider(modules: Path, folder: Path, *, life: int = 900) -> Iterator[Outside]:
    """npm's oidc-provider with access tokens of `life` seconds, until the end of the `with`."""
    diary = folder / "diary"
    command = ["node", str(HERE / "server.mjs"), str(modules), str(life)]
    with diary.open("wb") as said, (folder / "provider.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=said, stderr=log)
    try:
        while not diary.read_text().endswith("\n"):
            assert process.poll() is None, (folder / "provider.log").read_text()
        yield Outside(json.loads(diary.read_text().splitlines()[0])[1], diary)
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def mock_provider(folder: Path) -> Iterator[Outside]:
    """`oidc-provider-mock`, until the end of the `with`; it gives opaque access tokens and does not rotate."""
    port = free_port()
    log = folder / "provider.log"
    # it runs on a part of Authlib that warns of its own end
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=said, env=os.environ | {"AUTHLIB_INSECURE_TRANSPORT": "1"}
        )
    url = f"http://127.0.0.1:{port}"
    try:
        while not _answers(url):
            assert process.poll() is None, log.read_text()
        yield Outside(url, log)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        return HTTP.get(f"{url}/.well-known/openid-configuration").status_code == 200
    except httpx2.HTTPError:
        return False
