"""How the real command behaves: on a terminal and in a pipe, when mistyped, and when a shell asks what comes next."""

import errno
import json
import os
import pty
import shutil
import subprocess
import sys

import pytest
from service import Service

REMIT = [sys.executable, "-m", "remit"]
NOBODY = {"REMIT_URL": "http://127.0.0.1:9"}


def environment(more: dict[str, str]) -> dict[str, str]:
    ours = ("REMIT_", "_REMIT", "NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | NOBODY | more


def run(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*REMIT, *arguments],
        env=environment(more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def on_a_terminal(*arguments: str, **more: str) -> str:
    """What a command writes on a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*REMIT, *arguments], env=environment({"TERM": "xterm"} | more), stdin=slave, stdout=slave, stderr=slave
    ) as process:
        os.close(slave)
        said = b""
        while part := _read(master):
            said += part
        process.wait(timeout=250)
    os.close(master)
    return said.decode()


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError as error:  # how Linux says that the other side of a terminal is closed
        if error.errno != errno.EIO:
            raise
        return b""


def test_colours_are_for_terminals_only_and_not_where_they_are_not_wanted() -> None:
    assert "\x1b[1;31musage: no such command `reda`\x1b[0m" in on_a_terminal("reda")
    for said in (
        run("reda", FORCE_COLOR="1", TERM="xterm-256color").stderr,
        on_a_terminal("reda", TERM="dumb"),
    ):
        assert "did you mean `read`?" in said
        assert "\x1b" not in said
    assert "31m" not in on_a_terminal("reda", NO_COLOR="1")


@pytest.mark.parametrize(
    "group",
    ["", "policy", "requests", "grants", "audit", "audit key", "alerts", "report", "pauses", "database", "witness"],
)
def test_what_each_command_does_is_told_whole_beside_it_on_a_small_terminal(group: str) -> None:
    told = run(*group.split(), "--help", COLUMNS="80", TERMINAL_WIDTH="80").stdout.partition("Commands:")[2]
    assert told
    assert not [line for line in told.splitlines() if line.endswith("...")]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["reda"], "did you mean `read`? `remit --help`"),
        (["grants", "revok"], "did you mean `revoke`? `remit grants --help`"),
        (["read", "events", "--limt", "3"], "did you mean `--limit`? `remit read --help`"),
        (["nothing_like_it"], "`remit --help` says what there is"),
        (["read"], "`remit read --help` says what there is"),
    ],
    ids=" ".join,
)
def test_a_mistyped_command_says_what_was_meant(given: list[str], meant: str) -> None:
    ended = run(*given)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"next      {meant}" in ended.stderr


def test_a_mistyped_command_of_a_program_is_a_problem_in_json() -> None:
    problem = json.loads(run("read", "d", "--colums", "x", "--json").stderr)
    assert (problem["code"], problem["detail"]) == ("usage", "no such option `--colums`")
    assert "`--columns`" in problem["help"]


def test_values_stand_beneath_each_other_also_beside_a_long_name(service: Service) -> None:
    who = {"REMIT_URL": service.url, "REMIT_TOKEN": service.token("ana")}
    named = run("whoami", **who).stdout.splitlines()[1:]
    assert "  attributes privacy_training = current, region = eu" in named
    assert {line[:12].rstrip() + line[12] for line in named} == {
        f"  {n} " for n in ("teams", "attributes", "issuer", "until", "by")
    }


def test_a_mistyped_dataset_or_column_says_what_was_meant(service: Service) -> None:
    who = {"REMIT_URL": service.url, "REMIT_TOKEN": service.token("ana")}
    service.grant()
    assert "did you mean `events`?" in run("datasets", "evnts", **who).stderr
    assert "did you mean `events`?" in run("check", "evnts", **who).stderr
    assert "did you mean `at`?" in run("check", "events", "--columns", "att", **who).stderr


def test_a_dataset_is_shown_with_what_you_get_of_each_column_and_why(service: Service) -> None:
    said = run("datasets", "events", REMIT_URL=service.url, REMIT_TOKEN=service.token("una")).stdout
    for part in (
        "user.behavior.pointer",
        "hidden",
        "pointer lacks principal.privacy_training",
        "denied by reviews_never",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("given", "more", "status", "next_step"),
    [
        (["datasets"], {}, 3, "`remit serve` starts a gateway here"),
        (["datasets"], {"REMIT_URL": "nonsense"}, 2, "write it like http://127.0.0.1:8470"),
        (["datasets"], {"REMIT_TOKEN": "a b"}, 2, "run `remit login`"),
        (["datasets", ""], {}, 2, "or leave it out where it may be"),
        (["read", "events", "--columns", "x,"], {}, 2, "write names with one comma between"),
        (["completion", "tcsh"], {}, 2, "invalid value for `shell`: `tcsh` is not one of `bash`, `zsh`, `fish`"),
        (["login"], {}, 3, "REMIT_URL says where another one is"),
        (["serve"], {}, 2, "name the issuer"),
        (["serve"], {"REMIT_NONSENSE": "1"}, 2, "README lists every setting"),
        (["policy", "check", "/nowhere"], {}, 2, "name a file that can be"),
        (["alerts", "ack", "1"], {}, 1, "`--help` names the option"),
        (["audit", "verify"], {"REMIT_HOME": "/nowhere"}, 2, "give --database URL or set REMIT_HOME"),
        (["audit", "verify", "--database", "postgresql://nobody@127.0.0.1:9/x"], {}, 3, "see that the database runs"),
    ],
    ids=str,
)
def test_every_error_says_what_to_do_next(given: list[str], more: dict[str, str], status: int, next_step: str) -> None:
    ended = run(*given, **more)
    assert ended.returncode == status, ended.stderr
    assert next_step in ended.stderr
    assert "Traceback" not in ended.stderr


def completed(words: str, **more: str) -> list[str]:
    """What bash is offered after `words`."""
    place = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1), "_REMIT_COMPLETE": "complete_bash"}
    ended = run(**place, **more)
    assert ended.stderr == ""
    return ended.stdout.split()


def test_commands_and_options_are_completed_without_a_gateway() -> None:
    assert {"login", "logout"} <= set(completed("remit log"))
    assert completed("remit grants revo") == ["revoke"]
    assert "--columns" in completed("remit read events --col")


def test_datasets_are_completed_from_the_gateway_and_silently_not_where_it_cannot_be_asked(service: Service) -> None:
    who = {"REMIT_URL": service.url, "REMIT_TOKEN": service.token("ana")}
    assert completed("remit read ev", **who) == ["events"]
    assert completed("remit datasets ", **who) == ["events", "long", "nobodys"]
    for command in ("audit search", "report exposure", "requests approve q-1"):
        assert completed(f"remit {command} --dataset ev", **who) == ["events"]
    assert completed("remit read ev", REMIT_TOKEN="a.b.c") == []
    assert completed("remit read ev") == []


def test_columns_are_completed_one_after_the_other_with_those_of_the_dataset(service: Service) -> None:
    who = {"REMIT_URL": service.url, "REMIT_TOKEN": service.token("ana")}
    assert completed("remit read events --columns w", **who) == ["who"]
    assert "who,x" in completed("remit read events --columns who,", **who)
    assert "who,who" not in completed("remit read events --columns who,", **who)
    assert completed("remit requests approve q-1 --dataset events --columns w", **who) == ["who"]
    assert completed("remit read nothing --columns w", **who) == []
    assert completed("remit read --columns w", **who) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_it_understands(shell: str) -> None:
    script = run("completion", shell).stdout
    assert "_REMIT_COMPLETE" in script
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} on this machine to read the script")
    done = subprocess.run([program, "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_itself_completes_with_the_script() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash on this machine")
    script = run("completion", "bash").stdout
    asks = 'COMP_WORDS=(remit logo); COMP_CWORD=1; _remit_completion remit; printf "%s\\n" "${COMPREPLY[@]}"'
    script = script.replace("_REMIT_COMPLETE=complete_bash $1", f"_REMIT_COMPLETE=complete_bash {' '.join(REMIT)}")
    done = subprocess.run([bash, "-c", f"{script}\n{asks}"], capture_output=True, text=True, check=True)
    assert done.stdout == "logout\n"
