"""Logging in, from the command line to the rows, against providers that are not ours."""

import json
import os
import stat
import subprocess
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from conftest import Database
from providers import Outside, installed, mock_provider, npm_provider
from service import HTTP, Service, scope_of, serving
from user_agent import visit

import remit
from remit.cli import main

AGENT = Path(__file__).parent / "user_agent.py"
NO_KEYRING = "keyring.backends.null.Keyring"


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    notes: str


class Browser(webbrowser.BaseBrowser):
    """A browser of somebody who does what pages ask for."""

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:  # noqa: ARG002
        Thread(target=visit, args=(url, self.name), daemon=True).start()
        return True


@dataclass(frozen=True)
class Person:
    """Somebody at a terminal, with a home of their own and a browser that logs in as `name`."""

    name: str
    home: Path
    gateway: str

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("REMIT_")}
        return clean | {
            "XDG_STATE_HOME": str(self.home),
            "PYTHON_KEYRING_BACKEND": NO_KEYRING,
            "REMIT_URL": self.gateway,
            "BROWSER": f"{sys.executable} {AGENT} {self.name} %s",
        }

    def run(self, *arguments: str, **more: str) -> Ended:
        """The command in this process, which spares a second of loading each time."""
        out, notes = StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patched, redirect_stdout(out), redirect_stderr(notes):
            self.move_in(patched, **more)
            webbrowser.register("script", None, Browser(self.name), preferred=True)
            with pytest.raises(SystemExit) as ended:
                main(arguments)
        return Ended(int(ended.value.code or 0), out.getvalue(), notes.getvalue())

    def move_in(self, patched: pytest.MonkeyPatch, **more: str) -> None:
        """Make the environment of this process that of this person."""
        patched.delenv("REMIT_TOKEN", raising=False)
        for name, value in (self.environment | more).items():
            patched.setenv(name, value)

    def start(self, *arguments: str, **more: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "remit", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.environment | more, stdout=pipe, stderr=pipe, text=True)

    @property
    def kept(self) -> Path:
        (path,) = (self.home / "remit" / "logins").glob("*.json")
        return path

    def tokens(self) -> dict[str, Any]:
        return dict(json.loads(self.kept.read_text())["login"]["tokens"])

    def let_it_expire(self) -> None:
        """As if the time of the access token had passed."""
        note = json.loads(self.kept.read_text())
        note["login"]["tokens"] |= {"issued_at": 0, "expires_at": 900}
        self.kept.write_text(json.dumps(note))


@pytest.fixture(scope="module")
def place(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


@pytest.fixture(scope="module")
def provider(pytestconfig: pytest.Config, place: Path) -> Iterator[Outside]:
    modules = installed(pytestconfig.cache)
    with npm_provider(modules, place) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(place: Path, module_database: Database, provider: Outside) -> Iterator[Service]:
    with serving(place, module_database.url(), REMIT_OIDC_ISSUER=provider.url) as running:
        yield running


@pytest.fixture
def ana(gateway: Service, tmp_path: Path) -> Person:
    return Person("ana", tmp_path / "ana", gateway.url)


@pytest.fixture
def logged_in(ana: Person) -> Person:
    ended = ana.run("login")
    assert ended.status == 0, ended.notes
    return ana


@pytest.fixture(scope="module")
def granted(gateway: Service, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Eve logs in, and puts a grant for ana in."""
    eve = Person("eve", tmp_path_factory.mktemp("eve"), gateway.url)
    assert eve.run("login").status == 0
    headers = {"Authorization": f"Bearer {eve.tokens()['access']}"}
    assert HTTP.post(f"{gateway.url}/v1/grants", json=scope_of(), headers=headers).status_code == 201


def test_a_login_reads_rows_is_renewed_and_is_gone_after_logout(
    ana: Person, granted: None, gateway: Service, provider: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = ana.start("login")  # for once as it is: a process that starts the browser of the environment
    out, notes = process.communicate(timeout=200)
    assert (process.returncode, out) == (0, "logged in as ana (research.ml)\n"), notes
    assert provider.url in notes
    first = ana.tokens()

    read = ana.run("read", "events", "--columns", "x", "--rows", "x < 3", "--json")
    assert [json.loads(line) for line in read.out.splitlines()] == [{"x": 0}, {"x": 1}, {"x": 2}], read.notes

    ana.let_it_expire()
    ana.move_in(monkeypatch)
    with remit.connect(gateway.url) as client:
        assert client.read("events", columns=["x"], rows="x < 3").read_all().num_rows == 3
    second = ana.tokens()
    assert second["access"] != first["access"]
    assert second["refresh"] != first["refresh"]

    gone = ana.run("logout")
    assert gone.status == 0, gone.notes
    assert "ana is logged out" in gone.out
    assert list((ana.home / "remit" / "logins").glob("*.json")) == []
    assert ["revoked"] in provider.did()
    assert HTTP.post(f"{provider.url}/token", data=refreshing(second)).json()["error"] == "invalid_grant"

    after = ana.run("whoami")
    assert after.status == 1
    assert "no_token" in after.notes
    assert "remit login" in after.notes


def refreshing(tokens: dict[str, Any]) -> dict[str, str]:
    return {"grant_type": "refresh_token", "client_id": "remit-cli", "refresh_token": tokens["refresh"]}


def test_nothing_that_is_printed_holds_a_token_and_the_kept_one_is_for_nobody_else(logged_in: Person) -> None:
    said = [logged_in.run(*command.split()) for command in ("whoami", "whoami --json", "datasets", "login --json")]
    tokens = [*logged_in.tokens().values()]
    logged_in.kept.write_text("{" + json.dumps(tokens))
    said += [logged_in.run("whoami"), logged_in.run("logout", "--json")]
    secrets = [token for token in tokens if isinstance(token, str)]
    assert len(secrets) == 3
    assert not [each for each in said for secret in secrets if secret in each.out + each.notes]
    assert stat.S_IMODE(logged_in.kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(logged_in.kept.parent.stat().st_mode) == 0o700


def test_whoami_says_who_the_gateway_takes_you_for(logged_in: Person, gateway: Service) -> None:
    shown = logged_in.run("whoami")
    for said in ("ana (person)", "research.ml", "privacy_training = current", gateway.settings["REMIT_OIDC_ISSUER"]):
        assert said in shown.out
    said = json.loads(logged_in.run("whoami", "--json").out)
    assert (said["name"], said["teams"]) == ("ana", ["research.ml"])


def test_a_token_of_the_environment_goes_before_the_kept_login(logged_in: Person) -> None:
    refused = logged_in.run("whoami", REMIT_TOKEN="a.b.c")
    assert refused.status == 1
    assert "bad_token" in refused.notes
    assert "REMIT_TOKEN is set" in logged_in.run("login", REMIT_TOKEN="a.b.c").notes


def test_processes_that_renew_at_once_spend_the_refresh_token_once(logged_in: Person, provider: Outside) -> None:
    before = provider.did().count(["granted", "refresh_token"])
    logged_in.let_it_expire()
    running = [logged_in.start("whoami", "--json") for _ in range(3)]
    ended = [(*process.communicate(timeout=250), process.returncode) for process in running]
    assert [status for *_, status in ended] == [0] * 3, ended
    assert provider.did().count(["granted", "refresh_token"]) == before + 1
    logged_in.let_it_expire()
    assert logged_in.run("whoami").status == 0


def test_threads_of_one_client_renew_once_too(
    logged_in: Person, provider: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged_in.let_it_expire()
    logged_in.move_in(monkeypatch)
    before = provider.did().count(["granted", "refresh_token"])
    with remit.connect() as client, ThreadPoolExecutor(8) as threads:
        assert {each.name for each in threads.map(lambda _: client.whoami(), range(8))} == {"ana"}
    assert provider.did().count(["granted", "refresh_token"]) == before + 1


def test_a_login_that_the_issuer_has_ended_says_to_log_in_again(logged_in: Person, provider: Outside) -> None:
    tokens = logged_in.tokens()
    form = {"client_id": "remit-cli", "token": tokens["refresh"]}
    assert HTTP.post(f"{provider.url}/token/revocation", data=form).status_code == 200
    logged_in.let_it_expire()
    ended = logged_in.run("whoami")
    assert ended.status == 1
    assert "invalid_grant" in ended.notes
    assert "run `remit login`" in ended.notes


def test_a_client_goes_on_as_whom_it_began(logged_in: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged_in.move_in(monkeypatch)
    logged_in.let_it_expire()
    with remit.connect() as client:
        eve = Person("eve", logged_in.home, logged_in.gateway)
        assert eve.run("login").status == 0
        with pytest.raises(remit.LoginFailed, match="somebody else has logged in"):
            client.whoami()
    with remit.connect() as client:
        assert client.whoami().name == "eve"


def test_a_client_of_somebody_who_logged_out_says_so(logged_in: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    logged_in.move_in(monkeypatch)
    logged_in.let_it_expire()
    with remit.connect() as client:
        assert logged_in.run("logout").status == 0
        with pytest.raises(remit.LoginFailed, match="run `remit login`"):
            client.whoami()


def until(beginning: str, process: "subprocess.Popen[str]") -> list[str]:
    """What the process notes, up to the line that begins so."""
    assert process.stderr is not None
    notes = []
    for line in process.stderr:
        notes.append(line)
        if line.startswith(beginning):
            return notes
    raise AssertionError(notes)


def test_with_a_code_on_another_device(ana: Person) -> None:
    process = ana.start("login", "--device", BROWSER="false")
    notes = until("or open ", process)
    page = visit(notes[-1].split()[2], "ana")
    assert "Success" in page, page
    out, rest = process.communicate(timeout=250)
    assert (process.returncode, out) == (0, "logged in as ana (research.ml)\n"), rest
    ana.let_it_expire()
    assert ana.run("whoami").status == 0


def test_without_a_browser_the_address_is_shown_and_the_other_way_named(ana: Person) -> None:
    process = ana.start("login", "--no-browser")
    notes = until("no browser", process)
    assert notes[1] == "open this address in a browser on this machine:\n"
    assert "remit login --device" in notes[3]
    visit(notes[2].strip(), "ana")
    assert process.communicate(timeout=250)[0] == "logged in as ana (research.ml)\n"


def test_an_issuer_that_the_gateway_does_not_name_is_refused(ana: Person) -> None:
    ended = ana.run("login", "--issuer", "https://elsewhere.example.com")
    assert ended.status == 1
    assert "and not of `https://elsewhere.example.com`" in ended.notes


def test_an_address_that_the_gateway_does_not_call_its_own_is_refused(ana: Person) -> None:
    ended = ana.run("login", REMIT_URL=ana.gateway.replace("127.0.0.1", "localhost"))
    assert ended.status == 1
    assert f"calls itself `{ana.gateway}`" in ended.notes


def test_a_client_that_the_issuer_does_not_know_gets_no_token(ana: Person) -> None:
    process = ana.start("login", "--no-browser", "--client-id", "nobody")
    notes = until("no browser", process)
    assert "invalid_client" in visit(notes[2].strip(), "ana")
    process.kill()
    process.communicate()
    device = ana.run("login", "--device", REMIT_CLIENT_ID="nobody")
    assert device.status == 1
    assert "invalid_client" in device.notes


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[Outside]:
    with mock_provider(tmp_path) as running:
        yield running


def test_where_an_issuer_gives_other_tokens_the_login_holds_and_the_refusal_says_what_is_missing(
    mock: Outside, tmp_path: Path, database: Database, folder: Path
) -> None:
    with serving(Path(tempfile.mkdtemp(dir=folder)), database.url(), REMIT_OIDC_ISSUER=mock.url) as gateway:
        ana = Person("ana", tmp_path / "ana", gateway.url)
        public = ana.run("login")
        assert "invalid_client" in public.notes  # the mock knows no public clients, and takes any secret
        assert "with REMIT_CLIENT_SECRET where it has no public ones" in public.notes
        ended = ana.run("login", REMIT_CLIENT_SECRET="the-client-secret")
        assert ended.status == 1
        assert "the-client-secret" not in ended.notes
        for said in ("`ana` is logged in", "the token is not three parts", "`typ` `at+jwt`", "`aud` `remit`"):
            assert said in ended.notes
        first = ana.tokens()
        ana.let_it_expire()
        assert "bad_token" in ana.run("whoami").notes
        assert ana.tokens()["access"] != first["access"]
        device = ana.run("login", "--device")
        assert device.status == 1
        assert "offers no device flow" in device.notes
        assert ana.run("logout").status == 0
        assert "nobody was logged in" in ana.run("logout").notes


def test_a_logout_that_the_issuer_does_not_hear_of_still_forgets(logged_in: Person) -> None:
    note = json.loads(logged_in.kept.read_text())
    note["login"]["target"]["issuer"] = "http://127.0.0.1:9"
    logged_in.kept.write_text(json.dumps(note))
    ended = logged_in.run("logout")
    assert ended.status == 3
    assert "no answer from the issuer" in ended.notes
    assert list(logged_in.home.rglob("*.json")) == []
