"""Upkeep: again and again, whatever goes wrong, and not all of it at one moment."""

import itertools
import threading

import pytest

from gateway.upkeep import every_few_seconds, first_after


@pytest.mark.parametrize("before", [0, 7, 1_000])
def test_works_that_are_started_together_do_not_begin_together(before: int) -> None:
    firsts = sorted(first_after(before + number, 2.0) for number in range(1, 11))
    assert all(0 < first < 2.0 for first in firsts)
    assert min(later - sooner for sooner, later in itertools.pairwise(firsts)) > 0.1


def test_a_work_that_fails_is_done_again_and_the_end_waits_for_it() -> None:
    done, twice, before = [], threading.Event(), set(threading.enumerate())

    def work() -> None:
        done.append(1)
        if len(done) > 1:
            twice.set()
        raise OSError("a test")

    with every_few_seconds(work, 0.01):
        assert twice.wait(30)
    assert set(threading.enumerate()) <= before


def test_what_is_in_a_hurry_is_done_at_once() -> None:
    done, hurry = threading.Event(), threading.Event()
    with every_few_seconds(done.set, 3600, hurry=hurry):
        hurry.set()
        assert done.wait(30)
