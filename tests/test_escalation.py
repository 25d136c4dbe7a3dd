"""The file that says who is called: taken whole, or refused whole with each line and reason."""

import hmac
import json
import re
import time
from dataclasses import dataclass
from datetime import time as time_of_day
from pathlib import Path

import pytest

from audit.channels import Channel
from audit.escalation import Escalation, load_escalation
from audit.letters import Letter
from policy.errors import MisreadAll
from remit import NotGenuine

GUIDE = (Path(__file__).parents[1] / "docs" / "being-called.md").read_text()


@dataclass(frozen=True)
class Nowhere:
    def send(self, letter: Letter) -> None:
        """Nothing is sent here."""


CHANNELS = tuple(Channel(name, Nowhere(), True, name != "pager") for name in ("pager", "chat", "lead", "mail"))
WHOLE = """\
[[levels]]
channels = ["pager", "chat"]
[[levels]]
after = 15
channels = ["lead"]
[digest]
at = "09:30"
channels = ["chat"]
[owners]
"collection.mci" = ["mail"]
"""


def test_a_file_says_who_is_called_after_how_long_and_who_gets_digests() -> None:
    found = load_escalation(WHOLE.encode(), CHANNELS)
    assert found == Escalation(
        {"pager": 0, "chat": 0, "lead": 900}, time_of_day(9, 30), ("chat",), {"collection.mci": ("mail",)}
    )


def test_without_a_file_everybody_is_called_at_once_and_pagers_get_no_digests() -> None:
    found = Escalation.to_all(CHANNELS)
    assert found.after == {"pager": 0, "chat": 0, "lead": 0, "mail": 0}
    assert found.digests == ("chat", "lead", "mail")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "[[levels]]\nchannels = [",
            "[[levels]]\nafter = 5\nchannels = [",
            "line 2: the first level is called at once",
        ),
        ("after = 15", "after = 0", "line 4: `levels[1].after` must be more than the 0 minutes of the level before"),
        ("after = 15\n", "", "line 3: `levels[1].after` must be minutes"),
        ("after = 15", "after = -1", "line 4: `levels[1].after` must be minutes"),
        ("after = 15", "after = true", "line 4: `levels[1].after` must be minutes"),
        ("after = 15", "after = 100000", "line 4: `levels[1].after` must be minutes"),
        ("after = 15", 'after = "15"', "line 4: `levels[1].after` must be minutes"),
        ("after = 15", "afer = 15", "line 4: unknown key `levels[1].afer`; did you mean `after`?"),
        ('["lead"]', '["laed"]', "line 5: unknown channel `laed`; `REMIT_ALERT_URLS` has pager, chat, lead, mail"),
        ('["lead"]', '["lead", "lead"]', "line 5: `lead` is named twice"),
        ('["lead"]', '["lead", "chat"]', "line 5: `chat` is on two levels"),
        ('["lead"]', "[]", "line 5: `levels[1].channels` is missing or empty"),
        ('["lead"]', '"lead"', "line 5: `levels[1].channels` must be a list of channels"),
        ('["lead"]', "[7]", "line 5: unknown channel what is not a text"),
        ('"09:30"', '"9:30"', "line 7: `digest.at` must be a time of day in UTC, such as 08:00, not `9:30`"),
        ('"09:30"', '"24:00"', "line 7: `digest.at` must be a time of day"),
        ('channels = ["chat"]', 'channels = ["pager"]', "line 8: `pager` calls people and takes no digests"),
        ('"collection.mci" = ["mail"]', '"Nobody!" = ["mail"]', "line 10: `Nobody!` is no team"),
        ('[owners]\n"collection.mci" = ["mail"]\n', "", "nobody is told over `mail`"),
        ("[digest]", "[digests]", "line 6: unknown key `digests`; did you mean `digest`?"),
        ("[owners]", "[owners", "line 9: not TOML"),
        (WHOLE, "", "`levels` is missing"),
        (WHOLE, "levels = 7", "line 1: `levels` must be a list of tables"),
        (WHOLE, "levels = [7]", "line 1: `levels[0]` must be a table"),
        (WHOLE, WHOLE.replace("[digest]", "digest = 7\n[other]"), "unknown key"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line_and_reason(old: str, new: str, said: str) -> None:
    with pytest.raises(MisreadAll) as refused:
        load_escalation(WHOLE.replace(old, new, 1).encode(), CHANNELS, file="who.toml")
    assert said in str(refused.value)
    assert all(line.startswith("who.toml") for line in str(refused.value).splitlines())


def test_every_mistake_is_told_at_once() -> None:
    wrong = WHOLE.replace("15", "0").replace('"09:30"', '"noon"').replace('"mail"', '"nobody"')
    with pytest.raises(MisreadAll) as refused:
        load_escalation(wrong.encode(), CHANNELS)
    assert {4, 7, 10} <= {problem.line for problem in refused.value.problems}


def test_the_file_that_the_documents_show_is_understood() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    names = re.findall(r"(?m)[ \"](\w+)=\w+(?:\+https)?://", GUIDE)
    channels = tuple(Channel(name, Nowhere(), True, name != "pager") for name in names)
    assert load_escalation(text.encode(), channels).after == {"pager": 0, "chat": 0, "desk": 900}


def test_the_receiver_that_the_documents_show_does_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    secret, at = b"s" * 32, str(int(time.time()))
    told = {"key": "k", "event": "raised", "thread": "t", "severity": "SEV3", "title": "what", "text": "", "about": {}}
    body = json.dumps(told).encode()
    signature = hmac.new(secret, f"{at}.".encode() + body, "sha256").hexdigest()
    headers = {"Remit-Timestamp": at, "Remit-Signature": f"v1={signature}"}
    exec(code, {"body": body, "headers": headers, "secret": secret, "seen": set()})  # noqa: S102  # our own documents
    assert capsys.readouterr().out == "raised SEV3 what\n"
    with pytest.raises(NotGenuine):
        exec(code, {"body": body, "headers": headers, "secret": b"other", "seen": set()})  # noqa: S102
