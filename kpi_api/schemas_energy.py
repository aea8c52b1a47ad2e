"""KPIs -> panels: the JSON of the energy question. Ratios are 0..1, an undefined one is null."""

from pydantic import Field

from kpi_api.schemas import Answer, Ratio, Time


class Demand(Answer):
    """The highest quarter-hour demand."""

    value: float = Field(description="kW")
    at: Time


class Performance(Answer):
    """Energy against the baseline of ISO 50001/50006, in kWh."""

    driver: str = Field(description="the element of the record that drives the energy, e.g. good_kg")
    quantity: float
    actual_kwh: float
    expected_kwh: float
    saving_kwh: float = Field(description="expected less actual: positive is saved")
    index: Ratio = Field(description="actual over expected")
    cusum_kwh: Ratio = Field(
        description="running sum of the savings over the items; null when they do not follow in time"
    )


class Bill(Answer):
    """The bill of one calendar month, in its currency."""

    currency: str
    kwh: float
    peak_cost: float
    off_peak_cost: float
    energy_cost: float
    power_factor: Ratio = Field(description="mean of the month")
    free_kvarh: float
    excess_kvarh: float
    reactive_cost: float
    load_hours: Ratio = Field(description="kWh over the contracted kVA")
    minimum: float = Field(description="0 where none applies: no contract, a part of a month, a part of a site")
    minimum_applies: bool
    total: float


class Energy(Answer):
    """The energy of one unit or place in one window [start, end). What was not counted is null."""

    unit: str
    start: Time
    end: Time
    shift: str | None
    period: str | None = Field(description="day, week or month; months are calendar months in local time, as bills are")
    product: str | None
    energy_kwh: Ratio = Field(description="active energy, across gaps too")
    unattributed_kwh: float = Field(description="its part across gaps: in totals, not in ratios")
    peak_kwh: Ratio
    off_peak_kwh: Ratio
    peak_share: Ratio
    cost: Ratio = Field(description="of the active energy by its hours; reactive energy and minimum are in the bill")
    currency: str | None
    carbon_kg: Ratio
    idle_kwh: Ratio = Field(description="while the unit did not produce; null for a meter")
    idle_share: Ratio
    reactive_kvarh: Ratio
    power_factor: Ratio
    demand: Demand | None
    kwh_per_good: Ratio
    kwh_per_ton: Ratio = Field(description="per ton of good product")
    cost_per_good: Ratio
    carbon_kg_per_ton: Ratio
    performance: Performance | None
    bill: Bill | None = Field(description="with by=month")
    coverage: Ratio
    final: bool
    revision: int
    flags: list[str] = Field(
        description="those of the KPI item, and partial_month, share_of_site, tariff_changed, baseline_changed, "
        "mixed_currencies"
    )


class Fit(Answer):
    """A line of least squares: expected kWh = base_kwh a day + kwh_per_unit x driver."""

    kwh_per_unit: float
    base_kwh: float = Field(description="kWh a day")
    r2: Ratio = Field(description="below 0.75 it explains too little (practice, not a limit of the standard)")
    n: int
    standard_error: float = Field(description="of the residuals, kWh")
    slope_error: float
    flags: list[str] = Field(description="few_points (< 10), low_r2 (< 0.75), negative_slope, negative_base_load")


class FittedBaseline(Answer):
    """A baseline fitted to a unit's own past, to be judged and put in the plant file."""

    unit: str
    start: Time
    end: Time
    driver: str
    fit: Fit | None
    points: int = Field(description="slices that the line was fitted to")
    skipped: int = Field(description="slices without energy, not over yet, or less than nine tenths known")
    refusal: str | None = Field(description="why there is no line, and what to do")
