"""A witness co-signs a log that only grew: never two histories, whoever asks, how often, and wherever it is killed."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import create_connection
from urllib.parse import urlsplit

import httpx2
import pytest
from witnessing import HTTP, Log, Running, clean_environment, cosigned_at, holds, make_key, witnessing

from audit.errors import BadNote
from audit.notes import COSIGNED, SIGNED, Checkpoint, Note, Signer, Verifier
from audit.submissions import LARGEST, Submission, address
from witness.cosigning import Witness
from witness.memory import Memory, MemoryUnfit

LOG = Log()
FORK = Log(told="another", fork=4)
"""Tells the same story for four entries, then another."""
STRANGER = Signer("log.example/remit", SIGNED, b"s" * 32)
KEY = Signer("witness.example/w1", COSIGNED, b"w" * 32)


def witness(folder: Path, at: float = 1_700_000_000) -> Witness:
    return Witness(KEY, [LOG.signer.verifier], Memory(folder), lambda: at)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Running:  # type: ignore[misc]
    """One for the tests that need no more of it than that it answers."""
    with witnessing(tmp_path_factory.mktemp("witness"), LOG.signer.verifier) as started:
        yield started


def test_a_log_that_grows_is_cosigned_with_the_time(tmp_path: Path) -> None:
    own = witness(tmp_path)
    size = 0
    for grown in (3, 4, 4, 9, 32, 33):
        answer = own.add(bytes(LOG.submission(size, grown)))
        assert answer.status == 200
        holds(answer.text, LOG.note(grown), KEY.verifier)
        assert cosigned_at(answer.text) == 1_700_000_000
        size = grown


def test_an_empty_log_is_cosigned(tmp_path: Path) -> None:
    assert witness(tmp_path).add(bytes(LOG.submission(0, 0))).status == 200


def test_what_it_knows_of_a_log_is_said_where_the_log_is_wrong_about_it(tmp_path: Path) -> None:
    own = witness(tmp_path)
    own.add(bytes(LOG.submission(0, 5)))
    for old, grown in ((0, 9), (4, 9), (6, 9), (0, 5), (4, 4)):
        answer = own.add(bytes(LOG.submission(old, grown)))
        assert (answer.status, answer.text, answer.kind) == (409, "5\n", "text/x.tlog.size")


def test_two_histories_of_equal_size_are_never_both_cosigned(tmp_path: Path) -> None:
    own = witness(tmp_path)
    assert own.add(bytes(LOG.submission(0, 5))).status == 200
    assert FORK.checkpoint(5).root != LOG.checkpoint(5).root
    answer = own.add(bytes(FORK.submission(5, 5)))
    assert (answer.status, answer.kind) == (409, "text/plain; charset=utf-8")
    assert own.add(bytes(LOG.submission(5, 5))).status == 200


@pytest.mark.parametrize("grown", [5, 6, 8, 20])
def test_a_history_that_did_not_grow_out_of_the_last_is_not_cosigned(tmp_path: Path, grown: int) -> None:
    own = witness(tmp_path)
    own.add(bytes(LOG.submission(0, 5)))
    before = own.latest(_address()).text
    assert own.add(bytes(FORK.submission(5, grown))).status in (409, 422)
    assert own.latest(_address()).text == before


def test_where_two_stories_were_still_one_either_may_be_told_but_not_both(tmp_path: Path) -> None:
    own = witness(tmp_path)
    own.add(bytes(LOG.submission(0, 4)))
    assert own.add(bytes(FORK.submission(4, 9))).status == 200
    assert own.add(bytes(LOG.submission(9, 12))).status == 422


def test_the_evidence_of_a_lie_is_logged_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = witness(tmp_path)
    own.add(bytes(LOG.submission(0, 5)))
    own.add(bytes(FORK.submission(5, 5)))
    said = capsys.readouterr()
    for story in (LOG, FORK):
        assert str(story.checkpoint(5)).splitlines()[2] in said.out + said.err


@pytest.mark.parametrize(
    ("status", "submission"),
    [
        (404, Log(Signer("other.example", SIGNED, b"o" * 32)).submission(0, 3)),
        (403, Log(STRANGER).submission(0, 3)),
        (403, Submission(0, (), Note(LOG.note(3).text, LOG.note(4).signatures))),
        (403, Submission(0, (), Note(LOG.note(3).text, (KEY.sign(LOG.note(3).text, at=1),)))),
        (400, Submission(4, (), LOG.note(3))),
        (422, Submission(0, (b"x" * 32,), LOG.note(3))),
        (400, Submission(0, (), Note("no checkpoint\n", LOG.note(3).signatures))),
        (400, Submission(0, (b"x" * 31,), LOG.note(3))),
        (400, Submission(0, (b"x" * 32,) * 64, LOG.note(3))),
    ],
)
def test_what_must_not_be_cosigned_is_refused_as_the_specification_says(
    tmp_path: Path, status: int, submission: Submission
) -> None:
    own = witness(tmp_path)
    assert own.add(bytes(submission)).status == status
    assert own.latest(_address()).status == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 0\n\n",
        b"old 00\n\n" + bytes(LOG.submission(0, 3))[7:],
        b"old -0\n\n" + bytes(LOG.submission(0, 3))[7:],
        b"old 0 \n\n" + bytes(LOG.submission(0, 3))[7:],
        b"old 0\r\n\r\n" + bytes(LOG.submission(0, 3))[7:],
        b"new 0\n\n" + bytes(LOG.submission(0, 3))[7:],
        bytes(LOG.submission(0, 3)) + b"\n",
        bytes(LOG.submission(0, 3))[:-1],
        b"old 0\n" + bytes(LOG.submission(0, 3))[7:],
    ],
)
def test_a_body_that_is_not_understood_is_400(tmp_path: Path, body: bytes) -> None:
    assert witness(tmp_path).add(body).status == 400


def test_a_submission_is_read_as_it_was_written() -> None:
    asked = LOG.submission(5, 9)
    assert Submission.parse(bytes(asked)) == asked


def test_a_log_may_change_its_key(tmp_path: Path) -> None:
    newer = Log(STRANGER)
    own = Witness(KEY, [LOG.signer.verifier, STRANGER.verifier], Memory(tmp_path), time.time)
    assert own.add(bytes(LOG.submission(0, 3))).status == 200
    assert own.add(bytes(newer.submission(3, 7))).status == 200
    assert own.latest(_address()).status == 200


def test_only_signatures_that_hold_are_kept(tmp_path: Path) -> None:
    own = witness(tmp_path)
    note = LOG.note(3)
    crowded = Note(note.text, (STRANGER.sign(note.text), *note.signatures))
    assert own.add(bytes(Submission(0, (), crowded))).status == 200
    kept = Note.parse(own.latest(_address()).text.encode())
    assert [each.id for each in kept.signatures] == [LOG.signer.verifier.id, KEY.verifier.id]


def test_a_witness_does_not_sign_with_a_logs_key_nor_for_a_witness(tmp_path: Path) -> None:
    with pytest.raises(BadNote):
        Witness(LOG.signer, [LOG.signer.verifier], Memory(tmp_path), time.time)
    with pytest.raises(BadNote):
        Witness(KEY, [KEY.verifier], Memory(tmp_path), time.time)


@pytest.mark.parametrize("content", [b"", b"time 1\n", b"x", b"time 1\nlog\n\n", b"1\n" + str(LOG.note(3)).encode()])
def test_a_damaged_memory_is_a_fault_and_never_a_new_beginning(tmp_path: Path, content: bytes) -> None:
    own = witness(tmp_path)
    own.add(bytes(LOG.submission(0, 5)))
    (tmp_path / f"{_address()}.note").write_bytes(content)
    for asked in (LOG.submission(0, 7), LOG.submission(5, 7)):
        with pytest.raises(MemoryUnfit):
            own.add(bytes(asked))


def test_the_memory_of_another_log_is_not_taken_for_its_own(tmp_path: Path) -> None:
    other = Log(Signer("other.example", SIGNED, b"o" * 32))
    own = Witness(KEY, [LOG.signer.verifier, other.signer.verifier], Memory(tmp_path), time.time)
    own.add(bytes(other.submission(0, 5)))
    (tmp_path / f"{_address()}.note").write_bytes((tmp_path / f"{address('other.example')}.note").read_bytes())
    with pytest.raises(MemoryUnfit):
        own.add(bytes(LOG.submission(0, 7)))


def test_of_a_thousand_racing_stories_only_one_is_ever_told(tmp_path: Path) -> None:
    """Two logs with one key, and witnesses on one folder that know nothing of each other, each asked in any order."""
    stories = (LOG, FORK)
    own = [witness(tmp_path) for _ in range(4)]
    notes = {(story.told, size): story.note(size) for story in stories for size in range(40)}
    chance = random.Random(7)
    plans = [(chance.choice(own), chance.choice(stories), chance.randrange(1, 6)) for _ in range(1_000)]

    def grow(plan: tuple[Witness, Log, int]) -> tuple[Log, int, str] | None:
        asked, story, step = plan
        known = Note.parse(answer.text.encode()) if (answer := asked.latest(_address())).status == 200 else None
        old = Checkpoint.parse(known.text).size if known else 0
        size = min(old + step, 39) if step < 5 else max(old - 1, 0)
        said = asked.add(bytes(Submission(old, story.submission(old, size).proof, notes[story.told, size])))
        assert said.status in (200, 400, 409, 422)
        return (story, size, said.text) if said.status == 200 else None

    with ThreadPoolExecutor(8) as pool:
        signed = [told for told in pool.map(grow, plans) if told is not None]
    assert len(signed) > 20
    for story, size, line in signed:
        holds(line, notes[story.told, size], KEY.verifier)
    beyond = {story.told for story, size, _ in signed if size > FORK.fork}
    assert len(beyond) == 1


def test_two_processes_on_one_folder_never_cosign_two_histories(tmp_path: Path) -> None:
    with witnessing(tmp_path, LOG.signer.verifier) as one, witnessing(tmp_path, LOG.signer.verifier) as other:
        assert one.key == other.key
        assert one.add(LOG.submission(0, 4)).status_code == 200
        size = 4
        for _ in range(10):
            asked = [(one, LOG.submission(size, size + 3)), (other, FORK.submission(size, size + 3))] * 2
            with ThreadPoolExecutor(4) as pool:
                statuses = [answer.status_code for answer in pool.map(lambda each: each[0].add(each[1]), asked)]
            assert statuses.count(200) == 1
            size += 3
        roots = {each.latest(LOG.signer.name).text.splitlines()[2] for each in (one, other)}
        assert len(roots) == 1


def test_it_speaks_http_as_the_specification_says(running: Running) -> None:
    answer = running.add(LOG.submission(0, 3))
    assert answer.status_code == 200
    holds(answer.text, LOG.note(3), running.key)
    assert abs(cosigned_at(answer.text) - time.time()) < 600
    behind = running.add(LOG.submission(0, 5))
    assert (behind.status_code, behind.text) == (409, "3\n")
    assert behind.headers["content-type"] == "text/x.tlog.size"
    assert running.add(b"nonsense").status_code == 400
    latest = running.latest(LOG.signer.name)
    assert latest.text == f"{LOG.note(3)}{answer.text}"
    assert HTTP.get(f"{running.url}/add-checkpoint").status_code == 405
    assert HTTP.get(f"{running.url}/{'0' * 64}/checkpoint").status_code == 404


def test_a_body_that_is_too_large_is_refused_before_it_is_read_whole(running: Running) -> None:
    assert running.add(b"x" * (LARGEST + 1)).status_code == 413


def test_a_client_that_goes_away_in_the_middle_changes_nothing(running: Running) -> None:
    parts = urlsplit(running.url)
    with create_connection((parts.hostname or "", parts.port or 0)) as connection:
        connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 5000\r\n\r\nold 0\n")
    assert running.add(b"nonsense").status_code == 400


def test_what_was_cosigned_outlives_a_restart(tmp_path: Path) -> None:
    with witnessing(tmp_path, LOG.signer.verifier) as first:
        first.add(LOG.submission(0, 5))
        before = first.latest(LOG.signer.name).text
        assert first.stop() == 0
        first.start()
        assert first.latest(LOG.signer.name).text == before
        assert first.add(FORK.submission(5, 9)).status_code == 422
        assert first.add(LOG.submission(5, 9)).status_code == 200


STEPS = [("open", 1), ("fsync", 1), ("rename", 1), ("open", 2), ("fsync", 2), ("answer", 1)]
ADDS_ONCE = """
import os, signal, sys, time
from pathlib import Path
from audit.notes import Signer, Verifier
from witness.cosigning import Witness
from witness.memory import Memory

home, log, key, step, left = Path(sys.argv[1]), *sys.argv[2:5], int(sys.argv[5])
real = getattr(os, step, None)

def die_or(*given):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given)

witness = Witness(Signer.parse(key), [Verifier.parse(log)], Memory(home), time.time)
if left:
    setattr(os, step, die_or)
answer = witness.add(sys.stdin.buffer.read())
if left:
    die_or()
print(answer.status, "OK", flush=True)
"""


def _adds_once(folder: Path, asked: Submission, step: str = "", nth: int = 0, *wrapped: str) -> int:
    """A process that answers this one submission and is killed at the nth call of a step; how it ended."""
    given = (str(folder), str(LOG.signer.verifier), KEY.text(), step, str(nth))
    command = [*wrapped, sys.executable, "-c", ADDS_ONCE, *given]
    return subprocess.run(command, input=bytes(asked), capture_output=True).returncode


@pytest.mark.parametrize(("step", "nth"), STEPS)
def test_killed_at_any_step_it_never_tells_two_stories(tmp_path: Path, step: str, nth: int) -> None:
    """At each step from opening the draft to just before the answer leaves."""
    own = witness(tmp_path)
    own.add(bytes(LOG.submission(0, 4)))
    before = own.latest(_address()).text
    assert _adds_once(tmp_path, LOG.submission(4, 7), step, nth) == -signal.SIGKILL
    known = Checkpoint.parse(Note.parse(own.latest(_address()).text.encode()).text)
    if (step, nth) in STEPS[:3]:
        assert own.latest(_address()).text == before
    else:
        assert known == LOG.checkpoint(7)
        assert own.add(bytes(FORK.submission(4, 7))).status == 409
        assert own.add(bytes(FORK.submission(7, 7))).status == 409
    answer = own.add(bytes(LOG.submission(known.size, 7)))
    assert answer.status == 200
    holds(answer.text, LOG.note(7), KEY.verifier)


def test_killed_at_random_under_load_it_tells_one_story(tmp_path: Path) -> None:
    chance = random.Random(3)
    told: list[tuple[int, str]] = []
    size = 0
    with witnessing(tmp_path, LOG.signer.verifier) as running, ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            for _ in range(chance.randrange(1, 12)):
                answer = running.add(LOG.submission(size, size + 1))
                assert answer.status_code == 200
                size += 1
                told.append((size, answer.text))
            last = pool.submit(running.add, LOG.submission(size, size + 1))
            running.stop(signal.SIGKILL)
            assert last.exception() is None or isinstance(last.exception(), httpx2.HTTPError)
            running.start()
            known = Checkpoint.parse(Note.parse(running.latest(LOG.signer.name).content).text)
            assert known in (LOG.checkpoint(size), LOG.checkpoint(size + 1))
            size = known.size
        for at, line in told:
            holds(line, LOG.note(at), running.key)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_file_and_folder_are_synced_before_an_answer_leaves(tmp_path: Path) -> None:
    traced = tmp_path / "calls"
    wrapped = ("strace", "-f", "-y", "-o", str(traced), "-e", "trace=fsync,rename,renameat2,write")
    assert _adds_once(tmp_path / "logs", LOG.submission(0, 4), "", 0, *wrapped) == 0
    calls = traced.read_text().splitlines()
    draft, name, folder, answer = (
        next(at for at, call in enumerate(calls) if re.search(pattern, call))
        for pattern in (r"fsync\(.*\.draft", r"rename.*\.note", r"fsync\(.*/logs>", r"write\(1<.*\"200\"")
    )
    assert draft < name < folder < answer


def test_a_key_is_made_once_and_only_when_it_is_named(tmp_path: Path) -> None:
    first = _remit("witness", "key", "--home", str(tmp_path), "--name", "witness.example/w1").stdout.strip()
    assert make_key(tmp_path) == Verifier.parse(first)
    assert (tmp_path / "witness.key").stat().st_mode & 0o777 == 0o600
    other = _remit("witness", "key", "--home", str(tmp_path), "--name", "other.example/w2")
    assert (other.returncode, "`witness.example/w1`" in other.stderr) == (2, True)
    missing = _remit("witness", "key", "--home", str(tmp_path / "nothing"))
    assert (missing.returncode, "--name" in missing.stderr) == (2, True)
    shown = _remit("witness", "key", "--home", str(tmp_path), "--json")
    assert json.loads(shown.stdout) == {"key": first}


@pytest.mark.parametrize("wrong", [("--listen", "8471"), ("--listen", "127.0.0.1:http"), ("--log", "nonsense")])
def test_a_witness_that_is_told_nonsense_does_not_start(tmp_path: Path, wrong: tuple[str, str]) -> None:
    make_key(tmp_path)
    log = ("--log", str(LOG.signer.verifier))
    refused = _remit("witness", "serve", "--home", str(tmp_path), *log, *wrong)
    assert (refused.returncode, wrong[0] in refused.stderr) == (2, True)


def test_whoever_names_a_wrong_key_or_has_a_damaged_one_is_told_which(tmp_path: Path) -> None:
    named = _remit("witness", "key", "--home", str(tmp_path), "--name", "a b")
    assert (named.returncode, "`--name a b`" in named.stderr, list(tmp_path.iterdir())) == (2, True, [])
    own, log = str(make_key(tmp_path)), str(LOG.signer.verifier)
    swapped = _remit("witness", "serve", "--home", str(tmp_path), "--log", own)
    assert (swapped.returncode, "`witness.example/w1` is a witness's key" in swapped.stderr) == (2, True)
    (tmp_path / "witness.key").write_text("rubbish")
    damaged = _remit("witness", "serve", "--home", str(tmp_path), "--log", log)
    assert (damaged.returncode, f"`{tmp_path}/witness.key` holds no key of a witness" in damaged.stderr) == (3, True)


def _remit(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "remit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=60)


def _address() -> str:
    return address(LOG.signer.name)
