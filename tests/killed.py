"""Runs `killing.py` against a receiver that fails now and then, and compares what was recorded with what arrived."""

import secrets
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import psycopg
from receivers import receiving

HERE = Path(__file__).parent
RECORDED = "SELECT doc ->> 'actor' FROM audit_entries WHERE doc ->> 'kind' = 'read.refused'"
RAISED = "SELECT doc -> 'details' ->> 'principal' FROM audit_entries WHERE doc ->> 'kind' = 'alert.raised'"
KEPT = "SELECT actor FROM alerts"


@dataclass(frozen=True)
class Outlived:
    """What went through: alerts, all told; letters that came more than once, under the same key."""

    kills: int
    alerts: int
    again: int

    def __str__(self) -> str:
        return (
            f"{self.kills} gateways killed while they recorded, raised and sent {self.alerts} alerts: none "
            f"lost, none raised twice, none told under another key; {self.again} came again, under theirs"
        )


def outlived(url: str, folder: Path, *, kills: int, seed: int) -> Outlived:
    """Fails where an excess has not exactly one alert, or an alert was not told under exactly one key."""
    secret = folder / "secret"
    secret.write_bytes(secrets.token_hex(32).encode())
    secret.chmod(0o600)
    answers = [200, 500, 200, 200, 503, 200, 429] * kills
    with receiving(*answers, 200) as receiver:
        word = f"hook=remit+http://{receiver.address}/?secret={secret}"
        command = [sys.executable, str(HERE / "killing.py"), url, str(kills), str(seed), word]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        posts, taken = list(receiver.posts.queue), list(receiver.taken)
    with psycopg.connect(url) as connection:
        recorded, raised, kept = (
            sorted(actor for (actor,) in connection.execute(query)) for query in (RECORDED, RAISED, KEPT)
        )
    assert recorded == raised == kept
    keys = defaultdict[str, set[str]](set)
    for post in posts:
        keys[post.json["about"]["actor"]].add(post.headers["remit-idempotency-key"])
    assert all(len(each) == 1 for each in keys.values())
    told = [post.json["about"]["actor"] for post in taken]
    assert set(told) == set(recorded)
    return Outlived(kills, len(recorded), len(told) - len(set(told)))


CONTAINED = """
    SELECT state,
        (SELECT count(*) FROM alert_steps WHERE alert = alerts.id AND event = 'contained'),
        (SELECT count(*) FROM pauses WHERE kind = 'principal' AND target = alerts.actor),
        (SELECT count(*) FROM audit_entries WHERE doc ->> 'kind' = 'alert.contained'
            AND doc -> 'details' ->> 'principal' = alerts.actor),
        (SELECT count(*) FROM audit_entries WHERE doc ->> 'kind' = 'pause.set'
            AND doc -> 'details' ->> 'target' = alerts.actor),
        (SELECT count(*) FROM audit_entries WHERE doc ->> 'kind' = 'hold.stored'
            AND (doc -> 'details' ->> 'alert')::bigint = alerts.id)
    FROM alerts ORDER BY id
"""


def contained(url: str, *, kills: int, seed: int, alerts: int) -> str:
    """Fails where an alert is not contained exactly once: step, pause, hold checks, and an entry for each."""
    command = [sys.executable, str(HERE / "containing.py"), url, str(kills), str(seed), str(alerts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    with psycopg.connect(url) as connection:
        found = connection.execute(CONTAINED).fetchall()
    assert found == [("contained", 1, 1, 1, 1, 1)] * alerts
    return f"{kills} killed while they contained {alerts} alerts: each contained once, with its pause and its entries"
