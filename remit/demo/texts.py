"""What people write and say at work, made up from small lists: nobody's words, but the shape of them."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.random import Generator

from .cells import instants, named, words
from .working_day import Staff, bursts

APPLICATIONS = ("browser", "editor", "spreadsheet", "chat", "terminal")
TITLES = (
    "Search results",
    "Leave request",
    "Bank account",
    "report.md",
    "notes.txt",
    "offer_letter.docx",
    "Budget 2027",
    "Salaries",
    "Forecast",
    "Team channel",
    "Direct message",
    "Works council",
    "build",
    "ssh",
    "logs",
)
"""Three window titles for each application. The recorder keeps them; no catalog ever declared them."""
PHRASES = (
    "thanks, I will look at it today",
    "can we move this to thursday",
    "select region, sum(cost) from spend group by region",
    "the second chart still shows last quarter",
    "git commit --amend",
    "please find the numbers attached",
    "ok",
    "I am out from three, doctor's appointment",
)
MODELS = ("assistant-small", "assistant-large")
RATINGS = ("below", "meets", "meets", "meets", "exceeds")
SLOTS: Mapping[str, Sequence[str]] = {
    "thing": ("the forecast", "the contract", "the release", "the survey", "the incident report", "the offer"),
    "who": ("finance", "legal", "the works council", "my manager", "the customer", "the new colleague"),
    "when": ("today", "by Friday", "next week", "after lunch", "before the review"),
    "feeling": ("tired", "worried", "relieved", "fed up", "hopeful"),
    "strength": ("explains well", "keeps promises", "finds the cause", "helps others", "writes clearly"),
    "wish": ("to delegate more", "to say no earlier", "to test before shipping", "to speak up in meetings"),
}
SCREEN = ("{who} asks for {thing} {when}", "draft: {thing}, for {who}", "reminder: {thing} is due {when}")
PROMPTS = (
    "Summarise {thing} in three sentences for {who}.",
    "Write a polite reply: {thing} will not be ready {when}.",
    "What should I ask {who} about {thing}?",
)
PRIVATE = (
    "honestly I am {feeling}, and I have not told {who}",
    "{feeling} since yesterday, the test results come {when}",
    "please keep it between us: I am talking to another company {when}",
)
REVIEW = ("{strength}; should learn {wish}.", "{strength}. It would help {wish}, {when}.")


def screen_text(rng: Generator, staff: Staff, rows: int, day: date) -> pa.Table:
    """What was read off screens."""
    moments = _moments(rng, staff, rows, day)
    shown = words(APPLICATIONS, rng.integers(0, len(APPLICATIONS), rows))
    return pa.table({**moments, "application": shown, "text": _sentences(rng, SCREEN, rows)})


def prompts(rng: Generator, staff: Staff, rows: int, day: date) -> pa.Table:
    """What people asked the internal assistant."""
    moments = _moments(rng, staff, rows, day)
    model = words(MODELS, rng.integers(0, len(MODELS), rows))
    return pa.table({**moments, "model": model, "prompt": _sentences(rng, PROMPTS, rows)})


def private_conversations(rng: Generator, staff: Staff, rows: int, day: date) -> pa.Table:
    """What colleagues told each other, and the recorder heard."""
    moments = _moments(rng, staff, rows, day)
    other = named(rng.integers(0, len(staff.share), rows))
    return pa.table({**moments, "with_id": other, "text": _sentences(rng, PRIVATE, rows)})


def performance_reviews(rng: Generator, staff: Staff, day: date) -> pa.Table:
    """One review of everybody, written that day by somebody else."""
    people = len(staff.share)
    everybody = np.arange(people)
    reviewers = (everybody + rng.integers(1, max(people, 2), people)) % people
    return pa.table(
        {
            "employee_id": named(everybody),
            "occurred_at": instants(day, rng.uniform(9 * 3600, 17 * 3600, people)),
            "reviewer_id": named(reviewers),
            "rating": words(RATINGS, rng.integers(0, len(RATINGS), people)),
            "text": _sentences(rng, REVIEW, people),
        }
    )


def _moments(rng: Generator, staff: Staff, rows: int, day: date) -> dict[str, pa.Array]:
    who, begins = bursts(rng, staff, rows)
    order = np.argsort(begins, kind="stable")
    return {"employee_id": named(who[order]), "occurred_at": instants(day, begins[order])}


def _sentences(rng: Generator, patterns: Sequence[str], count: int) -> pa.Array:
    fillings = {slot: rng.choice(choices, count).tolist() for slot, choices in SLOTS.items()}
    chosen = rng.integers(0, len(patterns), count).tolist()
    rows = (dict(zip(fillings, row, strict=True)) for row in zip(*fillings.values(), strict=True))
    return pa.array([patterns[index].format(**row) for index, row in zip(chosen, rows, strict=True)], pa.string())
