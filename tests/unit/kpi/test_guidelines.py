"""Scores of guidelines: never better for a worse value, and a word for everything that is missing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpi.evaluation.definition import Direction
from kpi.evaluation.formulas import FORMULAS
from kpi.evaluation.record_definitions import RECORD_KPIS
from kpi.guidelines.evidence import EVIDENCE
from kpi.guidelines.score import achievement, improvement, level_at, on_scale, score_of
from kpi.guidelines.shown import SiteShown
from kpi.guidelines.signals import SIGNALS
from kpi.guidelines.sources import SOURCES, figure
from shopfloor.guideline import Goal

NOTHING = SiteShown(
    elapsed_s=0.0,
    kpis=dict.fromkeys(FORMULAS),
    elements={},
    flags=(),
    coverage=None,
    units=(),
    explained_s=None,
    unexplained_s=None,
    actual_kwh=None,
    expected_kwh=None,
)
numbers = st.floats(-1e6, 1e6)


@st.composite
def thresholds(draw: st.DrawFn) -> dict[int, float]:
    values = sorted(draw(st.lists(st.integers(-1000, 1000), min_size=2, max_size=6, unique=True)))
    levels = sorted(draw(st.lists(st.integers(0, 10), min_size=len(values), max_size=len(values), unique=True)))
    return dict(zip(levels, values if draw(st.booleans()) else values[::-1], strict=True))


@pytest.mark.parametrize("source", SOURCES)
def test_whatever_is_missing_has_words_in_both_languages(source: str) -> None:
    found = figure(source, NOTHING)
    assert found.value is None
    assert found.missing.keys() == {"en", "id"}
    assert all(found.missing.values())


def test_every_element_that_a_kpi_may_lack_has_words() -> None:
    below = {name for formula in FORMULAS.values() for name in (*formula.under, *filter(None, [formula.needs]))}
    assert below - SIGNALS.keys() == set()
    assert {f"kpi.{kpi.id}" for kpi in RECORD_KPIS} | EVIDENCE.keys() == SOURCES.keys()


def test_the_manual_lists_every_figure_as_it_is_meant() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "guidelines.md").read_text("utf-8")
    for each in EVIDENCE.values():
        better = "higher" if each.direction is Direction.UP else "lower"
        assert f"| `{each.id}` | {each.meaning} | {each.unit} | {better} |" in manual


@given(thresholds(), numbers, numbers)
def test_a_better_value_never_scores_less(levels: dict[int, float], one: float, other: float) -> None:
    rising = levels[max(levels)] > levels[min(levels)]
    worse, better = sorted((one, other), reverse=not rising)
    assert min(levels) <= score_of(worse, levels) <= score_of(better, levels) + 1e-6 <= max(levels) + 1e-6


@given(thresholds())
def test_a_threshold_is_its_level(levels: dict[int, float]) -> None:
    for level, threshold in levels.items():
        assert score_of(threshold, levels) == level
        assert level_at(score_of(threshold, levels), levels) == level


def test_a_share_that_is_a_sum_of_seconds_reaches_its_threshold() -> None:
    levels = {0: 0.0, 4: 0.3}
    assert 0.1 + 0.2 > 0.3
    assert score_of(0.3 - 1e-12, levels) == 4.0


def test_the_way_gone_has_a_sign_and_no_way_has_none() -> None:
    less = Goal(0.05, 0.025)
    assert achievement(0.03, less) == pytest.approx(0.8)
    assert achievement(0.06, less) == pytest.approx(-0.4)
    assert improvement(0.06, less) == pytest.approx(-0.2)  # it got worse, which a magnitude would hide
    assert achievement(0.03, Goal(0.05, None)) is None
    assert achievement(0.03, Goal(0.05, 0.05)) is None
    assert improvement(1.0, Goal(0.0, 2.0)) is None
    assert (on_scale(1.5, ()), on_scale(-1.0, ()), on_scale(0.5, (0, 4))) == (1.0, 0.0, 2.0)
