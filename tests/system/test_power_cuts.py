"""Kill -9 of the whole demo at seeded moments, also between write and derive: the books still balance."""

from pathlib import Path

import pytest

from tests.power_cuts import kill_and_finish


@pytest.mark.timeout(400)
def test_whatever_is_killed_the_ledger_balances_and_facts_equal_a_fresh_derivation(tmp_path: Path) -> None:
    verdict = kill_and_finish(tmp_path / "demo", kills=6, seed=5, history="30min")
    assert verdict["broken"] == []
    assert verdict["kills"] == 6
