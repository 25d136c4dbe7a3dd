"""What is counted is told in words, and one is told as one."""

import pytest

from policy.amounts import amount


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (amount(1, "row"), "1 row"),
        (amount(0, "row"), "0 rows"),
        (amount(2_000, "entry"), "2,000 entries"),
        (amount(1, "entry"), "1 entry"),
        (amount(3, "day"), "3 days"),
        (amount(1, "attempt was", "attempts were"), "1 attempt was"),
        (amount(2, "access", "accesses"), "2 accesses"),
    ],
)
def test_one_is_told_as_one_and_more_as_more(said: str, told: str) -> None:
    assert said == told
