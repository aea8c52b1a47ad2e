"""The derivation against the simulator's own oracle: two codes, one script."""

from functools import cache
from pathlib import Path
from random import Random

import pytest

from devices.library import load as template_of
from kpi.evaluation.evaluate import evaluate
from kpi.facts.derive import derive
from kpi.plan import UnitPlan
from shopfloor.additive import Elements, merge
from shopfloor.columns import SampleColumns
from shopfloor.instant import HOUR, QUARTER, Instant, parse_instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Plant, WorkUnit
from shopfloor.plant_file import load
from shopfloor.sample import Sample
from simulators.machine import Machine
from simulators.scenario import Script
from simulators.truth import Truth, machine_truth

START = parse_instant("2026-11-22T11:31:17Z")
MACHINES = (
    "ceper/foundry/melting/furnace-01",
    "ceper/machining/line-1/cnc-01",
    "ceper/stamping/press-shop/press-01",
)


@cache
def plant() -> Plant:
    return load(Path(__file__).parents[2] / "plants" / "ceper" / "plant.yaml")


def sampled(unit: WorkUnit, script: Script, end: Instant) -> tuple[UnitPlan, SampleColumns]:
    template = template_of(unit.device.template)
    source = Machine(template, script, Random(0))
    samples = []
    for time in range(START, end + 1, unit.device.scan_ms):
        values = {tag: value for tag, value in source.values(time).items() if value is not None}
        samples.append(Sample(unit=str(unit.path), time=time, values=values))
    columns = SampleColumns.of(str(unit.path), samples)
    return UnitPlan(unit, {tag.spec.name: tag.spec for tag in template.tags}), columns


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("path", MACHINES)
def test_sampled_hours_agree_with_the_script(path: str, seed: int) -> None:
    unit = plant().units[path]
    script = Script(unit, seed, START - HOUR)
    end = START + 4 * HOUR
    plan, samples = sampled(unit, script, end)
    window = START - START % QUARTER, end - end % QUARTER + QUARTER
    elements = merge(fact.elements for fact in derive(plan, samples, window).facts)
    truth = machine_truth(unit, script, START, end)
    assert_quantities_equal(elements, truth)
    assert_categories_close(elements, truth, unit)
    report = evaluate(elements)
    assert report.coverage == 1.0
    assert report.kpis["oee_index"] == pytest.approx(truth.oee_index, abs=0.002)
    assert report.kpis["quality_ratio"] == pytest.approx(truth.quality_ratio)


def assert_quantities_equal(elements: Elements, truth: Truth) -> None:
    for name in ("produced", "good", "scrap", "setup_produced", "unscheduled_produced"):
        assert elements.get(name, 0.0) == getattr(truth.quantities, name), name
    assert elements["planned_run_s"] == pytest.approx(truth.planned_run_s)
    assert elements["good_run_s"] == pytest.approx(truth.good_run_s)
    assert elements["energy_kwh"] == pytest.approx(truth.energy.total_kwh, abs=0.2)


def assert_categories_close(elements: Elements, truth: Truth, unit: WorkUnit) -> None:
    """Each border is seen at most one scan late; a stop at the threshold may fall on either side of it."""
    scan_s = unit.device.scan_ms / 1000
    stops = (TimeCategory.UNPLANNED_STOP, TimeCategory.MICRO_STOP)
    groups = [stops, *((category,) for category in TimeCategory if category not in stops)]
    for group in groups:
        seen = sum(elements.get(f"{category}_s", 0.0) for category in group)
        true = sum(truth.seconds.get(category, 0.0) for category in group)
        borders = 2 * sum(truth.spells.get(category, 0) for category in group)
        assert abs(seen - true) <= scan_s * borders, group
