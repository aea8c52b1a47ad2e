import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.energy.tariff import Usage, bill, bills, power_factor
from kpi.refusal import BadInput
from shopfloor.plant import Tariff


def tariff(**fields: float | None) -> Tariff:
    given = {"off_peak": 1035.78, "peak_factor": 1.5, "kvarh": 1114.74, "free_kvarh_per_kwh": 0.62, **fields}
    return Tariff(id="pln-i3", currency="IDR", peak_start_minute=18 * 60, peak_end_minute=22 * 60, **given)


def test_the_published_bill_of_2013_comes_out() -> None:
    prices = tariff(off_peak=925.0, peak_factor=1388 / 925, contract_kva=415.0, minimum_hours=40.0)
    found = bill(peak_kwh=30_053, off_peak_kwh=161_135, kvarh=0, tariff=prices)
    assert (found.off_peak_cost, found.peak_cost) == pytest.approx((149_049_875, 41_713_564))
    assert found.total == pytest.approx(190_763_439)
    assert found.load_hours == pytest.approx(460.694, abs=5e-4)
    assert not found.minimum_applies


def test_the_published_reactive_charge_comes_out() -> None:
    found = bill(peak_kwh=4_000, off_peak_kwh=398_000, kvarh=254_800, tariff=tariff(kvarh=371.0))
    assert (found.free_kvarh, found.excess_kvarh) == pytest.approx((249_240, 5_560))
    assert found.reactive_cost == pytest.approx(2_062_760)


def test_a_bill_with_everything_comes_out() -> None:
    found = bill(peak_kwh=100_000, off_peak_kwh=400_000, kvarh=350_000, tariff=tariff(peak_factor=1.4))
    assert found.power_factor == pytest.approx(0.8192, abs=5e-5)
    parts = (found.off_peak_cost, found.peak_cost, found.reactive_cost)
    assert parts == pytest.approx((414_312_000, 145_009_200, 44_589_600))
    assert found.total == pytest.approx(603_910_800)
    assert found.currency == "IDR"


def test_a_month_costs_at_least_the_contracted_minimum() -> None:
    prices = tariff(contract_kva=1_000.0, minimum_hours=40.0)
    found = bill(peak_kwh=0, off_peak_kwh=10_000, kvarh=0, tariff=prices)
    assert (found.load_hours, found.minimum_applies) == (10, True)
    assert found.total == found.minimum == pytest.approx(40 * 1_000 * 1_035.78)
    assert found.energy_cost == pytest.approx(10_000 * 1_035.78)


def test_without_a_contract_there_is_no_minimum_and_no_load() -> None:
    found = bill(peak_kwh=0, off_peak_kwh=0, kvarh=0, tariff=tariff(minimum_hours=40.0))
    assert (found.total, found.minimum, found.load_hours, found.power_factor) == (0, 0, None, None)


def test_free_kvarh_of_one_month_do_not_help_another() -> None:
    months = {"2026-01": Usage(off_peak_kwh=1_000, kvarh=0), "2026-02": Usage(off_peak_kwh=1_000, kvarh=1_000)}
    apart = bills(months, tariff())
    assert (apart["2026-01"].excess_kvarh, apart["2026-02"].excess_kvarh) == (0, pytest.approx(380))
    assert bill(peak_kwh=0, off_peak_kwh=2_000, kvarh=1_000, tariff=tariff()).excess_kvarh == 0


def test_a_power_factor_is_that_of_the_triangle() -> None:
    assert power_factor(4, 3) == pytest.approx(0.8)
    assert power_factor(0, 3) == 0
    assert power_factor(0, 0) is None


@pytest.mark.parametrize("name", ["peak_kwh", "off_peak_kwh", "kvarh"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_impossible_amounts_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(BadInput, match=name):
        bill(**{"peak_kwh": 1.0, "off_peak_kwh": 1.0, "kvarh": 1.0, name: value}, tariff=tariff())


def test_impossible_tariffs_are_refused() -> None:
    with pytest.raises(BadInput, match="contract_kva is 0"):
        bill(peak_kwh=1, off_peak_kwh=1, kvarh=1, tariff=tariff(contract_kva=0.0))
    with pytest.raises(BadInput, match="tariff kvarh"):
        bill(peak_kwh=1, off_peak_kwh=1, kvarh=1, tariff=tariff(kvarh=-1.0))


AMOUNT = st.floats(0, 1e9, allow_subnormal=False)


@given(AMOUNT, AMOUNT, AMOUNT, st.floats(0, 1e6, allow_subnormal=False))
@settings(max_examples=250)
def test_more_of_anything_never_costs_less(peak: float, off_peak: float, kvarh: float, more: float) -> None:
    prices = tariff(contract_kva=500.0, minimum_hours=40.0)
    plain = bill(peak_kwh=peak, off_peak_kwh=off_peak, kvarh=kvarh, tariff=prices)
    assert plain.total >= plain.minimum
    assert plain.power_factor is None or 0 <= plain.power_factor <= 1
    dearer = bill(peak_kwh=peak + more, off_peak_kwh=off_peak, kvarh=kvarh, tariff=prices)
    assert dearer.total >= plain.total * (1 - 1e-12)
