"""A simulated day against the truth; ``make weeks`` is the long form."""

from pathlib import Path

import pytest

from tests.weeks import lived, together

pytestmark = pytest.mark.timeout(180)


async def test_a_day_with_outage_late_data_roll_overs_and_edits_equals_the_truth(tmp_path: Path) -> None:
    found = await lived(seed=1, days=1, scan_s=10, folder=tmp_path)
    assert found.broken == []
    assert together([found])["verdict"] == "pass"
    assert found.quantity_difference == 0
    assert min(found.late_samples, found.modbus_cycles) > 1_000
    assert min(found.rollovers, found.doubled_messages, found.changed, found.undone) > 0
    assert found.statements > 10
    assert sum(found.transitions.values()) > 1_000
