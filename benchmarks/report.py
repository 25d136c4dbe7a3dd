"""What was measured, as lines to read, as a page to keep and as JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from .contest import Goal, Result

PROFILED = "The reasons are from profiles taken on 2026-11-22; a figure that has changed since may have another."
GROWTH = "## How cost grows\n"
MOST_MILLISECONDS = 10
"""Of database time, for a page of the trail at 10,000,000 entries."""
HEAD = ("what", "against", "goal", "measured", "verdict", "ours", "theirs")


def line(result: Result) -> str:
    """One result for a terminal."""
    _, _, goal, measured, verdict, ours, theirs = _cells(result)
    return f"{_name(result)}\n    goal {goal}, measured {measured}: {verdict} ({ours}; {theirs})"


def write(
    folder: Path, results: Sequence[Result], machine: Mapping[str, str], at: datetime, failed: Mapping[str, str]
) -> None:
    """Writes `results.md` and `results.json` into `folder`, with what `failed` by its name."""
    (folder / "results.md").write_text(page(results, machine, at, failed) + growth_section(folder))
    records = [_record(result) for result in results]
    document = {"at": at.isoformat(), "machine": machine, "results": records, "failed": dict(failed)}
    (folder / "results.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def rewrite_growth(folder: Path) -> None:
    """Puts the section on growth anew at the end of `results.md`."""
    results = folder / "results.md"
    kept = results.read_text().partition(GROWTH)[0] if results.exists() else ""
    results.write_text(kept + growth_section(folder))


def growth_section(folder: Path) -> str:
    """What `growth.json` says, as tables beside the picture; empty where nothing was measured yet."""
    path = folder / "growth.json"
    if not path.exists():
        return ""
    told = json.loads(path.read_text())
    facts = told["machine"]
    curves = [
        _row((f"{each['panel']}: {each['label']}", each["over"], _along(each["points"]), each["unit"]))
        for each in told["curves"]
    ]
    return "\n".join(
        [
            GROWTH,
            "",
            f"Made by `make bench ARGS=--growth` on {facts['measured']}, with a load of {facts['load before']} before",
            f"and {facts['load after']} after. Each figure is a median; `growth.json` has them all.",
            "",
            "![How cost grows](growth.svg)",
            "",
            *(_row(("what", "over", "figures", "unit")), _row("---" for _ in range(4)), *curves),
            "",
            *_failures(told.get("failed", {})),
            *_searched(told),
        ]
    )


def _searched(told: Mapping[str, Any]) -> Iterator[str]:
    """What the questions took; nothing where it did not come to that."""
    slowest = sorted(told["questions"], key=lambda each: -each["milliseconds"])
    if not slowest:
        return
    worst = slowest[0]["milliseconds"]
    entries = max(x for each in told["curves"] if each["over"] == "entries" for x, _ in each["points"])
    verdict = "reached" if worst <= MOST_MILLISECONDS else f"not reached, by {_share(worst / MOST_MILLISECONDS - 1)}"
    yield (
        f"**Search at {entries:,} entries, goal ≤ {MOST_MILLISECONDS} ms of database time: {worst:.1f} ms for the "
        f"slowest of {len(slowest)} questions, {verdict}.** Each is a page of 100, warm, its round trips included:"
    )
    yield from ("", _row(("question", "ms")), _row(("---", "---:")))
    yield from (_row((each["question"], f"{each['milliseconds']:.2f}")) for each in slowest)
    yield ""


def _failures(failed: Mapping[str, str]) -> Sequence[str]:
    return [*(f"**Could not be measured: {step}** ({why})." for step, why in failed.items()), ""] if failed else []


def _along(points: Sequence[tuple[int, float]]) -> str:
    return ", ".join(f"{y:,.4g} at {x:,}" if y < 1_000 else f"{y:,.0f} at {x:,}" for x, y in points)


def page(results: Sequence[Result], machine: Mapping[str, str], at: datetime, failed: Mapping[str, str]) -> str:
    """`results.md`."""
    rows = [_row(HEAD), _row("---" for _ in HEAD), *(_row(_cells(result)) for result in results)]
    how = [f"- **{_name(result)}**: {result.contest.how}." for result in results]
    missed = [
        f"- **{_name(result)}**: {_verdict(result)}. {result.contest.cause}".rstrip()
        for result in results
        if result.is_reached is False
    ]
    return "\n".join(
        [
            "# Results",
            "",
            f"Made by `make bench` on {at:%Y-%m-%d %H:%M} UTC; `results.json` has every round. Each ratio is the",
            "median of the ratios of rounds taken in turns with the opponent, on the same machine, with the same",
            "durability and the real indexes; in brackets the least and the greatest. Rates are means over the rounds.",
            "The last long runs of `make torture` (kills, mutations, faults) are in [torture.md](torture.md).",
            "",
            *rows,
            "",
            *_failures(failed),
            "## The machine",
            "",
            *(f"- {name}: {value}" for name, value in machine.items()),
            "",
            "## How",
            "",
            *how,
            *(["", "## Not reached, and why", "", PROFILED, "", *missed] if missed else []),
            "",
        ]
    )


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(result: Result) -> tuple[str, ...]:
    contest = result.contest
    names = (contest.what, contest.against, _goal(contest.goal))
    if result.ratio is None:
        return (*names, "–", f"not measured: {contest.missing}", "–", "–")
    ours, theirs = (f"{len(times) / sum(times):,.0f} {contest.unit}/s" for times in zip(*result.rounds, strict=True))
    ratios = sorted(result.ratios)
    measured = f"{_times(result.ratio)} ({_times(ratios[0])} to {_times(ratios[-1])})"
    return (*names, measured, _verdict(result), ours, theirs)


def _name(result: Result) -> str:
    return f"{result.contest.what}, against {result.contest.against}"


def _goal(goal: Goal) -> str:
    return "–" if goal.bound is None else f"{'≤' if goal.of == 'time' else '≥'} {goal.bound:,g} × the {goal.of}"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} ×" if ratio >= 100 else f"{ratio:.2f} ×"


def _share(missing: float) -> str:
    return f"{missing:.0%}" if missing >= 0.005 else "less than 1%"


def _verdict(result: Result) -> str:
    if result.ratio is None or result.is_reached is None:
        return "no goal"
    return "reached" if result.is_reached else f"not reached, by {_share(result.contest.goal.missing(result.ratio))}"


def _record(result: Result) -> dict[str, object]:
    contest = result.contest
    return {
        "what": contest.what,
        "against": contest.against,
        "goal": asdict(contest.goal),
        "unit": contest.unit,
        "ratio": result.ratio,
        "reached": result.is_reached,
        "missing": contest.missing or None,
        "seconds": [{"ours": ours, "theirs": theirs} for ours, theirs in result.rounds],
    }
