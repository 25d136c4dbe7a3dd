"""Ledgers that were changed in every way that we know, and ledgers that nobody touched; `make torture` has 10,000."""

import pytest
from mutation_runs import run


@pytest.mark.slow
def test_each_change_is_found_by_whom_security_md_says_and_no_untouched_ledger_raises_an_alarm() -> None:
    assert "0 alarms" in run(mutations=100, ledgers=8, seed=4)
