"""The fault harness in its short form."""

import pytest

from tests.verdicts import verdict_of

pytestmark = pytest.mark.timeout(300)


def test_whatever_happens_to_a_plant_nothing_is_lost_invented_or_changed() -> None:
    code, verdict, told = verdict_of("tests.soak", "--seconds", "30", "--seed", "1")
    assert code == 0, told
    assert verdict["lost"] == verdict["phantom"] == verdict["wrong"] == 0
    assert verdict["stored"] == verdict["appended"] > 0
    assert verdict["faults"] >= 10
    assert verdict["kpi_error"] < 0.002
