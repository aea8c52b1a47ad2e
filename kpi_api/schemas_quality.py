"""KPIs -> panels: the JSON of the quality question. Ratios are 0..1, an undefined one is null."""

from pydantic import Field

from kpi_api.schemas import Answer, Ratio, Time


class Capability(Answer):
    """Capability of a characteristic: null where sigma is zero or a limit is open."""

    n: int | None = Field(description="values")
    subgroups: int | None
    method: str | None = Field(description="how sigma_within was estimated: range, deviation, pooled, moving_range")
    mean: float
    sigma_within: Ratio
    sigma_overall: Ratio
    cp: Ratio
    cpk: Ratio
    cpu: Ratio
    cpl: Ratio
    pp: Ratio
    ppk: Ratio
    ppu: Ratio
    ppl: Ratio
    cpm: Ratio = Field(description="with the sigma within subgroups")
    cpm_overall: Ratio
    cm: Ratio = Field(description="machine capability, when the window is one short run")
    cmk: Ratio
    k: Ratio = Field(description="distance of the mean from the middle of the limits, 1 at a limit")


class ChartPoint(Answer):
    """One point of a control chart."""

    time: Time = Field(description="of its last reading")
    value: float
    nelson: list[int] = Field(description="Nelson rules that it completes")
    western_electric: list[int] = Field(description="Western Electric rules that it completes")
    alarm: bool


class Chart(Answer):
    """A control chart. Lines and counts are of the whole window, points the last of it."""

    statistic: str = Field(description="mean, range, deviation, individual or moving_range")
    centre: float
    lower: float
    upper: float
    total: int = Field(description="points in the window")
    alarms: int = Field(description="points that alarm: rules 1, 2 and 5 of Nelson; of a chart of spread, its limits")
    nelson: dict[str, int] = Field(description="rule -> points that complete it")
    western_electric: dict[str, int]
    points: list[ChartPoint]


class Characteristic(Answer):
    """A measured characteristic of the plant file."""

    tag: str
    name: dict[str, str]
    measured_in: str = Field(description="the tag's unit")
    lsl: float | None
    usl: float | None
    target: float | None
    subgroup: int = Field(description="consecutive readings in a subgroup; 1 for individuals")
    readings: int = Field(
        description="new readings of good quality; a number that repeats while it holds is one reading"
    )
    capability: Capability | None
    charts: list[Chart]
    flags: list[str] = Field(
        description="few_subgroups (< 25), not_stable, not_normal, zero_sigma, one_limit, no_limits, too_few_values, "
        "no_values"
    )


class Quality(Answer):
    """The quality of one unit in one window [start, end)."""

    unit: str
    start: Time
    end: Time
    yields: dict[str, Ratio] = Field(
        description="first_pass_yield as stated; rolled_throughput_yield of the steps of a serial line up to this unit"
    )
    counts: dict[str, float] = Field(description="produced, good, scrap, rework, inspected, first_pass_good")
    characteristics: list[Characteristic]
    coverage: Ratio
    final: bool
    revision: int
    flags: list[str]
